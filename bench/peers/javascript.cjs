// The official JavaScript SDK as a peer of bench/run: the same arguments, the same line of JSON.
//
//     node javascript.cjs NODE_MODULES version|enqueue|deliver ...
//
// The SDK offers no way to make an event but activate(), which decides first; each visitor has a forced variation, the
// shortest of its ways to decide. Events go to its batching processor, which sends them with the SDK's own dispatcher.
// It sets no bound to its requests at a time, and a queue without bound, so that this driver waits where as many are
// under way as were asked for.
"use strict";

const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join } = require("node:path");
const { performance } = require("node:perf_hooks");
const { parseArgs } = require("node:util");

const [modules, what, ...rest] = process.argv.slice(2);
const sdk = createRequire(join(modules, "x.js"))("@optimizely/optimizely-sdk");

const NEVER = 2 ** 31 - 1; // The longest time that a timer takes.
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

async function connect({ datafile, lines, dispatcher, batchSize }) {
  const client = sdk.createInstance({
    projectConfigManager: sdk.createStaticProjectConfigManager({ datafile }),
    eventProcessor: sdk.createBatchEventProcessor({ eventDispatcher: dispatcher, batchSize, flushInterval: NEVER }),
  });
  await client.onReady();
  for (const { user_id, experiment, variation } of lines) client.setForcedVariation(experiment, user_id, variation);
  return client;
}

function makerOf(client, lines) {
  return (n) => {
    const { user_id, experiment, attributes } = lines[n % lines.length];
    if (client.activate(experiment, user_id, attributes) === null) throw new Error(`${user_id} got no variation`);
  };
}

async function enqueue({ datafile, lines, count, threads }) {
  if (threads > 1) return { without: "runs on one thread" };
  const dispatcher = { dispatchEvent: () => new Promise(() => {}) };
  const client = await connect({ datafile, lines, dispatcher, batchSize: 1e9 });
  const make = makerOf(client, lines);
  const [before, started] = [process.memoryUsage().rss, performance.now()];
  for (let n = 0; n < count; n += 1) {
    make(n);
    // The processor takes an event a few turns of the microtasks later.
    if (n % 64 === 0) await nextTurn();
  }
  await nextTurn();
  const wall = performance.now() - started;
  const mib = (process.memoryUsage().rss - before) / 1048576 / count * 1e6;
  return { ns_new_memory: wall * 1e6 / count, mib_per_million: mib };
}

async function deliverFor(asked, seconds) {
  const { datafile, lines, url, batch, inFlight } = asked;
  let [underWay, failed] = [0, null];
  const dispatcher = {
    async dispatchEvent(event) {
      underWay += 1;
      try {
        const answer = await sdk.eventDispatcher.dispatchEvent({ ...event, url });
        if (answer.statusCode !== 204) failed ??= `status ${answer.statusCode}`;
        return answer;
      } catch (error) {
        failed ??= String(error);
        throw error;
      } finally {
        underWay -= 1;
      }
    },
  };
  const client = await connect({ datafile, lines, dispatcher, batchSize: batch });
  const make = makerOf(client, lines);
  const ends = performance.now() + seconds * 1e3;
  let count = 0;
  while (performance.now() < ends) {
    // As many as fill a request: which leaves nothing behind for the end.
    for (let n = 0; n < batch; n += 1) make(count + n);
    count += batch;
    do await nextTurn(); while (underWay >= inFlight);
  }
  while (underWay > 0) await nextTurn();
  await client.close();
  if (failed) throw new Error(`a request failed: ${failed}`);
  return count;
}

async function deliver(asked) {
  await deliverFor(asked, asked.seconds / 10);
  const [cpuBefore, started] = [process.cpuUsage(), performance.now()];
  const count = await deliverFor(asked, asked.seconds);
  const [wall, cpu] = [performance.now() - started, process.cpuUsage(cpuBefore)];
  return {
    per_second: count / wall * 1e3,
    cpu_s_per_million: (cpu.user + cpu.system) / count,
    peak_mib: process.resourceUsage().maxRSS / 1024,
  };
}

async function main() {
  if (what === "version") {
    const { version } = JSON.parse(readFileSync(join(modules, "@optimizely/optimizely-sdk/package.json"), "utf8"));
    return `${version} (Node.js ${process.version.slice(1)})`;
  }
  const names = ["datafile", "events", "count", "threads", "url", "seconds", "batch", "in-flight"];
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" }]));
  const { values } = parseArgs({ args: rest, options });
  const read = (path) => readFileSync(path, "utf8");
  const lines = read(values.events).trim().split("\n").map((line) => JSON.parse(line));
  const number = (name) => Number(values[name]);
  return JSON.stringify(await { enqueue, deliver }[what]({
    datafile: read(values.datafile),
    lines,
    url: values.url,
    seconds: number("seconds"),
    count: number("count"),
    threads: number("threads"),
    batch: number("batch"),
    inFlight: number("in-flight"),
  }));
}

main().then((line) => {
  process.stdout.write(`${line}\n`, () => process.exit(0));
}, (error) => {
  process.stderr.write(`${error.stack}\n`, () => process.exit(1));
});
