// The whole story with the official SDK, for vitest and for Playwright, whose tests are written alike. The wrong one is
// run too, and is to fail with the field named.

import { readFileSync } from "node:fs";

import * as sdk from "@optimizely/optimizely-sdk";

import { Collector, collectorFixture } from "../../clients/javascript/posthaste-collector.mjs";
import { buy, buyAsItWas } from "./shop.mjs";

const datafile = readFileSync(process.env.POSTHASTE_DATAFILE, "utf8");

function connect(eventDispatcher) {
  return sdk.createInstance({
    projectConfigManager: sdk.createStaticProjectConfigManager({ datafile }),
    eventProcessor: sdk.createForwardingEventProcessor(eventDispatcher),
  });
}

export function cases(base, expect) {
  // What a user writes.
  const test = base.extend({ collector: collectorFixture });

  test("a purchase is reported", async ({ collector }) => {
    const client = connect(collector.dispatcher);
    await client.onReady();
    buy(client, "ann", 1200);
    const purchase = { visitor: "ann", key: "purchase", revenue: 1200, tags: { sku: "A1" } };
    await collector.expect(purchase, { noBad: true });
  });

  test("wrong: a price in whole units", async ({ collector }) => {
    const client = connect(collector.dispatcher);
    await client.onReady();
    buyAsItWas(client, "ann", 1200);
    await collector.expect({ visitor: "ann", key: "purchase", revenue: 1200 }, { waitMs: 500 });
  });

  test("nothing of other tests is here", async ({ collector }) => {
    await collector.expect({ visitor: "ann", count: 0 }, { waitMs: 0 });
    expect(await collector.events()).toEqual([]);
  });

  test("the variation is known by its key", async ({ collector }) => {
    const client = connect(collector.dispatcher);
    await client.onReady();
    buy(client, "ann", 1200);
    await collector.expect([
      { experiment: "checkout_button", attributes: { plan: "pro" } },
      { key: "purchase", count: 1 },
    ]);
    expect((await collector.events({ key: "purchase" })).length).toBe(1);
  });

  test("what is missing is said", async ({ collector }) => {
    await expect(collector.expect({ visitor: "ann" }, { waitMs: 0 })).rejects.toThrow("came 0\nnote: no event");
  });

  test("a pattern that cannot be used is no failed expectation", async ({ collector }) => {
    await expect(collector.expect({ vistor: "ann" })).rejects.toThrow('did you mean "visitor"');
    const nobody = new Collector("http://127.0.0.1:9").session();
    await expect(nobody.expect({ visitor: "ann" })).rejects.toThrow("is it running");
    await expect(Collector.start([], { program: "/no/such/program" })).rejects.toThrow("POSTHASTE_BIN");
  });

  test("one can be had without a fixture", async () => {
    const collector = await Collector.start();
    await collector.session("one").expect({ key: "purchase", count: 0 }, { waitMs: 0 });
    await collector.stop();
  });
}
