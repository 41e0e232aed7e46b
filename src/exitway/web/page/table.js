// A table that is kept up to date, and can be walked through with the arrow keys.

import { el, keyed } from "./dom.js";

/** `columns`: `[title, class, cell(row)]`, whose cell is a node or text. `key(row)`, `entered(row)` when one is chosen. `stamp(row)`: what its cells depend on. */
export class Table {
  #columns;
  #given;
  #rows = new Map();
  #chosen = null;
  #body = el("tbody");
  #empty = el("div", { class: "empty" });

  constructor(place, label, columns, given) {
    this.#columns = columns;
    this.#given = given;
    const head = el("tr", {}, ...columns.map(([title, kind]) => el("th", { scope: "col", class: kind }, title || el("span", { class: "unseen" }, "Action"))));
    this.frame = el("div", { class: "table" }, el("table", { "aria-label": label }, el("thead", {}, head), this.#body));
    place.replaceChildren(this.frame, this.#empty);
    this.#body.addEventListener("click", (event) => this.#clicked(event));
    this.#body.addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** Show these rows; `nothing`: nodes to be shown where there are none. */
  show(rows, nothing) {
    const { key, stamp } = this.#given;
    this.#rows = new Map(rows.map((row) => [key(row), row]));
    keyed(this.#body, rows, key, () => el("tr", { tabindex: "-1" }), (line, row) => {
      const now = JSON.stringify(stamp ? stamp(row) : row);
      if (line.dataset.stamp === now) return;
      line.dataset.stamp = now;
      const inside = line.contains(document.activeElement);
      line.replaceChildren(...this.#columns.map(([, kind, cell], index) => el(index === this.#given.header ? "th" : "td", { class: kind, scope: index === this.#given.header ? "row" : null }, cell(row))));
      if (inside) line.focus({ preventScroll: true });
    });
    if (!this.#rows.has(this.#chosen)) this.#chosen = null;
    for (const [index, line] of [...this.#body.children].entries()) line.tabIndex = (this.#chosen ? line.dataset.key === this.#chosen : index === 0) ? 0 : -1;
    this.frame.hidden = rows.length === 0;
    this.#empty.hidden = rows.length > 0;
    if (!rows.length) this.#empty.replaceChildren(...nothing);
  }

  /** The focus to the row that had it last, or the first. */
  focus() {
    const line = this.#body.querySelector("tr[tabindex='0']");
    if (line) this.#current(line);
    line?.focus();
  }

  #clicked(event) {
    const line = event.target.closest("tr");
    this.#current(line);
    if (event.target.closest("button")) this.#given.entered?.(this.#rows.get(line.dataset.key));
  }

  #pressed(event) {
    const line = event.target.closest("tr");
    if (event.key === "Enter" && event.target === line) {
      this.#given.entered?.(this.#rows.get(line.dataset.key));
      event.preventDefault();
      return;
    }
    const lines = [...this.#body.children];
    const at = lines.indexOf(line);
    const to = { ArrowDown: at + 1, j: at + 1, ArrowUp: at - 1, k: at - 1, Home: 0, End: lines.length - 1, PageDown: Math.min(at + 10, lines.length - 1), PageUp: Math.max(at - 10, 0) }[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (lines[to]) {
      this.#current(lines[to]);
      lines[to].focus();
    }
  }

  #current(line) {
    for (const one of this.#body.querySelectorAll("tr[tabindex='0']")) one.tabIndex = -1;
    line.tabIndex = 0;
    this.#chosen = line.dataset.key;
  }
}
