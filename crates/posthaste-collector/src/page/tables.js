// Problems by kind, what sends, and test sessions: one table each.

import { href } from "./address.js";
import { el, severity, text } from "./dom.js";
import { bytes, count, counted } from "./format.js";

export function problems({ problems: list = [] }, link) {
  if (list.length === 0) return [el("p", { class: "muted", "data-testid": "no-problems" }, "Nothing is wrong with any event that is kept.")];
  const row = ({ kind, severity: how, count: times, problem, fix, path, example }) => [
    [severity(how)],
    [count(times), "num"],
    [[el("div", {}, el("bdi", {}, problem)), el("div", { class: "fix" }, "Fix: ", el("bdi", {}, fix))], "long"],
    [path ? text(path) : "the body"],
    [[link({ problem: kind }, kind, "problem-events"), " ", example !== undefined && example !== null && el("a", { href: href({ event: example, filters: { problem: kind } }), "data-nav": "", "data-testid": "problem-example" }, "example")]],
  ];
  return [card(table("problems-table", "problem-row", ["Severity", "#Events", "Problem", "Where", "Show"], list.map(row)))];
}

export function sources({ sdks = [], repeats = 0, forgotten = 0, memory }, _link) {
  const row = ({ name, version, requests, events, bad, repeats: again }) => [
    [text(name || "without a name")], [text(version || "–")],
    [count(requests), "num"], [count(events), "num"], [count(bad), "num"], [count(again), "num"],
  ];
  const kept = memory && el("p", { "data-testid": "memory" }, `${counted(memory.events, "event")} kept in ${bytes(memory.bytes)} of ${bytes(memory.bytes_max)} `,
    el("meter", { min: 0, max: memory.bytes_max, value: memory.bytes, "aria-label": "Memory in use" }));
  return [
    el("p", { "data-testid": "repeats" }, repeats === 0 ? "No event came twice." : `${counted(repeats, "time")} an event came again; each is counted once.`),
    sdks.length === 0
      ? el("p", { class: "muted", "data-testid": "no-sources" }, "Nothing has been sent yet.")
      : card(table("sources-table", "source-row", ["Sent by", "Version", "#Requests", "#Events", "#Bad", "#Repeats"], sdks.map(row))),
    kept,
    forgotten > 0 && el("p", { "data-testid": "forgotten" }, `${counted(forgotten, "event")} had to make room and ${forgotten === 1 ? "is" : "are"} not counted here.`),
  ];
}

export function sessions({ sessions: list = [] }, link, onReset) {
  if (list.length === 0) {
    return [el("p", { class: "muted", "data-testid": "no-sessions" }, "No test session yet. A test names its own by the path /t/NAME/v1/events, or by the header X-Posthaste-Session.")];
  }
  const row = ({ name, requests, events, good, warned, bad, repeats }) => [
    [link({ session: name }, name, "session-events")],
    [count(requests), "num"], [count(events), "num"], [count(good), "num"], [count(warned), "num"], [count(bad), "num"], [count(repeats), "num"],
    [el("button", { type: "button", class: "plain", "data-testid": "session-reset", "aria-label": `Reset the session ${name}`, on: { click: () => onReset(name) } }, "Reset…")],
  ];
  return [card(table("sessions-table", "session-row", ["Session", "#Requests", "#Events", "#Good", "#Warned", "#Bad", "#Repeats", "Reset"], list.map(row)))];
}

const card = (...children) => el("div", { class: "card" }, el("div", { class: "wide", tabindex: "0", role: "group", "aria-label": "Table" }, children));

/** A heading that begins with # is one of numbers. Cells are `[content, class]`; the first is the row's heading. */
function table(testid, rowTestid, headings, rows) {
  const bare = headings.map((heading) => heading.replace("#", ""));
  const cells = (row) => row.map(([content, name], index) =>
    index === 0
      ? el("th", { scope: "row" }, content)
      : el("td", { class: name, "data-label": bare[index] }, name === "num" || name === "long" ? content : el("span", {}, content)));
  return el(
    "table",
    { class: "stack", "data-testid": testid },
    el("thead", {}, el("tr", {}, headings.map((heading, index) => el("th", { scope: "col", class: heading.startsWith("#") ? "num" : null }, bare[index])))),
    el("tbody", {}, rows.map((row) => el("tr", { "data-testid": rowTestid }, cells(row)))),
  );
}
