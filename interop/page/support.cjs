// What the page's tests share: a collector (the real binary, named by POSTHASTE_BIN), a real Chromium, events to send, and
// a relay of bytes whose connections can be cut.

const { spawn } = require("node:child_process");
const { once } = require("node:events");
const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const readline = require("node:readline");
const { isDeepStrictEqual } = require("node:util");
const { after, afterEach, before, beforeEach } = require("node:test");
const { chromium } = require("playwright-core");

const VECTORS = path.join(__dirname, "../../crates/posthaste/tests/vectors");
const DATAFILE = path.join(VECTORS, "larkspur.json");
/** Longer than anything takes on the slowest machine. */
const LONG_MS = 60_000;

/** Collectors that run: none outlives its test, however that ends. */
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
process.once("SIGTERM", () => process.exit(1));

class Collector {
  static async start(args = []) {
    const all = ["collect", "--listen", "0", "--json", "--datafile", DATAFILE, ...args];
    const child = spawn(process.env.POSTHASTE_BIN, all, { stdio: ["ignore", "pipe", "ignore"] });
    running.add(child);
    child.once("exit", () => running.delete(child));
    const lines = readline.createInterface({ input: child.stdout });
    const [first] = await once(lines, "line");
    return Object.assign(new Collector(), { child, url: new URL("/", JSON.parse(first).url).href });
  }

  get port() {
    return Number(new URL(this.url).port);
  }

  async post(visitors, { path: at = "v1/events", envelope = {} } = {}) {
    const response = await fetch(new URL(at, this.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body(visitors, envelope)),
    });
    if (response.status !== 204) throw new Error(`the collector answered ${response.status}`);
  }

  async get(at) {
    return (await fetch(new URL(at, this.url))).json();
  }

  async stop() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await ended;
  }
}

/** A body of larkspur.json's project. */
const body = (visitors, envelope = {}) => ({
  account_id: "10000001",
  project_id: "10000002",
  revision: "42",
  client_name: "node-sdk",
  client_version: "6.6.1",
  anonymize_ip: true,
  enrich_decisions: true,
  ...envelope,
  visitors,
});

let made = 0;
/** A uuid of its own for each event. */
const uuid = () => `00000000-0000-4000-8000-${String((made += 1)).padStart(12, "0")}`;
const attributes = [{ entity_id: "20010", key: "plan", type: "custom", value: "pro" }];

const impression = (visitor, variation = "70112") => ({
  visitor_id: visitor,
  attributes,
  snapshots: [{
    decisions: [{ campaign_id: "60011", experiment_id: "40011", variation_id: variation, is_campaign_holdback: false,
      metadata: { flag_key: "one_click_checkout", rule_key: "checkout_button", rule_type: "experiment", variation_key: "green_button", enabled: true } }],
    events: [{ entity_id: "60011", key: "campaign_activated", timestamp: Date.now() - 2_000, uuid: uuid() }],
  }],
});

const conversion = (visitor, tags = { revenue: 4200, value: 1.5, sku: "A1" }) => ({
  visitor_id: visitor,
  attributes: [],
  snapshots: [{ events: [{ entity_id: "30012", key: "purchase", timestamp: Date.now(), uuid: uuid(), tags, revenue: tags.revenue, value: tags.value }] }],
});

/** An impression whose time is in seconds. */
const bad = (visitor) => {
  const visitorOf = impression(visitor);
  visitorOf.snapshots[0].events[0].timestamp = Math.floor(Date.now() / 1_000);
  return visitorOf;
};

/** Chromium without what it would ask the network for by itself. */
const launch = (args = []) =>
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", ...args],
  });

/** A page that has loaded; `page.wrong` has what went wrong in it, and each request to another origin. */
async function open(browser, url, { state = "live", ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: "light", ...options });
  context.setDefaultTimeout(LONG_MS);
  const page = await context.newPage();
  page.wrong = [];
  page.on("pageerror", (error) => page.wrong.push(error.message));
  page.on("dialog", (dialog) => { page.wrong.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(url).origin) page.wrong.push(`asked for ${request.url()}`);
  });
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) page.wrong.push(message.text());
  });
  await visit(page, url, state);
  return page;
}

/** Goes there, and waits until it has loaded. */
async function visit(page, url, state = "live") {
  await page.goto(url);
  await page.locator(`[data-testid="connection"][data-state="${state}"]`).waitFor();
}

const at = (page, testid) => page.getByTestId(testid);
const row = (page, words) => at(page, "event-row").filter({ hasText: words });

/** Waits until this holds, and says what it last was. */
async function until(what, holds) {
  const end = Date.now() + LONG_MS;
  for (let last; ; await new Promise((done) => setTimeout(done, 25))) {
    last = await what();
    if (holds(last)) return last;
    if (Date.now() > end) throw new Error(`it never came to hold; it was ${JSON.stringify(last)}`);
  }
}

/** Asks again and again until it is this value, or a text like it. */
const says = (what, wanted) => until(what, (now) => (wanted instanceof RegExp ? wanted.test(now) : isDeepStrictEqual(now, wanted)));

/** Which rows are drawn, from the top: what they say. */
const words = (page) =>
  page.evaluate(() => {
    const rows = [...document.querySelectorAll('[data-testid="event-row"]')];
    const index = (one) => Number(one.getAttribute("aria-rowindex"));
    return rows.sort((a, b) => index(a) - index(b)).map((one) => ({ index: index(one), words: one.querySelector(".c-words bdi")?.textContent }));
  });

const passages = new Set();

/** Passes bytes on to a port, until it is cut. */
class Passage {
  static async start(port) {
    const passage = new Passage();
    passage.target = port;
    passage.sockets = new Set();
    passages.add(passage);
    await passage.listen(0);
    return passage;
  }

  async listen(port) {
    this.server = net.createServer((from) => {
      // It came in while this was being cut.
      if (!this.server.listening) return from.destroy();
      const to = net.connect(this.target, "127.0.0.1");
      for (const [one, other] of [[from, to], [to, from]]) {
        this.sockets.add(one);
        one.on("error", () => other.destroy());
        one.on("close", () => { this.sockets.delete(one); other.destroy(); });
        one.pipe(other);
      }
    });
    this.server.listen(port, "127.0.0.1");
    await once(this.server, "listening");
    this.port = this.server.address().port;
  }

  get url() {
    return `http://127.0.0.1:${this.port}/`;
  }

  async cut() {
    if (!this.server.listening) return;
    const closed = once(this.server, "close");
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  mend() {
    return this.listen(this.port);
  }
}

const axeSource = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

/** What axe-core finds wrong, as lines. It is put in by the debugger, which the page's policy does not concern. */
async function violations(page) {
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axeSource);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
}

/** A browser for all tests of a file, and a collector for each. */
function stage(args = []) {
  const stage = {};
  before(async () => { stage.browser = await launch(args); });
  after(() => stage.browser?.close());
  beforeEach(async () => { stage.collector = await Collector.start(); });
  afterEach(async () => {
    // A test that fails leaves nothing behind that keeps the process from its end.
    for (const passage of passages) await passage.cut();
    passages.clear();
    for (const context of stage.browser.contexts()) await context.close();
    await stage.collector.stop();
  });
  return stage;
}

module.exports = { Collector, Passage, at, bad, body, conversion, impression, launch, open, row, says, stage, until, violations, visit, words };
