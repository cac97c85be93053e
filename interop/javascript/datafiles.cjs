// What the official JavaScript SDK makes of datafiles.
//
// Reads a JSON object a line, {"datafile": text, "calls": [...]}, and answers each with a line: whether the SDK takes
// the datafile, and the request that each call sends, null where it sends none. Sends nothing anywhere: the SDK's
// dispatcher is replaced by one that keeps what it is given.
"use strict";

const readline = require("node:readline");
const sdk = require("@optimizely/optimizely-sdk");

const CALLS = {
  activate(client, call) {
    client.setForcedVariation(call.experiment, call.user, call.variation);
    client.activate(call.experiment, call.user, call.attributes);
  },
  decide(client, call) {
    const user = client.createUserContext(call.user, call.attributes);
    user.setForcedDecision({ flagKey: call.flag, ruleKey: call.experiment }, { variationKey: call.variation });
    user.decide(call.flag);
  },
  track(client, call) {
    client.track(call.event, call.user, call.attributes, call.tags);
  },
};

function sentBy(client, sent, call) {
  sent.length = 0;
  try {
    CALLS[call.kind](client, call);
  } catch {
    return null; // An SDK that fails sends nothing, and that is what is asked.
  }
  return sent[0] ?? null;
}

async function answer({ datafile, calls }) {
  const sent = [];
  const dispatcher = {
    async dispatchEvent({ url, params }) {
      sent.push({ url, body: JSON.parse(JSON.stringify(params)) });
      return { statusCode: 204 };
    },
  };
  try {
    const client = sdk.createInstance({
      projectConfigManager: sdk.createStaticProjectConfigManager({ datafile }),
      eventProcessor: sdk.createForwardingEventProcessor(dispatcher),
    });
    await client.onReady();
    const answers = calls.map((call) => sentBy(client, sent, call));
    await client.close();
    return { taken: true, sent: answers };
  } catch (error) {
    return { taken: false, reason: String(error) };
  }
}

// A half of a surrogate pair, which JSON.stringify escapes, is written out, since not every reader takes it.
const withoutHalves = (text) => text.replace(/\\ud[89a-f][0-9a-f]{2}/g, "<half of a pair>");

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(`${withoutHalves(JSON.stringify(await answer(JSON.parse(line))))}\n`);
  }
}

main();
