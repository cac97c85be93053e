// What happens while the page is open: events come in, the reader reads, the connection goes, everything is reset.

const { test } = require("node:test");
const assert = require("node:assert/strict");
const { Collector, Passage, at, bad, conversion, impression, open, row, says, stage, until, words } = require("./support.cjs");

const on = stage();

/** One of each in its own request, so that each has an id of its own. */
const many = async (number, name) => {
  for (let index = 0; index < number; index += 1) await on.collector.post([impression(`${name}-${index}`)]);
};

test("events appear without a reload, newest first, with their verdicts in words and shapes", async () => {
  const page = await open(on.browser, on.collector.url);
  await at(page, "empty").waitFor();
  await on.collector.post([impression("ann")]);
  await row(page, "ann").waitFor();
  await on.collector.post([conversion("bob"), bad("carl")]);
  await row(page, "carl").waitFor();
  const drawn = await until(() => words(page), (now) => now.length === 3);
  assert.deepEqual(drawn.map(({ index }) => index), [2, 3, 4]);
  await says(() => row(page, "ann").innerText(), /visitor ann saw green_button of checkout_button/);
  await says(() => row(page, "ann").getAttribute("aria-rowindex"), "4");
  for (const [name, verdict] of [["ann", "good"], ["carl", "bad"]]) {
    await says(() => row(page, name).getAttribute("data-verdict"), verdict);
    await says(() => row(page, name).locator(".verdict").innerText(), verdict);
    await says(() => row(page, name).locator(".verdict use").getAttribute("href"), `#i-${verdict}`);
  }
  await says(() => at(page, "count").innerText(), "3 events");
  await says(() => at(page, "verdict-bad").innerText(), /Bad\s*1/);
  assert.deepEqual(page.wrong, []);
});

test("incoming rows move neither the scroll position nor the focus", async () => {
  await many(60, "early");
  const page = await open(on.browser, on.collector.url);
  await row(page, "early-59").waitFor();
  const grid = at(page, "events");

  await grid.evaluate((node) => { node.scrollTop = 340; });
  await until(() => words(page), (rows) => rows.some(({ index }) => index === 20));
  const seen = () => grid.evaluate((node) => {
    const top = node.getBoundingClientRect().top + 100;
    return [node.scrollTop, document.elementFromPoint(300, top).closest(".row").dataset.id];
  });
  const held = await seen();
  await many(3, "late");
  await until(() => at(page, "new-events").innerText(), (text) => text === "3 new events");
  assert.deepEqual(await seen(), held);
  await says(() => at(page, "count").innerText(), "60 events");

  await at(page, "new-events").click();
  await row(page, "late-2").waitFor();
  await says(() => at(page, "count").innerText(), "63 events");
  await says(() => grid.evaluate((node) => node.scrollTop), 0);
  await says(() => at(page, "new-events").isHidden(), true);

  await grid.focus();
  await page.keyboard.press("ArrowDown");
  const active = () => grid.evaluate((node) => {
    const one = document.getElementById(node.getAttribute("aria-activedescendant"));
    return [document.activeElement === node, one.dataset.id, one.getBoundingClientRect().top];
  });
  const before = await active();
  await many(2, "later");
  await until(() => at(page, "new-events").innerText(), (text) => text === "2 new events");
  assert.deepEqual(await active(), before);
  await page.keyboard.press("n");
  await row(page, "later-1").waitFor();
  assert.equal((await active())[0], true);
  assert.deepEqual(page.wrong, []);
});

test("a pause holds everything back, and going on shows it", async () => {
  const page = await open(on.browser, on.collector.url);
  await on.collector.post([impression("ann")]);
  await row(page, "ann").waitFor();
  await at(page, "pause").click();
  await says(() => at(page, "connection").innerText(), "paused");
  await on.collector.post([impression("bob")]);
  await until(() => at(page, "new-events").innerText(), (text) => text === "1 new event");
  assert.equal(await row(page, "bob").count(), 0);
  await at(page, "pause").click();
  await row(page, "bob").waitFor();
});

