// The views that show counts: which has what, and when it is fetched again.

import { summary as fetchSummary } from "./api.js";
import { byId, el, fill } from "./dom.js";
import { EXPLAINED, experiments } from "./experiments.js";
import { problems, sessions, sources } from "./tables.js";

const PANES = {
  experiments: ["Experiments", EXPLAINED, experiments],
  problems: ["Problems", "What is wrong with the events that are kept, most frequent first.", problems],
  sources: ["Sources", "Which SDK, in which version, has sent what.", sources],
  sessions: ["Test sessions", "Tests that run side by side, each with its own events.", sessions],
};
/** Between two times that counts are fetched. */
const AGAIN_MS = 1_500;

export class Panes {
  #view = null;
  #stale = false;
  #timer = 0;
  #handlers;

  /** `link(filters, label, testid)`, `onReset(session)`, `onSummary(summary)`. */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Shows this view; one that has no counts ends the fetching. */
  show(view) {
    this.#view = view in PANES ? view : null;
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.#view) this.#fetch();
  }

  /** Something has changed. */
  changed() {
    this.#stale = true;
    if (this.#view && !this.#timer) this.#timer = setTimeout(() => this.#fetch(), AGAIN_MS);
  }

  /** Counts for whoever asks without a view. */
  async #fetch() {
    this.#timer = 0;
    this.#stale = false;
    const view = this.#view;
    try {
      const summary = await fetchSummary();
      this.#handlers.onSummary(summary);
      if (this.#view === view) this.#draw(view, summary);
    } catch (error) {
      if (this.#view === view) this.#draw(view, null, error);
    }
    if (this.#stale) this.changed();
  }

  #draw(view, summary, error) {
    const [title, lead, body] = PANES[view];
    const pane = byId(`view-${view}`);
    const at = focused(pane);
    const parts = summary
      ? body(summary, this.#handlers.link, this.#handlers.onReset)
      : [el("p", { "data-testid": "pane-error" }, `The counts could not be fetched: ${error.message}.`)];
    fill(pane, el("div", { class: "inner" }, el("h2", { id: `${view}-title` }, title), el("p", { class: "lead" }, lead), parts));
    if (at) refocus(pane, at);
  }
}

const FOCUSABLE = "a, button, [tabindex]";

/** Which of the elements that can have the focus has it: what stands anew in its place gets it back. */
function focused(pane) {
  if (!pane.contains(document.activeElement)) return null;
  return { index: [...pane.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement), name: document.activeElement.textContent };
}

function refocus(pane, { index, name }) {
  const all = [...pane.querySelectorAll(FOCUSABLE)];
  (all[index]?.textContent === name ? all[index] : all.find((one) => one.textContent === name))?.focus({ preventScroll: true });
}
