// The events that match, of which only some are here: the others are fetched when they are looked at.
//
// Each row has an ordinal that never changes: the newest row of the first answer has 0, older ones -1, -2, …, ones that
// come later 1, 2, …. What is shown begins at ordinal `top`, with the row that is newest among those up to the id
// `until`; what has come since waits above. An older row is forgotten by the collector before a newer one, so the row at
// index i is always the i-th newest up to `until`, which is how it is asked for.

import { list } from "./api.js";

const PAGE = 100;
/** Rows that are kept here. */
const KEPT_MAX = 3_000;

export class Rows extends EventTarget {
  #filters = {};
  #cache = new Map();
  #latest = { ordinal: 0, id: 0, total: 0 };
  #asking = null;
  #wanted = null;
  top = 0;
  until = 0;
  total = 0;
  forgotten = 0;

  /** Asks anew; what is here is dropped once the answer has come. Answers false where another call came in between. */
  async restart(filters) {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    this.#wanted = null;
    let answer;
    try {
      answer = await list(filters, { limit: PAGE }, asking.signal);
    } catch (error) {
      if (error.name === "AbortError") return false;
      throw error;
    } finally {
      if (this.#asking === asking) this.#asking = null;
    }
    this.#filters = filters;
    this.#cache.clear();
    this.top = 0;
    this.until = answer.newest;
    this.total = answer.total;
    this.forgotten = answer.forgotten;
    this.#latest = { ordinal: 0, id: answer.newest, total: answer.total };
    this.#keep(0, 0, answer.rows);
    return true;
  }

  /** Rows that wait above what is shown. */
  get pending() {
    return this.#latest.ordinal - this.top;
  }

  /** The newest id that has been heard of. */
  get newest() {
    return this.#latest.id;
  }

  at(index) {
    return this.#cache.get(this.top - index);
  }

  byOrdinal(ordinal) {
    return this.#cache.get(ordinal);
  }

  indexOf(id) {
    for (const [ordinal, row] of this.#cache) {
      if (row.id === id && ordinal <= this.top) return this.top - ordinal;
    }
    return -1;
  }

  /** What the stream has said. Shows nothing of it yet. */
  receive({ rows, skipped, newest, total, forgotten }) {
    const ordinal = this.#latest.ordinal + rows.length + (skipped ?? 0);
    this.#latest = { ordinal, id: Math.max(newest, this.#latest.id), total };
    rows.forEach((row, index) => this.#cache.set(ordinal - (rows.length - 1 - index), row));
    this.forgotten = forgotten;
    this.total = Math.max(0, total - this.pending);
    this.#prune(this.top);
  }

  /** Lets what waits come in at the top. */
  show() {
    this.top = this.#latest.ordinal;
    this.until = this.#latest.id;
    this.total = this.#latest.total;
  }

  /** Sees to it that these rows come. A "rows" event says that some have. */
  want(first, last) {
    this.#wanted = { first, last };
    if (!this.#asking) this.#fetch();
  }

  async #fetch() {
    const missing = this.#missing();
    if (missing === null) return;
    const asking = (this.#asking = new AbortController());
    const { top, until } = this;
    const offset = Math.max(0, missing - PAGE / 4);
    try {
      const { rows, total } = await list(this.#filters, { until, offset, limit: PAGE }, asking.signal);
      if (this.#asking !== asking) return;
      this.#keep(top, offset, rows);
      if (this.top === top) this.total = total;
      this.#asking = null;
      this.dispatchEvent(new Event("rows"));
      if (rows.length > 0) this.#fetch();
    } catch (error) {
      if (this.#asking === asking) this.#asking = null;
      if (error.name !== "AbortError") this.dispatchEvent(new CustomEvent("refused", { detail: error }));
    }
  }

  #missing() {
    if (!this.#wanted) return null;
    const last = Math.min(this.#wanted.last, this.total - 1);
    for (let index = Math.max(0, this.#wanted.first); index <= last; index += 1) {
      if (!this.at(index)) return index;
    }
    return null;
  }

  #keep(top, offset, rows) {
    rows.forEach((row, index) => this.#cache.set(top - offset - index, row));
    this.#prune(top - offset);
  }

  #prune(around) {
    if (this.#cache.size <= KEPT_MAX) return;
    const seen = this.#wanted ? this.top - this.#wanted.first : around;
    const distance = (ordinal) => Math.min(Math.abs(ordinal - seen), Math.abs(ordinal - this.#latest.ordinal));
    const ordinals = [...this.#cache.keys()].sort((a, b) => distance(a) - distance(b));
    for (const ordinal of ordinals.slice(KEPT_MAX / 2)) this.#cache.delete(ordinal);
  }
}
