// Opens a file of JSON lines, chosen or dropped: it is sent in parts, so that one of any size is no single request.

import { send } from "./api.js";
import { byId } from "./dom.js";
import { counted } from "./format.js";

const PART_BYTES = 1 << 20;

/** `tell(words)` says what became of it. */
export function files(tell) {
  const input = byId("import-file");
  const drop = byId("drop");
  byId("import").addEventListener("click", () => input.click());
  input.addEventListener("change", async () => {
    await open(input.files, tell);
    input.value = "";
  });
  const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    drop.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) drop.hidden = true;
  });
  addEventListener("drop", async (event) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    drop.hidden = true;
    await open(event.dataTransfer.files, tell);
  });
}

async function open(chosen, tell) {
  for (const file of chosen) {
    const sum = { requests: 0, events: 0, bad: 0 };
    try {
      for await (const part of parts(file)) {
        const answer = await send(part);
        for (const name of Object.keys(sum)) sum[name] += answer[name] ?? 0;
        tell(`${file.name}: ${counted(sum.events, "event")} so far`);
      }
      tell(`${file.name}: ${counted(sum.events, "event")} in ${counted(sum.requests, "request")}, ${sum.bad} bad`);
    } catch (error) {
      tell(`${file.name}: stopped after ${counted(sum.events, "event")}: ${error.message}`);
    }
  }
}

/** The file in parts that end with a line; a single line may be longer than a part. */
async function* parts(file) {
  let held = new Uint8Array(0);
  for (let from = 0; from < file.size; from += PART_BYTES) {
    const read = new Uint8Array(await file.slice(from, from + PART_BYTES).arrayBuffer());
    const end = read.lastIndexOf(10) + 1;
    if (end === 0) {
      held = joined(held, read);
      continue;
    }
    yield joined(held, read.subarray(0, end));
    held = read.slice(end);
  }
  if (held.length > 0) yield held;
}

function joined(one, other) {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
