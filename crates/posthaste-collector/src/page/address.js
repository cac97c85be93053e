// What the page shows stands in its address, so that it can be sent on, reloaded and gone back to:
// `?view=…`, `?event=ID`, and the filters by the names that the interface has. `/latest?…` opens the newest event that
// matches.

import { FILTERS, address } from "./api.js";

export const VIEWS = ["events", "experiments", "problems", "sources", "sessions"];

export function read() {
  const params = new URLSearchParams(location.search);
  const filters = {};
  for (const name of FILTERS) {
    const value = params.get(name);
    if (value) filters[name] = value;
  }
  const view = VIEWS.includes(params.get("view")) ? params.get("view") : "events";
  const event = /^\d+$/.test(params.get("event") ?? "") ? Number(params.get("event")) : null;
  return { view, event, filters, latest: location.pathname.endsWith("/latest") };
}

export function href({ view = "events", event = null, filters = {} }) {
  return address("./", { view: view === "events" ? null : view, ...filters, event });
}

/** `how` is "push" for a step to come back to, "replace" for one on the way. */
export function write(state, how) {
  const target = href(state);
  if (target === location.href) return;
  if (how === "push") history.pushState(null, "", target);
  else history.replaceState(null, "", target);
}
