// What the four tables show of the server's answers.

import { REASONS, compact, counted, el, moment, plain, say, where, workload } from "./dom.js";
import { showRule, showRuleInForce } from "./rule.js";
import { Table } from "./table.js";

const place = (name) => document.getElementById(`${name}-table`);
const mono = (text) => el("span", { class: "mono" }, plain(text));
const soft = (text) => el("span", { class: "soft" }, text);
const tag = (kind, text) => el("span", { class: `tag ${kind}` }, text);
const dash = () => soft("–");

/** `namespace/name` of a rule's key. */
export const ruleName = (key) => plain(key.split("/").slice(1).join("/"));

/** What was asked for, beyond the destination. */
export function asked(flow) {
  return [flow.method, flow.path, flow.sni && flow.sni !== flow.name ? `SNI ${flow.sni}` : ""].filter(Boolean).join(" ") || flow.detail || "";
}

export const reason = (flow) => el("span", { title: plain(flow.reason) }, REASONS[flow.reason] ?? plain(flow.reason));

export const isRuleable = (flow) => flow.reason !== "not-proxied";

const denials = new Table(place("denials"), "Denials, the newest first", [
  ["When", "when", (row) => moment(row.last || row.time)],
  ["Times", "number", (row) => compact(row.count)],
  ["Workload", "", (row) => workload(row.workload)],
  ["Destination", "wide", (row) => where(row.name || row.address, row.port)],
  ["Protocol", "short", (row) => plain(row.protocol).toUpperCase()],
  ["Request", "wide", (row) => (asked(row) ? mono(asked(row)) : dash())],
  ["Why", "wide", (row) => el("span", {}, row.audit ? tag("audit", "audit") : null, reason(row), row.rule ? el("span", { class: "soft" }, ` (${ruleName(row.rule)})`) : null)],
  ["", "action", (row) => (isRuleable(row) ? el("button", { type: "button", tabindex: "-1" }, "Show the rule") : "")],
], { key: (row) => String(row.id), entered: showRule });

const rules = new Table(place("rules"), "Rules", [
  ["Rule", "", (row) => workload(`${row.namespace}/${row.name}`)],
  ["Action", "", (row) => (row.expired ? tag("past", "expired") : tag(row.action === "DENY" ? "deny" : "allow", row.action.toLowerCase()))],
  ["Destinations", "wide", (row) => mono(some(row.to.flatMap((way) => way.destinations)))],
  ["Ports", "", (row) => some([...new Set(row.to.flatMap((way) => way.ports))])],
  ["For", "", (row) => plain(row.workloads)],
  ["Expires", "", (row) => (row.expires ? el("span", {}, new Date(row.expires).toLocaleDateString()) : dash())],
  ["Last use", "when", (row) => moment(row.last)],
  ["Uses", "number", (row) => compact(row.uses)],
  ["", "action", () => el("button", { type: "button", tabindex: "-1" }, "Show")],
], { key: (row) => `${row.apiVersion}/${row.key}`, header: 0, entered: showRuleInForce });

const proxies = new Table(place("proxies"), "Proxies", [
  ["Proxy", "", (row) => plain(row.name)],
  ["State", "", (row) => (row.errors.length ? tag("deny", "refused the newest") : row.inStep ? tag("allow", "in step") : tag("audit", "behind"))],
  ["Acknowledged", "short", (row) => `revision ${row.revision}`],
  ["Rules are at", "short", (row) => `revision ${row.newest}`],
  ["Configuration", "", (row) => mono(row.configuration || "–")],
  ["What it refused", "wide", (row) => (row.errors.length ? plain(row.errors.join("; ")) : dash())],
], { key: (row) => row.id, header: 0 });

const running = new Table(place("running"), "Workloads", [
  ["Workload", "", (row) => workload(`${row.namespace}/${row.name}`)],
  ["Process", "short", (row) => String(row.pid)],
  ["Denials are", "", (row) => (row.audit ? tag("audit", "only recorded (audit)") : tag("allow", "carried out"))],
  ["Past the proxy", "wide", (row) => (row.direct.length ? mono(some(row.direct)) : dash())],
  ["Fault", "wide", (row) => (row.error ? el("span", { class: "fault" }, plain(row.error)) : dash())],
], { key: (row) => row.id, header: 0 });

function some(words, most = 4) {
  return words.slice(0, most).map(plain).join(", ") + (words.length > most ? ` and ${words.length - most} more` : "");
}

const summary = (name, text) => say(document.getElementById(`${name}-summary`), text);
const lines = (...texts) => texts.map((text, index) => el("p", { class: index ? "soft" : null }, text));

export function showDenials({ items, leftOff, total }, search) {
  summary("denials", total ? `${counted(total, "denial")}${leftOff ? `; the newest ${items.length} records are shown, ${compact(leftOff)} more are not` : ""}` : "");
  denials.show(items, search ? lines(`No denial matches “${plain(search)}”.`) : lines("Nothing has been denied in this time.", "A denial appears here the moment it happens."));
}

export function showRules({ items, total }, search) {
  const unused = items.filter((row) => !row.last).length;
  summary("rules", items.length ? `${counted(items.length, "rule")}${unused ? `, ${unused} never used` : ""}` : "");
  rules.show(items, search ? lines(`No rule matches “${plain(search)}”.`) : [...lines("There is no rule: nothing leaves."), el("pre", {}, "exitway create -f rule.yml")]);
}

export function showProxies({ items }) {
  const behind = items.filter((row) => !row.inStep || row.errors.length).length;
  summary("proxies", items.length ? (behind ? `${behind} of ${items.length} without the newest rules` : "all have the newest rules") : "");
  proxies.show(items, lines("No proxy is connected.", "Nothing but what rules call direct gets out while there is none. The server starts one by itself."));
}

export function showRunning({ items }, search) {
  summary("running", items.length ? counted(items.length, "running workload") : "");
  running.show(items, search ? lines(`No running workload matches “${plain(search)}”.`) : [...lines("No workload is running."), el("pre", {}, "exitway run -- COMMAND")]);
}

/** The focus into the table of a view. */
export function focusTable(view) {
  ({ denials, rules, proxies })[view]?.focus();
}

