// The grid of events: as many rows as there are for whoever asks how many, and elements only for those in sight.
//
// The focus stays on the grid itself; the row that it is at is its active descendant. An element belongs to its event
// (by ordinal), so a row that moves down is the same element. Nothing here scrolls or moves the focus unless the
// reader does.

import { el, fill, text, verdict } from "./dom.js";
import { clock, count } from "./format.js";

/** Rows beyond what is in sight. */
const AROUND = 8;
/** Browsers lay out nothing that is much higher; beyond it a pixel of the scroll bar stands for more than one. */
const HEIGHT_MAX = 8_000_000;

export class List {
  #grid;
  #head;
  #body;
  #rows;
  #elements = new Map();
  #active = null;
  #opened = null;
  #frame = 0;
  #onOpen;

  constructor({ grid, head, body, rows, onOpen, onScroll }) {
    Object.assign(this, { onScroll });
    this.#grid = grid;
    this.#head = head;
    this.#body = body;
    this.#rows = rows;
    this.#onOpen = onOpen;
    grid.addEventListener("scroll", () => { this.draw(); onScroll(); }, { passive: true });
    grid.addEventListener("keydown", (event) => this.#key(event));
    grid.addEventListener("focus", () => this.#enter());
    body.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.draw()).observe(grid);
  }

  get isAtTop() {
    return this.#grid.scrollTop <= 0;
  }

  get hasFocus() {
    return document.activeElement === this.#grid;
  }

  /** The index of the row that the keyboard is at, or -1. */
  get active() {
    return this.#active === null ? -1 : this.#rows.top - this.#active;
  }

  /** Marks the event that is open. */
  set opened(id) {
    this.#opened = id;
    this.draw();
  }

  focus() {
    this.#grid.focus({ preventScroll: true });
  }

  /** Begins at the top, with nothing chosen. */
  restart() {
    this.#active = null;
    for (const element of this.#elements.values()) element.remove();
    this.#elements.clear();
    this.#grid.scrollTop = 0;
    this.draw();
  }

  toTop() {
    this.#grid.scrollTop = 0;
    if (this.hasFocus) this.#active = this.#rows.top;
    this.draw();
  }

  /** Moves the keyboard's row, and brings it into sight. */
  move(index) {
    if (this.#rows.total === 0) return;
    const target = Math.min(Math.max(index, 0), this.#rows.total - 1);
    this.#active = this.#rows.top - target;
    this.#reveal(target);
    this.#drawNow();
  }

  /** Draws with the next frame. */
  draw() {
    this.#frame ||= requestAnimationFrame(() => this.#drawNow());
  }

  #sizes() {
    const row = parseFloat(getComputedStyle(this.#grid).getPropertyValue("--row")) || 34;
    const whole = this.#rows.total * row;
    const height = Math.min(whole, HEIGHT_MAX);
    const sight = Math.max(0, this.#grid.clientHeight - this.#head.offsetHeight);
    const ratio = height > sight ? (whole - sight) / (height - sight) : 1;
    return { row, height, sight, ratio, rows: Math.max(1, Math.floor(sight / row)) };
  }

  #drawNow() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (this.#grid.offsetParent === null) return;
    const { total, top } = this.#rows;
    const { row, height, sight, ratio } = this.#sizes();
    this.#body.style.height = `${height}px`;
    this.#grid.setAttribute("aria-rowcount", String(total + 1));
    const scroll = this.#grid.scrollTop;
    const from = scroll * ratio;
    const first = Math.max(0, Math.floor(from / row) - AROUND);
    const last = Math.min(total - 1, Math.ceil((from + sight) / row) + AROUND);
    const shown = new Set();
    for (let index = first; index <= last; index += 1) shown.add(top - index);
    if (this.#active !== null && this.active >= 0 && this.active < total) shown.add(this.#active);
    for (const [ordinal, element] of this.#elements) {
      if (shown.has(ordinal)) continue;
      element.remove();
      this.#elements.delete(ordinal);
    }
    for (const ordinal of shown) this.#place(ordinal, scroll + (top - ordinal) * row - from);
    this.#pointAtActive();
    if (total > 0) this.#rows.want(first, last);
  }

  #place(ordinal, y) {
    let element = this.#elements.get(ordinal);
    const row = this.#rows.byOrdinal(ordinal);
    if (!element) {
      element = el("div", { role: "row", class: "row", id: `row${ordinal}`, "data-testid": "event-row" });
      element.ordinal = ordinal;
      this.#elements.set(ordinal, element);
      this.#body.append(element);
    }
    if (element.row !== (row ?? null)) {
      element.row = row ?? null;
      describe(element, row);
    }
    element.setAttribute("aria-rowindex", String(this.#rows.top - ordinal + 2));
    element.classList.toggle("is-active", ordinal === this.#active);
    element.classList.toggle("is-open", row !== undefined && row.id === this.#opened);
    element.setAttribute("aria-selected", String(row !== undefined && row.id === this.#opened));
    element.style.transform = `translateY(${y}px)`;
  }

  #pointAtActive() {
    const element = this.#active === null ? undefined : this.#elements.get(this.#active);
    if (element) this.#grid.setAttribute("aria-activedescendant", element.id);
    else this.#grid.removeAttribute("aria-activedescendant");
  }

  #reveal(index) {
    const { row, height, sight, ratio } = this.#sizes();
    this.#body.style.height = `${height}px`;
    const from = this.#grid.scrollTop * ratio;
    const y = index * row;
    if (y < from) this.#grid.scrollTop = y / ratio;
    else if (y + row > from + sight) this.#grid.scrollTop = Math.ceil((y + row - sight) / ratio);
  }

  /** Where the keyboard comes in: at the row that it left, or at the first one in sight. */
  #enter() {
    const { row, ratio, rows } = this.#sizes();
    const first = Math.ceil((this.#grid.scrollTop * ratio) / row);
    const isInSight = this.active >= first && this.active < first + rows;
    if (!isInSight && this.#rows.total > 0) this.#active = this.#rows.top - Math.min(first, this.#rows.total - 1);
    this.draw();
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = this.#sizes().rows - 1;
    const moves = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: this.#rows.total - 1,
    };
    if (event.key in moves) {
      event.preventDefault();
      this.move(moves[event.key]);
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      const row = this.#rows.at(this.active);
      if (row) this.#onOpen(row.id);
    }
  }

  #click(event) {
    const element = event.target.closest(".row");
    if (!element?.row || String(getSelection()) !== "") return;
    this.#active = element.ordinal;
    this.#onOpen(element.row.id);
  }
}

function describe(element, row) {
  element.classList.toggle("is-bad", row?.verdict === "bad");
  element.classList.toggle("is-warned", row?.verdict === "warned");
  if (row === undefined) {
    element.removeAttribute("data-id");
    element.setAttribute("aria-busy", "true");
    fill(element, cell(3, "c-words wait", "loading…"));
    return;
  }
  element.removeAttribute("aria-busy");
  element.dataset.id = row.id;
  element.dataset.verdict = row.verdict;
  fill(
    element,
    cell(1, "c-verdict", verdict(row.verdict)),
    cell(2, "c-time", clock(row.received_ms)),
    cell(3, "c-words", el("bdi", {}, row.words), remarks(row)),
    cell(4, "c-visitor", row.visitor_id ? text(row.visitor_id) : "–"),
    cell(5, "c-sdk", row.client_name ? text(`${row.client_name} ${row.client_version ?? ""}`) : "–"),
  );
}

const cell = (column, name, ...children) =>
  el("span", { role: "gridcell", class: name, "aria-colindex": column }, ...children);

function remarks(row) {
  const problems = row.problems ?? row.warnings ?? [];
  const more = problems.length > 1 ? ` and ${problems.length - 1} more` : "";
  return [
    problems.length > 0 && el("span", { class: `note v-${row.verdict}` }, problems[0].problem, more),
    row.repeats > 0 && el("span", { class: "tag" }, `came ${count(row.repeats + 1)} times`),
    row.session && el("span", { class: "tag" }, el("bdi", {}, row.session)),
    row.fault && el("span", { class: "tag" }, "fault"),
  ];
}
