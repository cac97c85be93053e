// The search field, the verdict, the other filters and what is in force of them. Says what the reader wants; the
// address decides.

import { byId, el, fill, icon } from "./dom.js";

const FIELDS = [
  ["visitor", "Visitor", "ann, or ann* for all that begin so"],
  ["experiment", "Experiment", "key or id"],
  ["variation", "Variation", "key or id"],
  ["key", "Event key", "purchase"],
  ["flag", "Flag", "key"],
  ["uuid", "UUID", ""],
  ["problem", "Problem", "kind"],
  ["session", "Test session", "name"],
];
const NAMES = { q: "text", verdict: "verdict", ...Object.fromEntries(FIELDS.map(([name, label]) => [name, label.toLowerCase()])) };
/** Options that a field offers. */
const OFFERED_MAX = 200;

export class Filters {
  #now = {};
  #timer = 0;
  #onChange;
  #inputs = new Map([["q", byId("filter-q")]]);

  /** `onChange(filters, "push" | "replace")`. */
  constructor(onChange) {
    this.#onChange = onChange;
    fill(byId("filters"), FIELDS.map((field) => this.#field(field)));
    byId("filter-q").addEventListener("input", () => this.#type());
    byId("filters-open").addEventListener("click", () => this.#toggle());
    for (const button of document.querySelectorAll("[data-verdict]")) {
      if (button.tagName === "BUTTON") button.addEventListener("click", () => this.#set("verdict", button.dataset.verdict));
    }
  }

  /** Shows what is in force. */
  show(filters) {
    this.#now = { ...filters };
    for (const [name, input] of this.#inputs) {
      if (document.activeElement !== input) input.value = filters[name] ?? "";
    }
    for (const button of document.querySelectorAll("button[data-verdict]")) {
      button.setAttribute("aria-pressed", String((filters.verdict ?? "") === button.dataset.verdict));
    }
    this.#chips(Object.entries(filters).filter(([name]) => name !== "q" && name !== "verdict"));
  }

  /** What the fields offer: `{experiment: [...], …}`. */
  offer(values) {
    for (const [name, offered] of Object.entries(values)) {
      const options = [...new Set(offered.filter(Boolean))].slice(0, OFFERED_MAX);
      const list = byId(`offer-${name}`);
      if (list) fill(list, options.map((value) => el("option", { value })));
    }
  }

  #field([name, label, hint]) {
    const input = el("input", {
      "data-testid": `filter-${name}`, list: `offer-${name}`, placeholder: hint, autocomplete: "off", spellcheck: "false",
      on: { input: () => this.#type() },
    });
    this.#inputs.set(name, input);
    return el("label", {}, label, input, el("datalist", { id: `offer-${name}` }));
  }

  #toggle() {
    const button = byId("filters-open");
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    byId("filters").hidden = !open;
    if (open) this.#inputs.get("visitor").focus();
  }

  #type() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const filters = { ...this.#now };
      for (const [name, input] of this.#inputs) filters[name] = input.value.trim();
      this.#onChange(clean(filters), "replace");
    }, 200);
  }

  #set(name, value) {
    this.#onChange(clean({ ...this.#now, [name]: value }), "push");
  }

  #chips(entries) {
    const list = byId("chips");
    const hadFocus = list.contains(document.activeElement);
    list.hidden = entries.length === 0;
    fill(list, entries.map(([name, value]) => el("li", {}, el(
      "button",
      { type: "button", "data-testid": `chip-${name}`, "aria-label": `Remove the filter ${NAMES[name]} ${value}`, on: { click: () => this.#set(name, "") } },
      `${NAMES[name]} `, el("bdi", {}, value), icon("close"),
    ))));
    if (hadFocus) (list.querySelector("button") ?? byId("filter-q")).focus();
  }
}

const clean = (filters) => Object.fromEntries(Object.entries(filters).filter(([, value]) => value));
