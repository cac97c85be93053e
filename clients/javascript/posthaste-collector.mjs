// Assertions on Optimizely events, for tests: a client of `posthaste collect`. One file, no dependency, Node 18 or newer.
//
// Copy it beside the tests. With vitest or Playwright, each test that takes `collector` has a session of its own:
//
//     import { test as base } from "vitest"; // or from "@playwright/test"
//     import { collectorFixture } from "./posthaste-collector.mjs";
//
//     const test = base.extend({ collector: collectorFixture });
//
//     test("buying is reported", async ({ collector }) => {
//       const client = optimizely.createInstance({ ...options, eventProcessor: forwardTo(collector.dispatcher) });
//       await buy(client, "ann");
//       await collector.expect({ visitor: "ann", key: "purchase", revenue: 1200 });
//     });
//
// The collector is the one at POSTHASTE_COLLECTOR_URL, or else the program `posthaste` (POSTHASTE_BIN names another) is
// started on a free port, once for each process that runs tests, with the datafile of POSTHASTE_DATAFILE if that is set.

import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createInterface } from "node:readline";

const WAIT_MS = 5_000; // Where a test says nothing else.
const PATIENCE_MS = 10_000; // Beyond a wait, before the collector counts as gone.

// Runs a program until whoever started it closes its standard input, or is gone, however it ended.
const UNTIL_LEFT = '"$0" "$@" & exec >&-; read -r _; kill $! 2>/dev/null; wait $!';

/** What was expected has not come; the message says what is missing, and what came instead. */
export class ExpectationError extends Error {
  name = "ExpectationError";
}

/** The collector cannot be started or asked, or does not understand what it is asked. */
export class UnusableCollectorError extends Error {
  name = "UnusableCollectorError";
}

/** A collector that runs somewhere. */
export class Collector {
  #child;

  constructor(url, child) {
    this.url = url.replace(/\/+$/, "").replace(/\/v1\/events$/, "");
    this.#child = child;
  }

  /** Starts `posthaste collect` on a free port, with these arguments besides. */
  static async start(args = [], { program = process.env.POSTHASTE_BIN || "posthaste" } = {}) {
    const command = ["-c", UNTIL_LEFT, program, "collect", "--listen", "0", "--json", "-q", ...args];
    const child = spawn("sh", command, { stdio: ["pipe", "pipe", "inherit"] });
    const lines = createInterface({ input: child.stdout });
    const line = await new Promise((resolve) => lines.once("line", resolve).once("close", () => resolve(null)));
    if (line === null) {
      child.stdin.end();
      const advice = "is posthaste on your PATH? Or set POSTHASTE_BIN or POSTHASTE_COLLECTOR_URL";
      throw new UnusableCollectorError(`${program} collect ended before it was ready; ${advice}`);
    }
    // Nothing of it keeps the process that runs the tests from ending.
    for (const part of [child, child.stdin, child.stdout]) part.unref();
    return new Collector(JSON.parse(line).url, child);
  }

  /** The one of POSTHASTE_COLLECTOR_URL, or one that is started here, for all who ask in this process. */
  static shared() {
    const url = process.env.POSTHASTE_COLLECTOR_URL;
    shared ??= url ? Promise.resolve(new Collector(url)) : Collector.start();
    return shared;
  }

  /** A session: what is sent to its own address and expected of it is apart from all else. */
  session(name = `js-${randomUUID()}`) {
    return new Session(this.url, name);
  }

  /** Ends it, if it was started here. */
  async stop() {
    if (this.#child && this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.ref();
      const ended = once(this.#child, "exit");
      this.#child.stdin.end();
      await ended;
    }
  }
}

let shared;

/** One test's events. */
export class Session {
  constructor(url, name) {
    this.url = url;
    this.name = name;
    this.eventsUrl = `${url}/t/${name}/v1/events`;
  }

  /**
   * Waits until the pattern, or each of a list of them, holds; throws an ExpectationError where it does not.
   *
   * A pattern has some of: visitor, experiment, variation, flag, key, uuid, revenue, value, tags, attributes, verdict,
   * count, no_bad. docs/EXPECT.md has what each means.
   */
  async expect(patterns, { waitMs = WAIT_MS, noBad = false } = {}) {
    const asked = [patterns, noBad ? { no_bad: true } : []].flat();
    const path = `/t/${this.name}/expect?wait=${Math.round(waitMs)}ms`;
    const options = { method: "POST", body: JSON.stringify(asked) };
    const { status, text } = await this.#request(path, options, waitMs + PATIENCE_MS);
    if (status === 422) throw new ExpectationError(text.trimEnd());
    if (status !== 200) throw new UnusableCollectorError(text.trimEnd() || `${this.url}${path} answered ${status}`);
  }

  /** The events that have come, good and bad, oldest first; filters as in GET /all. */
  async events(filters = {}) {
    const query = new URLSearchParams({ ...filters, session: this.name });
    return JSON.parse((await this.#request(`/all?${query}`, {}, PATIENCE_MS)).text);
  }

  /** An event dispatcher for the JavaScript SDK, which posts here. */
  get dispatcher() {
    const dispatchEvent = async ({ params, httpVerb = "POST" }) => {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(this.eventsUrl, { method: httpVerb, headers, body: JSON.stringify(params) });
      return { statusCode: answer.status };
    };
    return { dispatchEvent };
  }

  async #request(path, options, patienceMs) {
    try {
      const answer = await fetch(this.url + path, { ...options, signal: AbortSignal.timeout(patienceMs) });
      return { status: answer.status, text: await answer.text() };
    } catch (error) {
      const why = error.cause?.message ?? error.message;
      throw new UnusableCollectorError(`no answer from ${this.url}: ${why}; is it running?`);
    }
  }
}

/** A session for one test: for `test.extend` of vitest and of Playwright, which call fixtures alike. */
export const collectorFixture = async ({}, use) => {
  const collector = await Collector.shared();
  await use(collector.session());
};
