// Who it is for: the keyboard alone, assistive technology, small screens, a hundred thousand events; and who it is not
// for: other pages, and whatever an event would like to run.

const { test } = require("node:test");
const assert = require("node:assert/strict");
const http = require("node:http");
const { once } = require("node:events");
const { Collector, at, bad, body, conversion, impression, open, row, says, stage, until, violations, visit, words } = require("./support.cjs");

const REBOUND = "rebound.example";
const on = stage(["--host-resolver-rules=MAP *.example 127.0.0.1"]);

const href = (query) => new URL(query, on.collector.url).href;
const focused = (page) => page.evaluate(() => document.activeElement.dataset.testid ?? document.activeElement.id);
const VIEWS = ["", "?view=experiments", "?view=problems", "?view=sources", "?view=sessions", "latest?verdict=bad", "latest?visitor=ann", "?visitor=nobody"];

async function story() {
  await on.collector.post([impression("ann"), conversion("ann"), bad("carl")], { path: "t/shop/v1/events" });
}

test("everything can be reached with the keyboard alone", async () => {
  await story();
  const page = await open(on.browser, on.collector.url);
  await row(page, "carl").waitFor();
  const press = (key) => page.keyboard.press(key);
  await press("Tab");
  await says(() => focused(page), "skip-link");
  assert.ok((await at(page, "skip-link").boundingBox()).y >= 0);
  await press("Enter");
  await says(() => focused(page), "main");

  await press("/");
  await says(() => focused(page), "search");
  await page.keyboard.type("jk?");
  assert.equal(await at(page, "search").inputValue(), "jk?");
  await at(page, "search").fill("");
  await until(() => at(page, "event-row").count(), (count) => count === 3);
  await press("Escape");

  await press("j");
  await says(() => focused(page), "events");
  const active = () => at(page, "events").evaluate((node) => document.getElementById(node.getAttribute("aria-activedescendant"))?.getAttribute("aria-rowindex"));
  await says(active, "2"); // the first key brings the reader to the first row
  await press("j");
  await says(active, "3");
  await press("ArrowDown");
  await press("k");
  await says(active, "3");
  await press("End");
  await says(active, "4");
  await press("Home");
  await press("Enter");
  await until(() => focused(page), (name) => name === "detail-words");
  await press("j");
  await until(() => at(page, "detail-words").innerText(), (text) => text.includes("purchase"));
  await press("Escape");
  await says(() => focused(page), "events");
  await says(active, "3");

  await press("?");
  await at(page, "keys-dialog").waitFor();
  await press("Escape");
  await at(page, "keys-dialog").waitFor({ state: "hidden" });
  await press("p");
  await says(() => at(page, "connection").innerText(), "paused");

  await at(page, "keys-open").press("Enter");
  await at(page, "keys-single").press("Space");
  await press("Escape");
  await press("p");
  assert.equal(await at(page, "connection").innerText(), "paused", "single letters can be turned off");

  await at(page, "reset").press("Enter");
  await says(() => focused(page), "reset-cancel");
  await press("Tab");
  await press("Enter");
  await at(page, "empty").waitFor();
  assert.deepEqual(page.wrong, []);
});

/** Once a view has what it shows. */
async function shown(page, view) {
  if (view.startsWith("latest")) await at(page, "detail-words").waitFor();
  else if (view.startsWith("?view")) await page.locator(".pane:not([hidden]) .inner").waitFor();
}

test("axe-core finds nothing wrong with any view in either theme", async () => {
  await story();
  const check = async (page, what) => {
    for (const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 360]]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      assert.deepEqual(await violations(page), [], `${colorScheme} ${width} ${what}`);
    }
    await page.setViewportSize({ width: 1280, height: 800 });
  };
  const page = await open(on.browser, on.collector.url);
  for (const view of VIEWS) {
    await visit(page, href(view));
    await shown(page, view);
    await check(page, view);
    if (view === "") {
      await at(page, "filters-open").click();
      await at(page, "filter-visitor").fill("ann");
      await at(page, "chip-visitor").waitFor();
      await check(page, "filters");
      await at(page, "keys-open").click();
      await check(page, "keys");
      await at(page, "keys-close").click();
      await at(page, "reset").click();
      await check(page, "reset");
    }
  }
});