test("a connection that is lost comes back without a gap", async () => {
  const passage = await Passage.start(on.collector.port);
  const page = await open(on.browser, passage.url);
  await many(5, "before");
  await row(page, "before-4").waitFor();
  await passage.cut();
  await until(() => at(page, "connection").innerText(), (text) => text === "connection lost, trying again");
  await many(250, "meanwhile");
  await passage.mend();
  await until(() => at(page, "connection").innerText(), (text) => text === "live");
  await many(1, "after");
  await row(page, "after-0").waitFor();
  await until(() => at(page, "count").innerText(), (text) => text === "256 events");

  const wanted = ["after-0", ...Array.from({ length: 250 }, (_, index) => `meanwhile-${249 - index}`), ...[4, 3, 2, 1, 0].map((index) => `before-${index}`)];
  const found = new Map();
  const grid = at(page, "events");
  for (let top = 0; found.size < wanted.length; top += 400) {
    await grid.evaluate((node, to) => { node.scrollTop = to; }, top);
    const rows = await until(() => words(page), (now) => now.length > 0 && now.every((one) => one.words));
    for (const { index, words: said } of rows) found.set(index, /visitor (\S+)/.exec(said)[1]);
    assert.ok(top < 20_000, `only ${found.size} rows were found`);
  }
  assert.deepEqual([...found.entries()].sort(([a], [b]) => a - b).map(([, name]) => name), wanted);
  await passage.cut();
  assert.deepEqual(page.wrong.filter((text) => !/ERR_|Failed to fetch/.test(text)), []);
});

test("a collector that was started anew is not taken for the one before", async () => {
  const passage = await Passage.start(on.collector.port);
  await many(3, "old");
  const page = await open(on.browser, passage.url);
  await row(page, "old-2").waitFor();
  await passage.cut();
  await on.collector.stop();
  on.collector = await Collector.start();
  await many(4, "new");
  passage.target = on.collector.port;
  await passage.mend();
  await row(page, "new-3").waitFor();
  await until(() => at(page, "count").innerText(), (text) => text === "4 events");
  const drawn = await until(() => words(page), (now) => now.length === 4 && now.every((one) => one.words));
  assert.deepEqual(drawn.map(({ words: said }) => /visitor (\S+)/.exec(said)[1]), ["new-3", "new-2", "new-1", "new-0"]);
  await many(1, "newer");
  await row(page, "newer-0").waitFor();
  await passage.cut();
});

test("a reset asks first, and empties every page", async () => {
  await many(2, "ann");
  const [page, other] = [await open(on.browser, on.collector.url), await open(on.browser, on.collector.url)];
  await row(other, "ann-1").waitFor();
  await at(page, "reset").click();
  await says(() => at(page, "reset-words").innerText(), /2 events/);
  await at(page, "reset-cancel").click();
  assert.equal((await on.collector.get("ledger")).good, 2);

  await at(page, "reset").click();
  await at(page, "reset-confirm").click();
  await at(page, "empty").waitFor();
  await at(other, "empty").waitFor();
  assert.equal((await on.collector.get("ledger")).good, 0);
  await on.collector.post([impression("bob")]);
  await row(other, "bob").waitFor();
  await says(() => at(other, "count").innerText(), "1 event");
});

test("one session is reset without the others", async () => {
  await on.collector.post([impression("ann")], { path: "t/one/v1/events" });
  await on.collector.post([impression("bob")], { path: "t/two/v1/events" });
  const page = await open(on.browser, new URL("?view=sessions", on.collector.url).href);
  await at(page, "session-row").filter({ hasText: "one" }).getByTestId("session-reset").click();
  await at(page, "reset-confirm").click();
  await until(() => on.collector.get("all"), (all) => all.length === 1);
  await at(page, "nav-events").click();
  await row(page, "bob").waitFor();
  await until(() => row(page, "ann").count(), (number) => number === 0);
});
