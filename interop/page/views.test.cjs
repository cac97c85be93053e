// What can be looked at: filters and the address, one event, the views with counts, files.

const { test } = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { Collector, at, bad, body, conversion, impression, open, row, says, stage, until } = require("./support.cjs");

const on = stage();

const href = (query) => new URL(query, on.collector.url).href;
const query = (page) => Object.fromEntries(new URL(page.url()).searchParams);

/** ann is seen, in two sessions, and buys; bob is seen in the other variation; carl's time is in seconds. */
async function story() {
  await on.collector.post([impression("ann"), conversion("ann")], { path: "t/shop/v1/events" });
  await on.collector.post([impression("bob", "70111")], { envelope: { client_name: "python-sdk", client_version: "5.7.0" } });
  await on.collector.post([bad("carl")]);
}

test("filters live in the address, there and back", async () => {
  await story();
  const page = await open(on.browser, on.collector.url);
  await row(page, "carl").waitFor();
  const shows = (number) => until(() => at(page, "event-row").count(), (count) => count === number);

  await at(page, "search").fill("GREEN_BUTTON");
  await until(() => query(page), (now) => now.q === "GREEN_BUTTON");
  await at(page, "search").fill("");
  await says(() => query(page), {});
  await shows(4);

  await at(page, "verdict-bad").click();
  await shows(1);
  await says(() => query(page), { verdict: "bad" });
  await says(() => at(page, "verdict-bad").getAttribute("aria-pressed"), "true");
  await says(() => at(page, "count").innerText(), "1 event matches");
  await page.goBack();
  await shows(4);
  await says(() => at(page, "verdict-all").getAttribute("aria-pressed"), "true");

  await at(page, "filters-open").click();
  const [{ uuid }] = await on.collector.get("all");
  for (const [name, value, number] of [
    ["visitor", "ann", 2], ["visitor", "an*", 2], ["experiment", "checkout_button", 3], ["variation", "control", 1], ["key", "purchase", 1],
    ["flag", "one_click_checkout", 3], ["session", "shop", 2],
    ["uuid", uuid, 1], ["problem", "timestamp-in-seconds", 1],
  ]) {
    await at(page, `filter-${name}`).fill(value);
    await until(() => query(page), (now) => now[name] === value);
    await shows(number).catch((error) => assert.fail(`${name}=${value}: ${error.message}`));
    await at(page, `chip-${name}`).click();
    await shows(4);
    await says(() => query(page), {});
  }

  const shared = await open(on.browser, href("?visitor=ann&key=purchase"));
  await row(shared, "purchase").waitFor();
  await says(() => at(shared, "event-row").count(), 1);
  await says(() => at(shared, "chips").innerText(), /visitor\s+ann/);
  await on.collector.post([conversion("bob"), conversion("ann")]);
  await until(() => at(shared, "event-row").count(), (count) => count === 2);
  await at(shared, "chip-key").click();
  await until(() => at(shared, "event-row").count(), (count) => count === 3);
  assert.deepEqual([...page.wrong, ...shared.wrong], []);
});

test("latest opens the newest event that matches, also one that is yet to come", async () => {
  await story();
  const page = await open(on.browser, href("latest?visitor=ann"));
  await until(() => at(page, "detail-words").innerText(), (words) => words.includes("purchase"));
  const waiting = await open(on.browser, href("latest?visitor=dora"));
  await at(waiting, "empty").waitFor();
  await on.collector.post([impression("dora")]);
  await until(() => at(waiting, "detail-words").innerText(), (words) => words.includes("dora"));
  await page.keyboard.press("Escape");
  await says(() => new URL(page.url()).pathname, "/");
  assert.deepEqual([...page.wrong, ...waiting.wrong], []);
});

