// The map: workloads on the left, destinations on the right, and a line for each pair that has talked or tried to.
// The nodes are buttons, so that keyboard and screen reader have them; the lines are drawn behind them.

import { compact, counted, bytes, el, keyed, plain, say, svg, workload } from "./dom.js";

const SHORES = ["workload", "destination"];
const MOST_NODES = 60;
const MOST_DENIED = 40;
const FRESH_MS = 1600;
const columns = { workload: document.getElementById("workloads"), destination: document.getElementById("destinations") };
const canvas = document.getElementById("canvas");
const lines = svg("svg", { "aria-hidden": "true", focusable: "false" });
canvas.prepend(lines);

let pairs = [];
let selected = null;
let denied = new Map();
let select = () => {};

/** `chosen(selection)`: called with `{side, name}` when a node is chosen, or null. */
export function onSelect(chosen) {
  select = chosen;
}

/** Draw what the server tells of the map. Returns the pairs that have more denials than before; `anew`: it is the answer to another question. */
export function draw({ links, leftOff }, search, anew) {
  const all = paired(links);
  pairs = fitting(all);
  const nodes = { workload: summed(pairs, "workload").sort(byName), destination: summed(pairs, "destination") };
  const order = new Map(nodes.workload.map((node, index) => [node.name, index]));
  nodes.destination.sort((a, b) => weight(a, order) - weight(b, order) || byName(a, b));
  for (const [side, column] of Object.entries(columns)) {
    keyed(column, nodes[side], (node) => node.name, (node) => made(side, node), (button, node) => renew(side, button, node));
    rove(column);
  }
  more(all.length - pairs.length + leftOff);
  empty(pairs.length === 0, search);
  const fresh = news(anew);
  mark();
  route(fresh);
  return fresh;
}

/** Show as chosen what is chosen: `{side, name}` or null. */
export function choose(selection) {
  selected = selection;
  mark();
}

function paired(links) {
  const found = new Map();
  for (const link of links) {
    const id = JSON.stringify([link.workload, link.destination]);
    const pair = found.get(id) ?? { id, workload: link.workload, destination: link.destination, allowed: 0, denied: 0, audited: 0, bytes: 0, ports: new Set(), last: "" };
    found.set(id, pair);
    for (const what of ["allowed", "denied", "audited"]) pair[what] += link[what];
    pair.bytes += link.sent + link.received;
    pair.ports.add(link.port);
    if (link.last > pair.last) pair.last = link.last;
  }
  return [...found.values()];
}

function summed(all, side) {
  const other = side === "workload" ? "destination" : "workload";
  const found = new Map();
  for (const pair of all) {
    const node = found.get(pair[side]) ?? { name: pair[side], allowed: 0, denied: 0, audited: 0, bytes: 0, ports: new Set(), others: [], last: "" };
    found.set(pair[side], node);
    for (const what of ["allowed", "denied", "audited", "bytes"]) node[what] += pair[what];
    pair.ports.forEach((port) => node.ports.add(port));
    node.others.push(pair[other]);
    if (pair.last > node.last) node.last = pair.last;
  }
  return [...found.values()];
}

/** The pairs for whose nodes there is room: most of it for what was denied, the latest first, the rest for what was used most. */
function fitting(all) {
  const names = { workload: new Set(), destination: new Set() };
  const found = [];
  const take = (candidates, most) => {
    for (const pair of candidates) {
      const fits = SHORES.every((side) => names[side].has(pair[side]) || names[side].size < most);
      if (!fits) continue;
      for (const side of SHORES) names[side].add(pair[side]);
      found.push(pair);
    }
  };
  const others = all.filter((pair) => !pair.denied).sort((a, b) => b.allowed + b.audited - a.allowed - a.audited);
  const denied = all.filter((pair) => pair.denied).sort((a, b) => (a.last < b.last ? 1 : -1));
  const left = new Set(others.map((pair) => pair.destination)).size;
  take(denied, Math.max(MOST_DENIED, MOST_NODES - left));
  take(others, MOST_NODES);
  return found;
}

