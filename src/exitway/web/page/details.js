// The side of the map: what is known of the chosen workload or destination, or the latest denials while nothing is chosen.

import { REASONS, bytes, counted, el, keyed, moment, plain, where, workload } from "./dom.js";
import { showRule } from "./rule.js";
import { asked, isRuleable, reason, ruleName } from "./tables.js";

const MOST_DENIALS = 12;
const MOST_LINKS = 100;
const place = document.getElementById("details");
const title = el("h2", { id: "details-title" });
const clear = el("button", { type: "button", class: "icon", "aria-label": "Clear the selection" }, "×");
const kind = el("p", { class: "soft" });
const links = el("ul", { class: "facts" });
const sub = el("h3");
const denials = el("ul", { class: "facts" });
const none = el("p", { class: "soft" });
place.replaceChildren(el("div", { class: "head" }, title, clear), kind, links, sub, denials, none);

export const onClear = (listener) => clear.addEventListener("click", listener);

/** `selection`: `{side, name}` or null. */
export function showDetails(selection, map, denied, search) {
  const of = (one) => !selection || (selection.side === "workload" ? one.workload : one.destination ?? (one.name || one.address)) === selection.name;
  const own = selection ? map.links.filter(of) : [];
  const recent = alike(denied.items.filter(of)).slice(0, MOST_DENIALS);
  title.replaceChildren(...heading(selection));
  clear.hidden = !selection;
  kind.hidden = !selection;
  kind.textContent = selection ? said(selection, own) : "";
  keyed(links, own.slice(0, MOST_LINKS), (link) => JSON.stringify([link.workload, link.destination, link.port, link.protocol]), () => el("li"), (line, link) => renew(line, link, () => fact(link, selection)));
  sub.hidden = !selection || !recent.length;
  sub.textContent = "Latest denials";
  keyed(denials, recent, (flow) => flow.key, () => el("li", { class: "denial" }), (line, flow) => renew(line, flow, () => denial(flow)));
  none.hidden = Boolean(selection) || recent.length > 0;
  none.textContent = search ? "No denial matches." : "Nothing has been denied in this time.";
}

/** One for all that are alike: the newest, with the count of all. */
function alike(flows) {
  const found = new Map();
  for (const flow of flows) {
    const key = JSON.stringify(["workload", "name", "address", "port", "protocol", "reason", "method", "path", "sni", "audit"].map((field) => flow[field]));
    const first = found.get(key);
    if (first) first.count += flow.count;
    else found.set(key, { ...flow, key });
  }
  return [...found.values()];
}

function renew(line, value, parts) {
  const stamp = JSON.stringify(value);
  if (line.dataset.stamp === stamp) return;
  line.dataset.stamp = stamp;
  line.replaceChildren(...parts());
}

function heading(selection) {
  if (!selection) return ["Latest denials"];
  return selection.side === "workload" ? [workload(selection.name)] : [el("span", { class: "mono" }, plain(selection.name))];
}

function said(selection, own) {
  const names = new Set(own.map((link) => link[selection.side === "workload" ? "destination" : "workload"]));
  const volume = own.reduce((sum, link) => sum + link.sent + link.received, 0);
  const side = selection.side === "workload" ? "Workload" : "Destination";
  const others = selection.side === "workload" ? counted(names.size, "destination") : counted(names.size, "workload");
  return [side, others, volume ? bytes(volume) : ""].filter(Boolean).join(" · ");
}

/** One line of the map: to or from where, how often, how much, and by which rule. */
function fact(link, selection) {
  const other = selection.side === "workload" ? where(link.destination, link.port) : el("span", {}, workload(link.workload), el("span", { class: "mono soft" }, ` :${link.port}`));
  const counts = [
    link.allowed ? el("span", { class: "allowed" }, `${counted(link.allowed, "time")} allowed`) : null,
    link.audited ? el("span", { class: "audited" }, `${counted(link.audited, "time")} let through by audit`) : null,
    link.denied ? el("span", { class: "denied" }, `${counted(link.denied, "time")} denied`) : null,
  ];
  const why = [...link.reasons.filter((word) => word !== "rule").map((word) => REASONS[word] ?? plain(word)), ...link.rules.map((rule) => `by ${ruleName(rule)}`)];
  const volume = link.sent + link.received ? `${bytes(link.sent)} out, ${bytes(link.received)} in` : "";
  return [
    el("p", { class: "line" }, other, moment(link.last)),
    el("p", { class: "counts" }, el("span", { class: "soft" }, plain(link.protocol).toUpperCase()), ...counts),
    el("p", { class: "soft small" }, [volume, ...why].filter(Boolean).join(" · ")),
  ];
}

function denial(flow) {
  const request = asked(flow);
  return [
    el("p", { class: "line" }, where(flow.name || flow.address, flow.port), moment(flow.last || flow.time)),
    el("p", { class: "soft small" }, workload(flow.workload), ` · ${plain(flow.protocol).toUpperCase()}`, flow.count > 1 ? ` · ${counted(flow.count, "time")}` : null, flow.audit ? " · audit" : null),
    request ? el("p", { class: "mono small cut" }, plain(request)) : null,
    el("p", { class: "line" }, el("span", { class: "small why" }, reason(flow), flow.rule ? el("span", { class: "soft" }, ` (${ruleName(flow.rule)})`) : null), isRuleable(flow) ? el("button", { type: "button", click: () => showRule(flow) }, "Show the rule") : null),
  ].filter(Boolean);
}