test("an event is told in full", async () => {
  await story();
  const page = await open(on.browser, href("?visitor=ann&key=campaign_activated"));
  await row(page, "ann").click();
  await says(() => at(page, "detail-words").innerText(), "visitor ann saw green_button of checkout_button");
  const decision = await until(() => at(page, "detail-decision").innerText(), (text) => text.includes("60011"));
  for (const text of ["checkout_button", "40011", "green_button", "70112", "60011", "rule_type", "experiment"]) {
    assert.ok(decision.includes(text), `${text}: ${decision}`);
  }
  await says(() => at(page, "detail-attributes").innerText(), /plan\s+"pro"/);
  const request = await at(page, "detail-request").innerText();
  for (const text of ["node-sdk 6.6.1", "POST /t/shop/v1/events", "204", "shop"]) assert.ok(request.includes(text), `${text}: ${request}`);
  await at(page, "headers").locator("summary").click();
  await says(() => at(page, "headers").innerText(), /content-type\s+application\/json/);
  const raw = JSON.parse(await at(page, "raw").evaluate((node) => [...node.querySelectorAll(".l")].map((line) => line.textContent).join("\n")));
  assert.equal(raw.visitors[0].snapshots[0].decisions[0].variation_id, "70112");
  const [newest] = await on.collector.get("all?visitor=ann");
  await says(() => query(page).event, String(newest.id));

  await page.reload();
  await at(page, "detail-words").waitFor();
  await page.keyboard.press("Escape");
  await at(page, "detail").waitFor({ state: "hidden" });
  await says(() => query(page).event, undefined);
  await page.goBack();
  await at(page, "detail-words").waitFor();
  await at(page, "fact-experiment").click();
  await until(() => query(page), (now) => now.experiment === "checkout_button");
  assert.deepEqual(page.wrong, []);
});

test("a filter that the collector refuses is told, and the next one works", async () => {
  await story();
  const page = await open(on.browser, href("?verdict=splendid"), { state: "refused" });
  await says(() => at(page, "empty").innerText(), /could not be fetched/);
  await at(page, "verdict-bad").click();
  await row(page, "carl").waitFor();
  await says(() => at(page, "connection").innerText(), "live");
});

test("each problem stands at its place in the JSON, with its fix", async () => {
  const wrong = conversion("dora", { revenue: "12.34", sku: "A1" });
  delete wrong.snapshots[0].events[0].revenue;
  await on.collector.post([impression("ann"), wrong]);
  const page = await open(on.browser, href("latest?visitor=dora"));
  const problems = at(page, "problem");
  await problems.first().waitFor();
  const [{ warnings: told }] = await on.collector.get("all?visitor=dora");
  await says(() => problems.count(), told.length);
  for (const [index, { path, problem, fix, kind }] of told.entries()) {
    const shown = await problems.nth(index).innerText();
    assert.ok([path, problem, fix, kind].every((text) => shown.includes(text)), shown);
  }
  const place = page.locator('[data-pointer="/visitors/0/snapshots/0/events/0/tags/revenue"]');
  await says(() => place.innerText(), /"revenue": "12.34"/);
  const note = await place.evaluate((line) => [line.nextSibling.dataset.testid, line.nextSibling.textContent]);
  assert.equal(note[0], "raw-mark");
  assert.ok(told.some(({ fix }) => note[1].includes(fix)), note[1]);
  await problems.first().getByTestId("problem-jump").click();
  await says(() => page.evaluate(() => document.activeElement.dataset.testid), "raw-mark");
  assert.deepEqual(page.wrong, []);
});

test("numbers stay as they were written", async () => {
  await on.collector.post([]);
  const text = JSON.stringify(body([conversion("dora", { size: 1 })]));
  await fetch(new URL("v1/events", on.collector.url), { method: "POST", body: text.replace('"size":1', '"size":12345678901234567890') });
  const page = await open(on.browser, href("latest?visitor=dora"));
  await at(page, "raw").waitFor();
  await says(() => at(page, "raw").innerText(), /"size": 12345678901234567890/);
});

test("experiments stand side by side, and say when they are too small", async () => {
  const visitors = Array.from({ length: 240 }, (_, index) => impression(`v${index}`, index % 2 ? "70111" : "70112"));
  await on.collector.post(visitors);
  await on.collector.post(Array.from({ length: 20 }, (_, index) => conversion(`v${index}`)));
  const page = await open(on.browser, href("?view=experiments"));
  const experiment = page.locator('[data-experiment="checkout_button"]');
  await until(() => experiment.innerText(), (text) => text.includes("10"));
  const cells = async (label) => experiment.locator("tr", { hasText: label }).first().locator("td").allInnerTexts();
  await says(() => cells("Visitors"), ["120", "120"]);
  await says(() => cells("Rate"), ["8.3 %", "8.3 %"]);
  await says(() => cells("Revenue"), ["420.00", "420.00"]);
  await says(() => experiment.getByTestId("too-few").count(), 0);

  await on.collector.post([impression("w", "70121")].map((one) => {
    Object.assign(one.snapshots[0].decisions[0], { campaign_id: "60012", experiment_id: "40012", metadata: undefined });
    one.snapshots[0].events[0].entity_id = "60012";
    return one;
  }));
  const small = page.locator('[data-experiment="free_shipping_banner"]');
  await until(() => small.getByTestId("too-few").count(), (number) => number === 1);
  await says(() => small.getByTestId("too-few").innerText(), "too few to judge");
  await small.getByTestId("experiment-events").click();
  await until(() => at(page, "event-row").count(), (count) => count === 1);
  assert.deepEqual(page.wrong, []);
});