test("the switch of colours holds over a reload", async () => {
  const page = await open(on.browser, on.collector.url);
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await at(page, "theme").selectOption("dark");
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  await says(ground, dark);
  await at(page, "theme").selectOption("system");
  await says(ground, light);
});

test("nothing has to be scrolled sideways at 360 pixels", async () => {
  const long = "w".repeat(300);
  await on.collector.post([impression(long), conversion(long, { [long]: long, revenue: "x" }), impression("ann")], { path: `t/${"s".repeat(64)}/v1/events` });
  const page = await open(on.browser, on.collector.url, { viewport: { width: 360, height: 740 } });
  for (const view of [...VIEWS, "latest?verdict=good"]) {
    await visit(page, href(view));
    await shown(page, view);
    const wide = await page.evaluate(() => [document.documentElement, ...document.querySelectorAll(".pane:not([hidden]), .detail:not([hidden]), .grid, .stream")]
      .filter((node) => node.scrollWidth > node.clientWidth).map((node) => `${node.id}: ${node.scrollWidth}`));
    assert.deepEqual(wide, [], view);
  }
});

test("script and markup in every string of an event is text, and nothing runs", async () => {
  const evil = (name) => `<img src=x onerror="window.ran='${name}'"><script>window.ran='${name}'</script></textarea>"'\`\${window.ran=1}\u202e`;
  let number = 0;
  const everywhere = (value) => {
    if (typeof value === "string") return evil((number += 1));
    if (Array.isArray(value)) return value.map(everywhere);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, everywhere(item)]));
  };
  const clean = body([impression("ann"), conversion("bob"), bad("carl")]);
  const post = (value) => fetch(href("v1/events"), { method: "POST", body: JSON.stringify(value), headers: { "user-agent": "<b onmouseover=alert(1)>" } });
  await post(everywhere(clean));
  const named = body([impression(evil("visitor")), conversion(evil("buyer"), { [evil("tag")]: evil("value"), revenue: evil("revenue") })], { client_name: evil("client"), client_version: evil("version") });
  named.visitors[0].attributes = [{ entity_id: evil("id"), key: evil("key"), type: "custom", value: evil("value") }];
  named.visitors[0].snapshots[0].decisions[0].metadata = { [evil("name")]: evil("flag"), rule_key: evil("rule"), variation_key: evil("variation"), flag_key: evil("flag") };
  await post(named);
  await fetch(href("v1/events"), { method: "POST", body: `${evil("body")}` });
  const all = await on.collector.get("all");
  assert.ok(all.length >= 5);
  const page = await open(on.browser, on.collector.url);
  for (const view of ["", "?view=experiments", "?view=problems", "?view=sources", "?view=sessions", `?q=${encodeURIComponent(evil("query"))}&visitor=${encodeURIComponent(evil("v"))}`, ...all.map(({ id }) => `?event=${id}`)]) {
    await visit(page, href(view));
    await shown(page, view);
    if (view.startsWith("?event")) await at(page, "detail-words").waitFor();
    else if (view === "") await until(() => at(page, "event-row").count(), (count) => count === all.length);
    assert.equal(await page.evaluate(() => window.ran), undefined, view);
    assert.deepEqual(await page.evaluate(() => [document.images.length, document.querySelectorAll("main script, main textarea, main [onerror]").length]), [0, 0], view);
    assert.deepEqual(page.wrong, [], view);
  }
});