const byName = (a, b) => (a.name < b.name ? -1 : 1);

/** Where a destination would stand if it stood beside those that talk to it. */
function weight(node, order) {
  return node.others.reduce((sum, name) => sum + order.get(name), 0) / node.others.length;
}

function made(side, node) {
  const name = side === "workload" ? workload(node.name) : el("span", { class: "name" }, plain(node.name));
  const about = el("span", { class: "about" }, el("span", { class: "ports" }), el("span", { class: "sum" }));
  const first = el("span", { class: "first" }, name, el("span", { class: "no" }));
  return el("button", { type: "button", class: `node ${side}`, title: plain(node.name), click: () => select(chosen(side, node.name)) }, first, about);
}

const chosen = (side, name) => (selected?.side === side && selected.name === name ? null : { side, name });

function renew(side, button, node) {
  const ports = [...node.ports].sort((a, b) => a - b).filter((port) => port);
  say(button.querySelector(".ports"), side === "destination" ? ports.slice(0, 4).map((p) => `:${p}`).join(" ") + (ports.length > 4 ? " …" : "") : counted(node.others.length, "destination"));
  const let_ = node.allowed + node.audited;
  say(button.querySelector(".sum"), [let_ ? `${compact(let_)}×` : "", let_ && node.bytes ? bytes(node.bytes) : ""].filter(Boolean).join("  "));
  say(button.querySelector(".no"), node.denied ? `${compact(node.denied)} denied` : "");
  button.classList.toggle("has-denied", node.denied > 0);
  button.classList.toggle("has-audited", node.audited > 0 && !node.denied);
}

function more(number) {
  const line = document.getElementById("map-more");
  line.hidden = number <= 0;
  say(line, `${counted(number, "more line")} not shown here; a search finds them.`);
}

function empty(nothing, search) {
  const box = document.getElementById("map-empty");
  box.hidden = !nothing;
  canvas.hidden = nothing;
  if (!nothing) return;
  box.replaceChildren(
    ...(search
      ? [el("p", {}, "Nothing matches ", el("q", {}, plain(search)), ".")]
      : [el("p", {}, "Nothing has been seen in this time."), el("p", { class: "soft" }, "Run a program, and what it talks to appears here:"), el("pre", {}, "exitway run -- curl http://httpbin.org/headers")]),
  );
}

/** The pairs that have more denials than when they were last drawn. */
function news(anew) {
  const before = denied;
  denied = new Map(pairs.map((pair) => [pair.id, pair.denied]));
  return !anew ? pairs.filter((pair) => pair.denied > (before.get(pair.id) ?? 0)) : [];
}

function related(pair) {
  return !selected || pair[selected.side] === selected.name;
}

/** Let stand back what has nothing to do with what is chosen. */
function mark() {
  const near = { workload: new Set(), destination: new Set() };
  for (const pair of pairs.filter(related)) for (const side of Object.keys(near)) near[side].add(pair[side]);
  for (const [side, column] of Object.entries(columns))
    for (const button of column.children) {
      const is = selected?.side === side && selected.name === button.dataset.key;
      button.setAttribute("aria-pressed", String(is));
      button.classList.toggle("far", Boolean(selected) && !near[side].has(button.dataset.key));
    }
  for (const path of lines.children) path.classList.toggle("far", Boolean(selected) && path.dataset[selected.side] !== selected.name);
}