test("problems, sources and sessions are counted and lead to their events", async () => {
  await story();
  const [again] = [impression("ann")];
  await on.collector.post([again]);
  await on.collector.post([again]);
  const page = await open(on.browser, href("?view=problems"));
  const [event] = await on.collector.get("bad");
  const problem = at(page, "problem-row").filter({ hasText: event.problems[0].problem });
  await says(() => problem.innerText(), /error\s+1\s/);
  await problem.getByTestId("problem-events").click();
  await until(() => query(page), (now) => now.problem === event.problems[0].kind);
  await until(() => at(page, "event-row").count(), (count) => count === 1);
  await page.goBack();
  await problem.getByTestId("problem-example").click();
  await until(() => at(page, "detail-words").innerText(), (words) => words.includes("carl"));

  await at(page, "nav-sources").click();
  // Rows are drawn once the answer is there.
  const cells = (rows) => until(() => rows.locator("th, td").allInnerTexts(), (texts) => texts.length >= 4);
  const source = await cells(at(page, "source-row").filter({ hasText: "python-sdk" }));
  assert.deepEqual(source.slice(0, 4), ["python-sdk", "5.7.0", "1", "1"]);
  await says(() => at(page, "repeats").innerText(), /^1 time /);
  await at(page, "nav-sessions").click();
  assert.deepEqual((await cells(at(page, "session-row"))).slice(0, 4), ["shop", "1", "2", "2"]);
  await at(page, "session-events").click();
  await until(() => query(page), (now) => now.session === "shop");
  await until(() => at(page, "event-row").count(), (count) => count === 2);
  assert.deepEqual(page.wrong, []);
});

test("what is downloaded can be opened again, by the button and by dropping it", async (t) => {
  await story();
  const page = await open(on.browser, href("?visitor=ann"));
  await row(page, "ann").first().waitFor();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "page-"));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, "events.jsonl");
  const [download] = await Promise.all([page.waitForEvent("download"), at(page, "download").click()]);
  await download.saveAs(file);
  const lines = fs.readFileSync(file, "utf8").trim().split("\n");
  assert.equal(lines.length, 2);

  const anew = async () => { await on.collector.stop(); on.collector = await Collector.start(); return open(on.browser, on.collector.url); };
  const second = await anew();
  await at(second, "import-file").setInputFiles(file);
  await until(() => at(second, "event-row").count(), (count) => count === 2);
  await says(() => at(second, "toast").innerText(), /events\.jsonl: 2 events in 2 requests, 0 bad/);

  const third = await anew();
  const dropped = await third.evaluateHandle((text) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([text], "dropped.jsonl"));
    return transfer;
  }, lines.join("\n"));
  await third.dispatchEvent("main", "dragover", { dataTransfer: dropped });
  await at(third, "drop").waitFor();
  await third.dispatchEvent("main", "drop", { dataTransfer: dropped });
  await until(() => at(third, "event-row").count(), (count) => count === 2);
  await says(() => at(third, "drop").isHidden(), true);
});

test("the curl command sends the event again", async () => {
  await story();
  const page = await open(on.browser, href("latest?visitor=bob"), { permissions: ["clipboard-read", "clipboard-write"] });
  await at(page, "copy-curl").click();
  await until(() => at(page, "copy-curl").innerText(), (text) => text === "Copied");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  const [{ id }] = await on.collector.get("all?visitor=bob");
  assert.equal(copied, (await on.collector.get(`event/${id}`)).curl);
  assert.match(copied, /^curl /);
});
