// One event: what it says, what is wrong with it and where, what it is made of, and the request that it came in.

import { Refused, event as fetchEvent } from "./api.js";
import { copy } from "./copy.js";
import { el, fill, icon, severity, text, verdict } from "./dom.js";
import { apart, bytes, counted, moment } from "./format.js";
import { raw, toText } from "./raw.js";

export class Detail {
  #node;
  #handlers;
  #id = null;

  /** `onClose()`; `link(filters, label, testid)` makes a link to the events that match. */
  constructor(node, handlers) {
    this.#node = node;
    this.#handlers = handlers;
    node.addEventListener("click", (event) => this.#jump(event));
  }

  get id() {
    return this.#id;
  }

  close() {
    this.#id = null;
    this.#node.hidden = true;
    this.#node.replaceChildren();
  }

  /** Fetches and shows it; `focus` puts the reader at its heading. */
  async open(id, { focus }) {
    this.#id = id;
    let answer;
    try {
      answer = await fetchEvent(id);
    } catch (error) {
      if (this.#id === id) this.#show(this.#gone(id, error), focus);
      return;
    }
    if (this.#id === id) this.#show(this.#parts(answer), focus);
  }

  #show(parts, focus) {
    fill(this.#node, parts);
    this.#node.hidden = false;
    this.#node.scrollTop = 0;
    if (focus) this.#node.querySelector("h2").focus({ preventScroll: true });
  }

  #gone(id, error) {
    const isGone = error instanceof Refused && error.status === 404;
    const words = isGone ? "It is not here: it had to make room for newer ones, or was reset." : `It could not be fetched: ${error.message}.`;
    return [this.#head(`Event ${id}`, []), el("div", { class: "part", "data-testid": "detail-gone" }, words)];
  }

  #head(words, rest) {
    const close = { type: "button", class: "bare", "aria-label": "Close", "aria-keyshortcuts": "Escape", "data-testid": "detail-close", on: { click: () => this.#handlers.onClose() } };
    const title = el("h2", { id: "detail-title", tabindex: "-1", "data-testid": "detail-words" }, el("bdi", {}, words));
    return el("header", { class: "detail-head" }, title, el("button", close, icon("close")), rest);
  }

  #parts({ event, raw: body, places, request, curl, attributes }) {
    const json = typeof body === "string" ? body : toText(body);
    const told = event.problems ?? event.warnings ?? [];
    const problems = (places ?? []).map((place, index) => ({ ...place, path: pathOf(place, told[index]) }));
    return [
      this.#head(event.words, [
        el("p", { class: "meta" }, verdict(event.verdict), el("span", {}, `event ${event.id}`), el("span", {}, moment(event.received_ms))),
        el("div", { class: "detail-acts" }, copier("Copy as curl", curl, "copy-curl"), copier("Copy JSON", json, "copy-json")),
      ]),
      problems.length > 0 && part("What is wrong", "detail-problems", problems.map((place, index) => this.#problem(place, index))),
      part("Event", "detail-event", pairs(this.#facts(event))),
      event.is_impression !== false && part("Decision", "detail-decision", pairs(this.#decision(event))),
      table("Tags", "detail-tags", event.tags),
      attributes?.length > 0 && part("Attributes", "detail-attributes", pairs(attributes.map(attribute))),
      part("Raw JSON", "detail-raw", raw(body, problems)),
      request && part("Request", "detail-request", requestParts(request, event)),
    ];
  }

  #problem(place, index) {
    const { severity: how, problem, fix, kind, path } = place;
    const jump = el("button", { type: "button", class: "plain", "data-place": index, "data-testid": "problem-jump" }, "Show in the JSON");
    return el(
      "div",
      { class: `problem ${how === "warning" ? "warning" : "error"}`, "data-testid": "problem", "data-kind": kind },
      el("div", { class: "where" }, severity(how), text(path), this.#handlers.link({ problem: kind }, kind, "problem-kind")),
      el("p", {}, el("bdi", {}, problem)),
      el("p", { class: "fix" }, el("bdi", {}, fix)),
      el("div", {}, jump),
    );
  }

  #jump(event) {
    const place = event.target.closest("[data-place]")?.dataset.place;
    const target = place !== undefined && this.#node.querySelector(`#place-${place}`);
    if (!target) return;
    target.scrollIntoView({ block: "center" });
    target.focus({ preventScroll: true });
    target.classList.remove("flash");
    void target.offsetWidth;
    target.classList.add("flash");
  }

  #facts(event) {
    const link = (name, value, also) => present(value) && this.#handlers.link({ [name]: value }, value, `fact-${name}`, also);
    const when = present(event.timestamp) && moment(event.timestamp);
    return [
      ["visitor", link("visitor", event.visitor_id)],
      ["key", link("key", event.key)],
      ["time", when && [when, two(apart(event.timestamp, event.received_ms))]],
      ["uuid", link("uuid", event.uuid)],
      ["entity", event.entity_id],
      ["revenue", event.revenue],
      ["value", event.value],
      ["project", event.project_id],
      ["account", event.account_id],
      ["revision", event.revision],
      ["session", link("session", event.session)],
      ["repeats", event.repeats > 0 ? `came again ${counted(event.repeats, "time")}; counted once` : null],
      ["fault", event.fault && [event.fault.did ?? "", two(event.fault.rule ?? "")]],
    ];
  }

  #decision(event) {
    const link = (name, key, id) => {
      const value = key ?? id;
      return present(value) && [this.#handlers.link({ [name]: value }, value, `fact-${name}`), key && id ? two(id) : null];
    };
    const metadata = Object.entries(event.metadata ?? {}).map(([name, value]) => [name, toText(value)]);
    return [
      ["experiment", link("experiment", event.experiment, event.experiment_id)],
      ["variation", link("variation", event.variation, event.variation_id)],
      ["campaign", event.campaign_id],
      ["flag", link("flag", event.flag)],
      ...metadata.map(([name, value]) => [`metadata: ${name}`, value]),
    ];
  }
}

/** Where it was in the request; where that is not told, where it is in the event alone. */
function pathOf({ kind, at }, told) {
  return (told?.kind === kind && told.path) || at || "the body";
}

const present = (value) => value !== undefined && value !== null && value !== "";

const two = (words) => (words ? el("span", { class: "two" }, el("bdi", {}, words)) : null);

function part(title, testid, ...children) {
  const body = children.flat().filter(Boolean);
  return body.length === 0 ? null : el("section", { class: "part", "data-testid": testid }, el("h3", {}, title), body);
}

/** Names with what they are; those that there is nothing to say about are left out, and so is the whole where all are. */
function pairs(entries) {
  const known = entries.filter(([, value]) => present(value) && value !== false);
  if (known.length === 0) return null;
  const node = (value) => (["string", "number", "boolean"].includes(typeof value) ? text(value) : value);
  return el("dl", { class: "pairs" }, known.map(([name, value]) => el("div", {}, el("dt", {}, el("bdi", {}, name)), el("dd", {}, node(value)))));
}

function table(title, testid, map) {
  const entries = Object.entries(map ?? {}).map(([name, value]) => [name, toText(value)]);
  return entries.length > 0 && part(title, testid, pairs(entries));
}

function attribute({ key, entity_id: id, type, name, value }) {
  const told = name ?? key ?? type ?? id ?? "without a name";
  const also = key !== told ? key : id;
  return [told, [text(toText(value)), two(present(also) ? also : "")]];
}

function copier(label, value, testid) {
  if (!present(value)) return null;
  const click = async (event) => {
    const button = event.currentTarget;
    await copy(value);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = label), 1_500);
  };
  return el("button", { type: "button", class: "plain", "data-testid": testid, on: { click } }, label);
}

function requestParts(request, event) {
  const sdk = request.sdk ?? {};
  const facts = [
    ["sent by", `${sdk.name ?? event.client_name ?? "unknown"} ${sdk.version ?? event.client_version ?? ""}`.trim()],
    ["request", `${request.method} ${request.path}`],
    ["answer", request.status],
    ["received", moment(request.received_ms)],
    ["size", `${bytes(request.bytes)}, ${counted(request.events, "event")}`],
    ["number", request.id],
    ["session", request.session],
    ["fault", request.fault && (request.fault.did ?? toText(request.fault))],
  ];
  const headers = request.headers ?? [];
  const details = el("details", { "data-testid": "headers" }, el("summary", {}, counted(headers.length, "header")), pairs(headers));
  return [pairs(facts), headers.length > 0 && details];
}
