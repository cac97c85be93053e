// Tells what happened: counts to whoever cannot see them, seldom; and what became of something that was asked for.

import { byId } from "./dom.js";
import { counted } from "./format.js";

const SELDOM_MS = 15_000;
const TOAST_MS = 6_000;

export class Telling {
  #arrived = 0;
  #bad = 0;
  #timer = 0;
  #toast = 0;

  /** Said by itself, at once. */
  say(words) {
    byId("announcer").textContent = words;
  }

  /** Shown for a while, and said. */
  tell = (words) => {
    const toast = byId("toast");
    toast.textContent = words;
    clearTimeout(this.#toast);
    this.#toast = setTimeout(() => (toast.textContent = ""), TOAST_MS);
  };

  /** Events that came in: said together, at most every 15 seconds. */
  arrived(number, bad) {
    this.#arrived += number;
    this.#bad += bad;
    if (this.#arrived > 0) this.#timer ||= setTimeout(() => this.#sum(), SELDOM_MS);
  }

  #sum() {
    this.say(`${counted(this.#arrived, "new event")}${this.#bad > 0 ? `, at least ${this.#bad} bad` : ""}`);
    this.#arrived = this.#bad = this.#timer = 0;
  }
}
