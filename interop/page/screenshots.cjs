// Makes the pictures of the page: `node screenshots.cjs FOLDER`, with POSTHASTE_BIN as for the tests.

const fs = require("node:fs");
const path = require("node:path");
const { Collector, at, bad, conversion, impression, launch, open } = require("./support.cjs");

const SHOTS = [
  ["event", "light", (newestBad) => `?event=${newestBad}`, "detail-words", (page) => at(page, "problem-jump").first().click()],
  ["experiments", "light", () => "?view=experiments", "experiment", null],
  ["events-dark", "dark", () => "", "event-row", null],
];
const NAMES = ["ann", "bob", "carla", "dmitri", "eve", "farid", "grace", "hugo", "ines", "jonas"];

async function fill(collector) {
  const visitors = Array.from({ length: 260 }, (_, index) => `${NAMES[index % NAMES.length]}-${1_000 + index}`);
  const seen = (name) => impression(name, visitors.indexOf(name) % 2 ? "70111" : "70112");
  const python = { envelope: { client_name: "python-sdk", client_version: "5.7.0" } };
  await collector.post(visitors.map(seen));
  await collector.post(visitors.filter((_, index) => index % 9 === 0 || index % 14 === 0).map((name) => conversion(name)), python);
  const wrong = conversion(visitors[20], { revenue: "42.00", sku: "A1" });
  delete wrong.snapshots[0].events[0].revenue;
  for (const [index, name] of visitors.slice(0, 24).entries()) {
    if (index === 12 || index === 17) await collector.post([bad(name)], python);
    else if (index === 20) await collector.post([wrong]);
    else await collector.post([index % 3 ? seen(name) : conversion(name)], { path: index % 5 ? "v1/events" : "t/checkout-test/v1/events" });
  }
}

async function main(folder) {
  const [collector, browser] = [await Collector.start(), await launch()];
  try {
    await fill(collector);
    const { id } = (await collector.get("bad")).at(-1);
    fs.mkdirSync(folder, { recursive: true });
    for (const [name, colorScheme, view, testid, then] of SHOTS) {
      const page = await open(browser, new URL(view(id), collector.url).href, { colorScheme, viewport: { width: 1280, height: 760 } });
      await at(page, testid).first().waitFor();
      await then?.(page);
      await page.screenshot({ path: path.join(folder, `${name}.png`), animations: "disabled" });
      await page.context().close();
    }
  } finally {
    await browser.close();
    await collector.stop();
  }
}

main(process.argv[2]).catch((error) => {
  console.error(`failed to make the pictures: ${error.message}`);
  process.exit(1);
});
