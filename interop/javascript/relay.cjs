// The official JavaScript SDK, pointed at a relay as docs/RELAY.md says.
//
//     node relay.cjs URL DATAFILE PREFIX USERS [--until FILE]
//
// For each user PREFIX-0, PREFIX-1, ... it decides on a flag or activates an experiment, forced so that exactly one
// impression follows, and tracks one conversion; then it closes the client. With --until it goes on with further users,
// round after round, until that file exists. It prints a line of JSON for each thing that happens:
//
//     {"notified": [uuids]}               the SDK told its listeners of a request
//     {"status": 204, "uuids": [uuids]}   a request was answered; those of a 204 must arrive
//     {"error": text, "uuids": [uuids]}   a request got no answer; they may have arrived
//     {"done": true, "users": n}          the client is closed, and nothing is under way any more
"use strict";

const { existsSync, readFileSync } = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");
const { parseArgs } = require("node:util");
const sdk = require("@optimizely/optimizely-sdk");

const ROUNDS_FOR_MS = 600_000; // Should the file never come, the program ends all the same.
const PAUSE_MS = 50;
const UNDER_WAY_MAX = 32; // The SDK sets no bound to its requests at a time; a relay that is away would let them pile up.

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

function uuidsOf({ params }) {
  const events = (visitor) => visitor.snapshots.flatMap((snapshot) => snapshot.events);
  return params.visitors.flatMap((visitor) => events(visitor).map((event) => event.uuid));
}

// Says what each request of a dispatcher came to, and changes nothing in it.
function watched(dispatcher) {
  const watch = {
    underWay: 0,
    async dispatchEvent(event) {
      const uuids = uuidsOf(event);
      watch.underWay += 1;
      try {
        const answer = await dispatcher.dispatchEvent(event);
        print({ status: answer.statusCode ?? null, uuids });
        return answer;
      } catch (error) {
        print({ error: String(error), uuids });
        throw error;
      } finally {
        watch.underWay -= 1;
      }
    },
  };
  return watch;
}

async function connect(url, datafile) {
  const viaRelay = { dispatchEvent: (event) => sdk.eventDispatcher.dispatchEvent({ ...event, url }) };
  const dispatcher = watched(viaRelay);
  const client = sdk.createInstance({
    projectConfigManager: sdk.createStaticProjectConfigManager({ datafile }),
    eventProcessor: sdk.createBatchEventProcessor({ eventDispatcher: dispatcher, batchSize: 10, flushInterval: 200 }),
  });
  await client.onReady();
  const { LOG_EVENT } = sdk.NOTIFICATION_TYPES;
  client.notificationCenter.addNotificationListener(LOG_EVENT, (event) => print({ notified: uuidsOf(event) }));
  return { client, dispatcher };
}

// What the datafile offers: a flag with an experiment, an experiment, an attribute and an event.
function choices(datafile) {
  const { attributes, events, experiments, featureFlags } = JSON.parse(datafile);
  const running = experiments.filter((experiment) => experiment.status === "Running");
  const [flag] = featureFlags.filter(({ experimentIds }) => running.some(({ id }) => experimentIds.includes(id)));
  const rule = running.find(({ id }) => flag.experimentIds.includes(id));
  return { attribute: attributes[0].key, event: events.at(-1).key, experiment: running[0], flag, rule };
}

function visit(client, number, user, { attribute, event, experiment, flag, rule }) {
  const attributes = { [attribute]: "Größe 東京 🎈" };
  if (number % 2 === 0) {
    const context = client.createUserContext(user, attributes);
    const variationKey = rule.variations[0].key;
    context.setForcedDecision({ flagKey: flag.key, ruleKey: rule.key }, { variationKey });
    context.decide(flag.key);
  } else {
    client.setForcedVariation(experiment.key, user, experiment.variations[0].key);
    client.activate(experiment.key, user, attributes);
  }
  const tags = { revenue: 100 + number, value: 1.5, "crème brûlée": "naïve – 日本 🎈" };
  // A string that was cut in the middle of a letter, as `slice` cuts it.
  if (number % 3 === 0) tags.cut = "balloon 🎈".slice(0, -1);
  client.track(event, user, attributes, tags);
}

async function main() {
  const options = { until: { type: "string" } };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (positionals.length !== 4) throw new Error("give URL DATAFILE PREFIX USERS");
  const [url, path, prefix, count] = positionals;
  const datafile = readFileSync(path, "utf8");
  const chosen = choices(datafile);
  const { client, dispatcher } = await connect(url, datafile);

  const ends = Date.now() + ROUNDS_FOR_MS;
  let users = 0;
  do {
    for (let left = Number(count); left > 0; left -= 1, users += 1) {
      visit(client, users, `${prefix}-${users}`, chosen);
    }
    do await sleep(PAUSE_MS); while (dispatcher.underWay > UNDER_WAY_MAX);
  } while (values.until && !existsSync(values.until) && Date.now() < ends);

  await client.close();
  while (dispatcher.underWay > 0) await sleep(PAUSE_MS);
  print({ done: true, users });
}

main();
