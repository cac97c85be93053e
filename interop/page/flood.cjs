// Fifty thousand events a second for 20 s into a collector with three pages open, measured by hand (scripts/flood): what the
// pages' answer to a key takes, whether the collector's counts are whole, and its memory.
//
//   node interop/page/flood.cjs [SECONDS] [EVENTS_A_SECOND]

const http = require("node:http");
const fs = require("node:fs");
const { Collector, at, body, conversion, launch, open, says } = require("./support.cjs");

const SECONDS = Number(process.argv[2] ?? 20);
const RATE = Number(process.argv[3] ?? 50_000);
const PAGES = 3;
const CLIENTS = 4;
const EVENTS_PER_BODY = 50;
const PRESS_EVERY_MS = 250;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Bodies are made before: what is measured is not this process. */
const bodies = (number) =>
  Array.from({ length: number }, () => Buffer.from(JSON.stringify(body(
    Array.from({ length: EVENTS_PER_BODY }, (_, index) => conversion(`shopper-${index}`, { revenue: 4200 }))))));

const post = (agent, url, bytes) => new Promise((done, failed) => {
  const request = http.request(url, { method: "POST", agent, headers: { "content-type": "application/json", "content-length": bytes.length } }, (answer) => {
    answer.resume();
    answer.on("end", () => (answer.statusCode === 204 ? done() : failed(new Error(`answered ${answer.statusCode}`))));
  });
  request.on("error", failed);
  request.end(bytes);
});

/** Sends its share, no faster than told. */
async function client(url, share) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const pause = (1_000 * EVENTS_PER_BODY * CLIENTS) / RATE;
  const began = performance.now();
  for (const [index, bytes] of share.entries()) {
    const wait = began + index * pause - performance.now();
    if (wait > 1) await sleep(wait);
    await post(agent, url, bytes);
  }
  agent.destroy();
}

/** From a key until what it did is drawn. */
const watch = (page) => page.evaluate(() => {
  window.taken = [];
  addEventListener("keydown", (event) => {
    requestAnimationFrame(() => setTimeout(() => window.taken.push(performance.now() - event.timeStamp)));
  }, true);
});

async function press(page, isOver) {
  for (let down = true; !isOver(); down = !down) {
    await page.keyboard.press(down ? "ArrowDown" : "ArrowUp");
    await sleep(PRESS_EVERY_MS);
  }
}

const shown = (samples) => {
  const sorted = [...samples].sort((a, b) => a - b);
  const quantile = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]);
  return `${sorted.length} keys: median ${quantile(0.5)} ms, 99th percentile ${quantile(0.99)} ms, longest ${quantile(1)} ms`;
};

const memory = (pid, name) => {
  const [, kib] = fs.readFileSync(`/proc/${pid}/status`, "utf8").match(new RegExp(`${name}:\\s+(\\d+)`));
  return Math.round(kib / 1_024);
};

(async () => {
  const each = Math.floor((SECONDS * RATE) / EVENTS_PER_BODY / CLIENTS);
  const shares = Array.from({ length: CLIENTS }, () => bodies(each));
  const events = each * CLIENTS * EVENTS_PER_BODY;
  const collector = await Collector.start(["--quiet"]);
  const browser = await launch();
  const pages = await Promise.all(Array.from({ length: PAGES }, () => open(browser, collector.url)));
  for (const page of pages) {
    await at(page, "events").focus();
    await watch(page);
  }
  let over = false;
  const pressing = pages.map((page) => press(page, () => over));
  const began = performance.now();
  await Promise.all(shares.map((share) => client(new URL("v1/events", collector.url), share)));
  const took = (performance.now() - began) / 1_000;
  over = true;
  await Promise.all(pressing);
  const ledger = await collector.get("ledger");
  const kept = ledger.unique - ledger.forgotten;
  console.log(`${events} events in ${took.toFixed(1)} s; the collector: ${ledger.good} good, ${kept} kept, ${ledger.forgotten} forgotten; ${memory(collector.child.pid, "VmHWM")} MiB at the peak`);
  let isFine = ledger.good === events && ledger.bad === 0;
  for (const [number, page] of pages.entries()) {
    await says(() => at(page, "count").innerText(), new RegExp(`^${kept.toLocaleString("en-US")} events`));
    console.log(`page ${number + 1}: ${shown(await page.evaluate(() => window.taken))}; it says: ${(await at(page, "count").innerText()).replace(/\n/g, " ")}`);
    isFine &&= page.wrong.length === 0;
  }
  await browser.close();
  await collector.stop();
  process.exitCode = isFine ? 0 : 1;
})();
