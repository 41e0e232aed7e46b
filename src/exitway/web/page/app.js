// The page: what is shown is what the server told last, in `told`; who looks chooses a view, a time, a search and a node.

import { compact, counted, plain, say } from "./dom.js";
import { onClear, showDetails } from "./details.js";
import { Live, takeToken } from "./live.js";
import { choose, draw, keydown as mapKeydown, onSelect } from "./map.js";
import { copyRule } from "./rule.js";
import { focusTable, showDenials, showProxies, showRules, showRunning } from "./tables.js";
import { turn } from "./theme.js";

const VIEWS = ["map", "denials", "rules", "proxies"];
const SEARCH_MS = 120;
const SPOKEN_MS = 3000;
const byId = (name) => document.getElementById(name);

const told = {};
let selection = null;
let search = "";
let away = 0;
let anew = true; // the next map is the answer to another question: what it shows is not news

// ---- what the server tells

/** How many there are, beside the name of the view; `warn`: something is wrong with them. */
function count(name, number, warn = false) {
  say(byId(`count-${name}`), number ? compact(number) : "");
  byId(`count-${name}`).classList.toggle("warn", warn);
}

const SHOW = {
  map(map) {
    const fresh = draw(map, search, anew);
    document.body.classList.add("told");
    performance.mark("map");
    anew = false;
    const { allowed, audited, denied, workloads, destinations } = map.totals;
    const calls = [`${compact(allowed)} let out`, `${compact(denied)} denied`, audited ? `${compact(audited)} let out by audit` : ""].filter(Boolean).join(", ");
    const seen = `${counted(workloads, "workload")}, ${map.whole ? "" : "the latest "}${counted(destinations, "destination")}: ${calls}`;
    say(byId("map-summary"), workloads ? seen : "");
    if (fresh.length) speak(fresh);
    details();
  },
  denials: (denials) => {
    count("denials", denials.total);
    details();
    if (view() === "denials") showDenials(denials, search);
  },
  rules: (rules) => {
    count("rules", rules.total);
    if (view() === "rules") showRules(rules, search);
  },
  proxies: (proxies) => {
    count("proxies", proxies.items.length, proxies.items.some((one) => !one.inStep || one.errors.length));
    if (view() === "proxies") showProxies(proxies);
  },
  running: (running) => view() === "proxies" && showRunning(running, search),
  server: (server) => (byId("state").title = `Exitway ${server.version}, process ${server.pid}, rules at revision ${server.revision}`),
};

const live = new Live(
  (name, value) => {
    told[name] = value;
    SHOW[name]?.(value);
    if (name === "server") problems();
  },
  (state, error) => (state === "live" ? back() : lost(error)),
);

function details() {
  if (told.map && told.denials) showDetails(selection, told.map, told.denials, search);
}

let silentUntil = 0;

/** Said to a screen reader, not more often than it can be listened to. */
function speak(pairs) {
  if (Date.now() < silentUntil) return;
  silentUntil = Date.now() + SPOKEN_MS;
  const [first] = pairs;
  byId("spoken").textContent = `Denied: ${plain(first.workload)} to ${plain(first.destination)}${pairs.length > 1 ? ` and ${pairs.length - 1} more` : ""}`;
}

// ---- how the server is

const SAID = {
  401: () => "This page has no valid token. Run exitway dashboard, and open the address that it prints.",
  0: () => "The command exitway dashboard has ended. Start it again, and open the address that it prints.",
};

function lost(error) {
  away ||= Date.now();
  document.body.dataset.state = "away";
  say(byId("state-text"), error.status === 401 ? "No token" : "Not connected");
  const since = new Date(away).toLocaleTimeString();
  const other = () => `The server does not answer (since ${since}). ${told.map ? "What is shown is from before. " : ""}Trying again…`;
  banner((SAID[error.status] ?? other)(), "fault");
}

function back() {
  if (document.body.dataset.state === "live") return;
  document.body.dataset.state = "live";
  say(byId("state-text"), "Live");
  if (away) byId("spoken").textContent = "Connected again";
  away = 0;
  problems();
}

/** What the server itself says is wrong. */
function problems() {
  if (away) return;
  const found = told.server?.problems ?? [];
  banner(found.map(plain).join(" · "), "fault");
}

function banner(text, kind) {
  const line = byId("banner");
  line.hidden = !text;
  line.className = kind;
  say(line, text);
}

// ---- what who looks chooses

function ask() {
  anew = true;
  live.follow(new URLSearchParams({ since: byId("since").value, search }));
}

function view() {
  const name = location.hash.replace(/^#\//, "");
  return VIEWS.includes(name) ? name : "map";
}

function showView() {
  const now = view();
  for (const name of VIEWS) byId(name).hidden = name !== now;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === now) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${now[0].toUpperCase()}${now.slice(1)} · Exitway`;
  if (now === "map" && told.map) draw(told.map, search, true);
  for (const name of now === "proxies" ? ["proxies", "running"] : now === "map" ? [] : [now]) if (told[name]) SHOW[name](told[name]);
}

function select(chosen) {
  selection = chosen;
  choose(chosen);
  details();
}

let typing = 0;
byId("search").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    search = byId("search").value.trim();
    ask();
  }, SEARCH_MS);
});
byId("since").addEventListener("change", ask);
addEventListener("hashchange", showView);
// A page that nobody sees asks nothing: it would keep the server busy, and one of the few connections that a browser has for us.
document.addEventListener("visibilitychange", () => (document.hidden ? live.rest() : ask()));
addEventListener("pagehide", () => live.rest());
addEventListener("pageshow", (event) => event.persisted && ask());
onSelect(select);
onClear(() => select(null));

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
byId("help").addEventListener("click", () => byId("keys").showModal());

// ---- keys

const KEYS = {
  "/": () => byId("search").focus(),
  "?": () => byId("keys").showModal(),
  t: turn,
  c: copyRule,
  j: () => enter(),
  ArrowDown: () => enter(),
  Escape: clear,
};
VIEWS.forEach((name, index) => (KEYS[index + 1] = () => go(name)));

function go(name) {
  location.hash = `#/${name}`;
  showView(); // now: the next key is for it
}

/** From anywhere into what is shown. */
function enter() {
  if (view() === "map") document.querySelector(".node[tabindex='0']")?.focus();
  else focusTable(view());
}

function clear() {
  if (selection) select(null);
  else if (byId("search").value) {
    byId("search").value = "";
    byId("search").dispatchEvent(new Event("input"));
  } else document.activeElement?.blur();
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const open = document.querySelector("dialog[open]");
  if (open) {
    if (event.key === "c" && open.id === "rule") copyRule();
    return;
  }
  if (event.target.matches("input, select")) {
    if (event.key === "Escape" && event.target.id === "search") clear();
    return;
  }
  if (view() === "map" && mapKeydown(event)) return event.preventDefault();
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

takeToken();
showView();
ask();
