// Making and keeping elements. All that a workload may have written (names, paths) is put in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `given`: attributes; a function is a listener of that event; null, undefined and false leave it out. */
export function el(tag, given = {}, ...children) {
  return fill(document.createElement(tag), given, children);
}

export function svg(tag, given = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), given, children);
}

function fill(element, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

/** Text set only where it is another one: what a reader has selected, and what is read aloud, stays. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Children of `parent`, one for each item, in the order of the items. Those of known keys are kept, with their focus. */
export function keyed(parent, items, key, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const focused = document.activeElement;
  let next = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = known.get(name);
    if (child) known.delete(name);
    else {
      child = make(item);
      child.dataset.key = name;
    }
    update?.(child, item);
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
  for (const child of known.values()) child.remove();
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

// Cc, Cf (with changes of the writing direction), Zl, Zp, and what is not assigned: it would lie about what is there.
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;

/** The text with what is invisible escaped. */
export function plain(text) {
  return String(text ?? "").replace(INVISIBLE, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 1, notation: "compact" });
const WHOLE = new Intl.NumberFormat("en");
const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

export const compact = (number) => (number < 10000 ? WHOLE.format(number) : NUMBER.format(number));

export const counted = (number, one, many = `${one}s`) => `${compact(number)} ${number === 1 ? one : many}`;

export function bytes(number) {
  let unit = 0;
  for (; number >= 999.5 && unit < UNITS.length - 1; unit += 1) number /= 1000;
  return `${number >= 10 || unit === 0 ? Math.round(number) : number.toFixed(1)} ${UNITS[unit]}`;
}

const SPANS = [[60, 1, "s"], [3600, 60, "min"], [172800, 3600, "h"], [Infinity, 86400, "d"]];

/** How long ago an RFC 3339 time was, in a word. */
export function ago(time) {
  const seconds = Math.max(0, (Date.now() - Date.parse(time)) / 1000);
  if (Number.isNaN(seconds)) return "";
  if (seconds < 2) return "now";
  const [, size, unit] = SPANS.find(([limit]) => seconds < limit);
  return `${Math.floor(seconds / size)} ${unit} ago`;
}

/** A time that keeps saying how long ago it was. */
export function moment(time) {
  if (!time) return el("span", { class: "soft" }, "never");
  return el("time", { datetime: time, title: new Date(time).toLocaleString() }, ago(time));
}

setInterval(() => {
  for (const time of document.querySelectorAll("time")) say(time, ago(time.dateTime));
}, 1000);

/** `namespace/name` with the namespace in the background. */
export function workload(text) {
  const [namespace, ...name] = plain(text).split("/");
  return el("span", { class: "workload" }, el("span", { class: "soft" }, `${namespace}/`), name.join("/"));
}

/** `host:port`, and `[address]:port` for IPv6. */
export const endpoint = (host, port) => (host.includes(":") ? `[${plain(host)}]:${port}` : `${plain(host)}:${port}`);

/** The same as an element, which is not broken within the port. */
export function where(host, port) {
  const name = endpoint(host, port);
  const at = name.lastIndexOf(":");
  return el("span", { class: "mono" }, name.slice(0, at), el("span", { class: "port" }, name.slice(at)));
}

/** What the proxy says of why, in words. The words of `exitway flows` stay beside them. */
export const REASONS = {
  "no-rule": "nothing allows it",
  port: "allowed on other ports",
  protocol: "allowed for another protocol",
  method: "allowed for other methods",
  path: "allowed for other paths",
  "denied-by-rule": "a rule denies it",
  "name-mismatch": "the TLS name is not the one that was asked for",
  address: "the name leads to an address it may not lead to",
  revoked: "cut when its permission ended",
  "not-proxied": "neither TCP nor anything a rule could allow",
  rule: "a rule allows it",
  "ip-range": "in an IP range that is direct",
};