/** Draw the lines. Where many meet at a node they are spread over its height, in the order of their other ends. */
function route(fresh = []) {
  if (canvas.hidden || !canvas.offsetParent) return;
  const { width } = canvas.getBoundingClientRect();
  const height = Math.max(...Object.values(columns).map((column) => column.offsetTop + column.offsetHeight));
  lines.setAttribute("viewBox", `0 0 ${width} ${height}`);
  lines.setAttribute("width", width);
  lines.setAttribute("height", height);
  const boxes = { workload: placed(columns.workload), destination: placed(columns.destination) };
  const ends = { workload: spread("workload", "destination", boxes), destination: spread("destination", "workload", boxes) };
  const freshly = new Set(fresh.map((pair) => pair.id));
  const strands = pairs.flatMap((pair) => strandsOf(pair).map((kind, index, all) => ({ pair, kind, offset: (index - (all.length - 1) / 2) * 4, id: `${kind} ${pair.id}` })));
  const left = columns.workload.offsetLeft + columns.workload.offsetWidth;
  const right = columns.destination.offsetLeft;
  keyed(lines, strands, (strand) => strand.id, () => svg("path", { fill: "none" }), (path, { pair, kind, offset }) => {
    const [from, to] = SHORES.map((side) => ends[side].get(pair.id) + offset);
    const bend = (right - left) * 0.45;
    path.setAttribute("d", `M${left} ${from}C${left + bend} ${from} ${right - bend} ${to} ${right} ${to}`);
    path.setAttribute("class", kind);
    path.setAttribute("stroke-width", (1.2 + Math.min(5, Math.log10(pair[kind]) * 1.1)).toFixed(2));
    for (const side of SHORES) path.dataset[side] = pair[side];
    path.classList.toggle("far", !related(pair));
    if (kind === "denied" && freshly.has(pair.id)) flash(path, pair);
  });
}

const strandsOf = (pair) => ["allowed", "audited", "denied"].filter((kind) => pair[kind] > 0);

function placed(column) {
  return new Map([...column.children].map((button) => [button.dataset.key, { top: column.offsetTop + button.offsetTop, height: button.offsetHeight }]));
}

function spread(side, other, boxes) {
  const at = new Map();
  const sorted = [...pairs].sort((a, b) => boxes[other].get(a[other]).top - boxes[other].get(b[other]).top);
  for (const [name, { top, height }] of boxes[side]) {
    const own = sorted.filter((pair) => pair[side] === name);
    const step = Math.min(9, (height - 14) / own.length);
    own.forEach((pair, index) => at.set(pair.id, top + height / 2 + (index - (own.length - 1) / 2) * step));
  }
  return at;
}

function flash(path, pair) {
  const nodes = SHORES.map((side) => [...columns[side].children].find((button) => button.dataset.key === pair[side]));
  for (const one of [path, ...nodes]) {
    one?.classList.add("fresh");
    setTimeout(() => one?.classList.remove("fresh"), FRESH_MS);
  }
}

/** One stop of the tab key for each column; arrows move in it, and to the other one. */
function rove(column) {
  const current = column.querySelector("[tabindex='0']") ?? column.firstElementChild;
  for (const button of column.children) button.tabIndex = button === current ? 0 : -1;
}

export function keydown(event) {
  const button = event.target.closest?.(".node");
  if (!button) return false;
  const down = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  const to = { ArrowLeft: columns.workload, ArrowRight: columns.destination }[event.key];
  const all = [...button.parentElement.children];
  let next = null;
  if (down) next = all[all.indexOf(button) + down];
  else if (event.key === "Home") next = all[0];
  else if (event.key === "End") next = all.at(-1);
  else if (to && to !== button.parentElement) next = nearest(button, to);
  else return false;
  if (next) {
    for (const one of next.parentElement.children) one.tabIndex = one === next ? 0 : -1;
    next.focus();
  }
  return true;
}

/** Of the other column, what it has talked to, at about the same height. */
function nearest(button, column) {
  const [side, other] = column === columns.destination ? ["workload", "destination"] : ["destination", "workload"];
  const names = new Set(pairs.filter((pair) => pair[side] === button.dataset.key).map((pair) => pair[other]));
  const distance = (one) => Math.abs(one.offsetTop - button.offsetTop);
  return [...column.children].filter((one) => names.has(one.dataset.key)).sort((a, b) => distance(a) - distance(b))[0];
}

new ResizeObserver(() => route()).observe(canvas);
