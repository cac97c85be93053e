// Hears what comes in. A connection that is lost is opened again from the last id that was heard, so there is no gap.

import { address } from "./api.js";

const AGAIN_MS = [500, 1_000, 2_000, 4_000];

export class Live {
  #source = null;
  #timer = 0;
  #failures = 0;
  #handlers;
  #filters = {};
  #after = 0;

  /** `onRows(message)`, `onReset()`, `onState("live" | "lost")`, `onBack()`: after a loss, before more is heard. */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Hears what matches and is newer. */
  listen(filters, after) {
    this.#filters = filters;
    this.#after = after;
    this.#failures = 0;
    this.#open();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
  }

  #open() {
    this.stop();
    const source = (this.#source = new EventSource(address("stream", { ...this.#filters, after: String(this.#after) })));
    source.addEventListener("open", () => {
      const wasLost = this.#failures > 0;
      this.#failures = 0;
      this.#handlers.onState("live");
      if (wasLost) this.#handlers.onBack();
    });
    source.addEventListener("rows", (event) => {
      const message = JSON.parse(event.data);
      this.#after = Math.max(this.#after, message.newest);
      this.#handlers.onRows(message);
    });
    source.addEventListener("reset", () => this.#handlers.onReset());
    source.addEventListener("error", () => this.#lose());
  }

  /** A browser gives up where a proxy answers for a server that is away, so the next try is made here. */
  #lose() {
    this.stop();
    this.#handlers.onState("lost");
    const wait = AGAIN_MS[Math.min(this.#failures, AGAIN_MS.length - 1)];
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#open(), wait);
  }
}