test("a foreign page can send events and nothing else", async () => {
  await story();
  const foreign = http.createServer((_request, response) => response.writeHead(200, { "content-type": "text/html" }).end("<title>foreign</title>"));
  foreign.listen(0, "127.0.0.1");
  await once(foreign, "listening");
  try {
    const page = await on.browser.newPage();
    await page.goto(`http://foreign.example:${foreign.address().port}/`);
    const read = await page.evaluate(async (base) => {
      const ask = (path, options) => fetch(base + path, options).then((response) => response.type === "opaque" ? "opaque" : response.text(), () => "refused");
      const heard = new Promise((done) => {
        const source = new EventSource(`${base}stream?after=0`);
        source.addEventListener("rows", () => done("heard"));
        source.addEventListener("error", () => done("refused"));
      });
      return { all: await ask("all"), reset: await ask("reset", { method: "POST" }), stream: await heard };
    }, on.collector.url);
    assert.deepEqual(read, { all: "refused", reset: "refused", stream: "refused" });
    // Without asking whether they may; what is answered is kept from the page.
    await page.evaluate((base) => Promise.allSettled([
      fetch(`${base}reset`, { method: "POST", mode: "no-cors" }),
      fetch(`${base}import`, { method: "POST", mode: "no-cors", body: "{}" }),
    ]), on.collector.url);
    assert.equal((await on.collector.get("ledger")).events, 3, "nothing was reset, and nothing came in");
    const sent = await page.evaluate(async ([base, text]) =>
      (await fetch(`${base}v1/events`, { method: "POST", credentials: "include", headers: { "content-type": "application/json" }, body: text })).status,
    [on.collector.url, JSON.stringify(body([impression("eve")]))]);
    assert.equal(sent, 204);
    assert.equal((await on.collector.get("ledger")).events, 4);
  } finally {
    foreign.close();
  }
});

test("a name that was rebound to this machine is refused", async () => {
  const page = await on.browser.newPage();
  for (const path of ["", "all", "stream", "page.js", "event/1"]) {
    const response = await page.goto(`http://${REBOUND}:${on.collector.port}/${path}`);
    assert.equal(response.status(), 403, path);
  }
});

test("the page works behind a path of somebody else's server", async () => {
  const behind = await Collector.start(["--base", "/tools/collector"]);
  try {
    await behind.post([impression("ann")], { path: "tools/collector/v1/events" });
    const page = await open(on.browser, new URL("tools/collector/latest?visitor=ann", behind.url).href);
    await until(() => at(page, "detail-words").innerText(), (text) => text.includes("ann"));
    await at(page, "nav-sources").click();
    await at(page, "source-row").waitFor();
    await says(() => new URL(page.url()).pathname, "/tools/collector/");
    await page.reload();
    await at(page, "source-row").waitFor();
    assert.deepEqual(page.wrong, []);
  } finally {
    await behind.stop();
  }
});

test("a hundred thousand events scroll, and the keyboard reaches the last", async (t) => {
  const [bodies, each] = [100, 1_000];
  for (let index = 0; index < bodies; index += 1) {
    await on.collector.post(Array.from({ length: each }, (_, number) => impression(`v${index * each + number}`)));
  }
  const page = await open(on.browser, on.collector.url);
  const last = bodies * each;
  const grid = at(page, "events");
  await says(() => grid.getAttribute("aria-rowcount"), String(last + 1));
  const drawn = await grid.evaluate((node) => new Promise((done) => {
    const frames = [];
    let before = performance.now();
    let most = 0;
    const step = (now) => {
      frames.push(now - before);
      before = now;
      most = Math.max(most, node.querySelectorAll('[data-testid="event-row"]').length);
      if (frames.length === 180) return done({ frames, most });
      node.scrollTop += frames.length % 30 === 0 ? 500_000 : 90;
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }));
  const sorted = drawn.frames.toSorted((a, b) => a - b);
  t.diagnostic(`frames while scrolling ${last} events: median ${sorted[90].toFixed(1)} ms, 99th percentile ${sorted[178].toFixed(1)} ms`);
  assert.ok(drawn.most < 100, `${drawn.most} elements`);

  await grid.focus();
  const since = performance.now();
  await page.keyboard.press("End");
  await until(() => words(page), (rows) => rows.at(-1)?.words?.includes("visitor v0 "));
  t.diagnostic(`the last of ${last} events stood there ${Math.round(performance.now() - since)} ms after the End key`);
  const end = await words(page);
  assert.equal(end.at(-1).index, last + 1);
  const names = (await until(() => words(page), (rows) => rows.every((one) => one.words))).map((one) => Number(/visitor v(\d+)/.exec(one.words)[1]));
  assert.deepEqual(names, names.toSorted((a, b) => b - a), "newest first");
  await on.collector.post([impression("late")]);
  await until(() => at(page, "new-events").innerText(), (text) => text === "1 new event");
  await until(() => words(page), (rows) => rows.at(-1)?.words?.includes("visitor v0 "));
  await page.keyboard.press("Enter");
  await until(() => at(page, "detail-words").innerText(), (text) => text.includes("visitor v0 "));
  assert.deepEqual(page.wrong, []);
});
