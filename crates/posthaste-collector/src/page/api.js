// The collector's HTTP interface. Paths are relative to where this module came from, so that the page works behind a
// path of somebody else's server.

const BASE = new URL("../", import.meta.url);

/** The names of filters, as the interface and the page's address have them. */
export const FILTERS = ["q", "verdict", "visitor", "experiment", "variation", "key", "flag", "uuid", "problem", "session"];

export function address(path, params = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  return url.href;
}

/** What the collector answered that was no success; `status` 0 where it could not be reached. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, params, options) {
  let response;
  try {
    response = await fetch(address(path, params), { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, "the collector cannot be reached");
  }
  if (!response.ok) throw new Refused(response.status, await reason(response));
  return response;
}

async function reason(response) {
  const text = (await response.text()).slice(0, 500);
  try {
    return JSON.parse(text).error ?? text;
  } catch {
    return text || `it answered ${response.status}`;
  }
}

/** Newest first: `{rows, total, newest, forgotten}`. */
export async function list(filters, { until, offset, limit }, signal) {
  const response = await ask("all", { ...filters, order: "newest", until, offset, limit }, { signal });
  const header = (name) => Number(response.headers.get(name) ?? 0);
  const rows = await response.json();
  return { rows, total: header("X-Total-Count"), newest: header("X-Newest"), forgotten: header("X-Forgotten") };
}

/** One event with its request; its raw JSON keeps numbers as they are written. */
export async function event(id) {
  const response = await ask(`event/${id}`);
  return JSON.parse(await response.text(), exact);
}

export const summary = async (session) => (await ask("summary", { session })).json();

export const reset = (session) => ask("reset", { session }, { method: "POST" });

export const send = async (lines) =>
  (await ask("import", {}, { method: "POST", body: lines, headers: { "content-type": "application/jsonl" } })).json();

/** A number whose digits JavaScript would change, as it was written. */
export class Digits {
  constructor(source) {
    this.source = source;
  }
}

function exact(_key, value, context) {
  const changed = typeof value === "number" && context?.source !== undefined && String(value) !== context.source;
  return changed ? new Digits(context.source) : value;
}
