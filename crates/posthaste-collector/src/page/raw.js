// JSON as it was sent, laid out by line, with each problem below the line that it is about.

import { Digits } from "./api.js";
import { el, severity } from "./dom.js";
import { count } from "./format.js";

/** Lines and letters of a text that are shown until more are asked for. */
const LINES_MAX = 2_000;
const LETTERS_MAX = 4_000;

/** Letters that cannot be seen, or that turn the text around them. */
const UNSEEN = /[\u007f-\u00a0\u00ad\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]/g;

/** The same JSON as text; `Digits` as they were written. */
export function toText(value, indent = "") {
  const inner = `${indent}  `;
  if (value instanceof Digits) return value.source;
  if (Array.isArray(value) && value.length > 0) {
    return `[\n${value.map((item) => inner + toText(item, inner)).join(",\n")}\n${indent}]`;
  }
  if (value !== null && typeof value === "object" && Object.keys(value).length > 0) {
    const entries = Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${toText(item, inner)}`);
    return `{\n${entries.join(",\n")}\n${indent}}`;
  }
  return JSON.stringify(value);
}

/** An element with the JSON; `places` as the interface gives them. The notes have the ids `place-0`, `place-1`, …. */
export function raw(value, places) {
  const lines = [];
  const marks = new Map();
  places.forEach((place, index) => marks.set(place.at, [...(marks.get(place.at) ?? []), { ...place, index }]));
  lay(value, { lines, marks, pointer: "", indent: "", before: [], after: "" });
  const node = el("div", { class: "raw", "data-testid": "raw" });
  draw(node, lines, LINES_MAX);
  return node;
}

function draw(node, lines, max) {
  node.replaceChildren(...lines.slice(0, max).flatMap(line));
  if (lines.length <= max) return;
  const more = () => draw(node, lines, Infinity);
  node.append(el("button", { type: "button", class: "plain", on: { click: more } }, `show ${count(lines.length - max)} more lines`));
}

function line({ pieces, indent, notes, pointer }) {
  const onlyWarning = notes.length > 0 && notes.every((note) => note.severity === "warning");
  const name = `l${notes.length > 0 ? " marked" : ""}${onlyWarning ? " only-warning" : ""}`;
  return [el("span", { class: name, "data-pointer": pointer }, indent, pieces), ...notes.map(note)];
}

function note({ index, severity: how, problem, fix, kind }) {
  return el(
    "span",
    { class: `mark-note ${how === "warning" ? "warning" : "error"}`, id: `place-${index}`, tabindex: "-1", "data-testid": "raw-mark", "data-kind": kind },
    severity(how), " ", el("bdi", {}, problem), ". Fix: ", el("bdi", {}, fix),
  );
}

/** Adds the lines of one value; `before` are the pieces in front of it, `after` is what follows its last letter. */
function lay(value, { lines, marks, pointer, indent, before, after }) {
  const notes = marks.get(pointer) ?? [];
  const add = (pieces, of = []) => lines.push({ pieces, indent, notes: of, pointer });
  const isArray = Array.isArray(value);
  const isObject = value !== null && typeof value === "object" && !isArray && !(value instanceof Digits);
  const entries = isArray || isObject ? Object.entries(value) : [];
  if (entries.length === 0) {
    add([...before, leaf(value), after], notes);
    return;
  }
  add([...before, isArray ? "[" : "{"], notes);
  entries.forEach(([key, item], index) => {
    lay(item, {
      lines,
      marks,
      pointer: `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`,
      indent: `${indent}  `,
      before: isArray ? [] : [el("span", { class: "k" }, shown(key)), ": "],
      after: index < entries.length - 1 ? "," : "",
    });
  });
  add([isArray ? "]" : "}", after]);
}

function leaf(value) {
  if (value instanceof Digits) return el("span", { class: "x" }, value.source);
  if (typeof value !== "string") return el("span", { class: "x" }, JSON.stringify(value));
  if (value.length <= LETTERS_MAX) return el("span", { class: "s" }, shown(value));
  const rest = `… and ${count(value.length - LETTERS_MAX)} letters more`;
  return el("span", { class: "s" }, shown(value.slice(0, LETTERS_MAX)), el("span", { class: "muted" }, rest));
}

const shown = (value) =>
  JSON.stringify(value).replace(UNSEEN, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
