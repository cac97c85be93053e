// The page: holds the parts together. The address says what is shown (address.js); rows.js has the events, list.js shows
// them, live.js hears of new ones. No module keeps another's state.

import { href, read, write } from "./page/address.js";
import { address, list as fetchList, summary as fetchSummary } from "./page/api.js";
import { Detail } from "./page/detail.js";
import { keysDialog, resetDialog, themeSwitch } from "./page/dialogs.js";
import { byId, el, fill, text } from "./page/dom.js";
import { files } from "./page/files.js";
import { Filters } from "./page/filters.js";
import { count, counted } from "./page/format.js";
import { List } from "./page/list.js";
import { Live } from "./page/live.js";
import { Panes } from "./page/panes.js";
import { Rows } from "./page/rows.js";
import { Telling } from "./page/telling.js";

let shown = { view: null, event: null, filters: null, latest: false };
let isPaused = false;
let connection = "connecting";
let isRefused = false;
let ledger = null;

const telling = new Telling();
const rows = new Rows();
const grid = byId("grid");
const list = new List({ grid, head: byId("grid-head"), body: byId("grid-body"), rows, onOpen: (id) => openEvent(id, true), onScroll: drawNew });
const detail = new Detail(byId("detail"), { onClose: closeEvent, link });
const filters = new Filters((wanted, how) => go({ ...shown, view: "events", filters: wanted }, how));
const askReset = resetDialog(telling.tell);
const keys = keysDialog();
const panes = new Panes({ link, onReset: resetSession, onSummary: offer });
const live = new Live({ onRows: hear, onReset: startOver, onState: setConnection, onBack: checkSame });

// What the address says

function go(state, how) {
  write({ ...state, latest: false }, how);
  follow();
}

async function follow() {
  const wanted = read();
  const before = shown;
  shown = wanted;
  showView(wanted.view);
  filters.show(wanted.filters);
  byId("download").href = address("export", wanted.filters);
  if (JSON.stringify(wanted.filters) !== JSON.stringify(before.filters)) await restart();
  else if (wanted.event !== before.event) await showEvent(wanted.event, { focus: false });
}

function showView(view) {
  for (const section of document.querySelectorAll(".view")) section.hidden = section.id !== `view-${view}`;
  for (const anchor of document.querySelectorAll("nav [data-view]")) {
    if (anchor.dataset.view === view) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
    anchor.href = href({ view: anchor.dataset.view, filters: shown.filters });
  }
  document.title = view === "events" ? "posthaste collector" : `${view} – posthaste collector`;
  panes.show(view);
  if (view === "events") list.draw();
}

/** A link to the events that match; a label that is a text of an event is shown as one. */
function link(wanted, label, testid) {
  const shownLabel = Object.values(wanted).includes(label) ? text(label) : label;
  return el("a", { href: href({ filters: wanted }), "data-nav": "", "data-testid": testid }, shownLabel);
}

// The events

async function restart() {
  live.stop();
  const wanted = shown.filters;
  try {
    if (!(await rows.restart(wanted))) return;
  } catch (error) {
    refuse(error);
    return;
  }
  isRefused = false;
  list.restart();
  live.listen(wanted, rows.newest);
  drawCounts();
  telling.say(`${counted(rows.total, "event")}${Object.keys(wanted).length > 0 ? " match" : ""}`);
  if (shown.latest && rows.total > 0) await showEvent(rows.at(0).id, { focus: false });
  else await showEvent(shown.event, { focus: false });
}

/** The filter was refused, or the collector is away: it is asked again once it is back. */
function refuse(error) {
  isRefused = true;
  const isAway = error.status === 0 || error.status >= 500;
  setConnection(isAway ? "lost" : "refused");
  fill(byId("empty"), el("div", {}, el("h2", {}, "The events could not be fetched"), el("p", {}, `${error.message}`)));
  byId("empty").hidden = false;
  grid.hidden = true;
  if (isAway) setTimeout(restart, 1_500);
}

/** New rows come in by themselves only where that moves nothing that the reader looks at or is at. */
const isHeld = () => isPaused || !list.isAtTop || list.hasFocus;

function hear(message) {
  const arrived = message.rows.length + (message.skipped ?? 0);
  rows.receive(message);
  ledger = message.ledger ?? ledger;
  if (!isHeld()) rows.show();
  if (shown.latest && detail.id === null && rows.total > 0) showEvent(rows.at(0)?.id ?? null, { focus: false });
  list.draw();
  drawCounts();
  panes.changed();
  telling.arrived(arrived, message.rows.filter((row) => row.verdict === "bad").length);
}

function showNew(byKeyboard) {
  rows.show();
  if (byKeyboard) list.focus();
  list.toTop();
  drawCounts();
}

async function startOver() {
  await restart();
  refreshSummary();
  panes.changed();
}

/** After a loss: a collector that was started anew counts from the beginning, and what is here is another one's. */
async function checkSame() {
  const known = rows.byOrdinal(rows.top);
  const { rows: found, newest } = await fetchList(shown.filters, { until: rows.until, limit: 1 }).catch(() => ({ rows: [], newest: 0 }));
  const isSame = found[0]?.id === known?.id && found[0]?.received_ms === known?.received_ms && newest >= rows.newest;
  if (!isSame) await startOver();
}

// One event

function openEvent(id, focus) {
  write({ ...shown, event: id }, shown.event === null ? "push" : "replace");
  shown = { ...shown, event: id, latest: false };
  return showEvent(id, { focus });
}

async function showEvent(id, { focus }) {
  if (id === null) detail.close();
  else await detail.open(id, { focus });
  byId("view-events").classList.toggle("open", detail.id !== null);
  list.opened = detail.id;
  cover();
}

function closeEvent() {
  const index = rows.indexOf(detail.id);
  const isThere = byId("detail").contains(document.activeElement) || document.activeElement === document.body;
  go({ ...shown, event: null }, "push");
  showEvent(null, { focus: false });
  if (!isThere) return;
  list.focus();
  if (index >= 0) list.move(index);
}

/** Where the event covers the list, nobody gets into the list behind it. */
const narrow = matchMedia("(max-width: 62rem)");
const cover = () => (byId("stream").inert = narrow.matches && detail.id !== null);

// Counts and states

function drawCounts() {
  const isEmpty = rows.total === 0 && rows.pending === 0;
  const isFiltered = Object.keys(shown.filters ?? {}).length > 0;
  const missing = rows.forgotten > 0 ? `; ${count(rows.forgotten)} older ones had to make room` : "";
  byId("count").textContent = `${counted(rows.total, "event")}${isFiltered ? (rows.total === 1 ? " matches" : " match") : ""}${missing}`;
  if (!isRefused) {
    grid.hidden = isEmpty;
    byId("empty").hidden = !isEmpty;
  }
  if (isEmpty && !isRefused) fill(byId("empty"), isFiltered ? nothingMatches() : nothingYet());
  if (ledger) {
    byId("n-all").textContent = count(ledger.good + ledger.bad);
    byId("n-good").textContent = count(ledger.good - (ledger.warned ?? 0));
    byId("n-warned").textContent = count(ledger.warned ?? 0);
    byId("n-bad").textContent = count(ledger.bad);
  }
  drawNew();
}

function drawNew() {
  if (rows.pending > 0 && !isHeld()) {
    rows.show();
    list.draw();
  }
  const button = byId("new-events");
  button.hidden = rows.pending === 0;
  button.textContent = counted(rows.pending, "new event");
  const why = isPaused ? "" : list.hasFocus ? "held while you are in the list" : !list.isAtTop ? "held while you read further down" : "";
  byId("held").textContent = why;
  byId("held").hidden = why === "" || rows.pending === 0;
}

const nothingMatches = () => el("div", {},
  el("h2", {}, "No event matches"),
  el("p", {}, "Events that match appear here as they arrive."),
  el("div", {}, el("a", { class: "button", href: href({}), "data-nav": "", "data-testid": "clear-filters" }, "Clear the filters")));

const nothingYet = () => el("div", {},
  el("h2", {}, "Listening"),
  el("p", {}, "Point an SDK at this address, and each event appears here as it arrives, with what is wrong with it:"),
  el("pre", {}, address("v1/events")),
  el("p", {}, "Or send what posthaste demo makes:"),
  el("pre", {}, `posthaste send --endpoint ${address("v1/events")} --datafile datafile.json < events.jsonl`));

function setConnection(state) {
  connection = state;
  drawConnection();
}

const SAID = { connecting: "connecting", live: "live", lost: "connection lost, trying again", refused: "the filters were refused", paused: "paused" };

function drawConnection() {
  const state = connection === "live" && isPaused ? "paused" : connection;
  if (byId("status").dataset.state === state) return;
  byId("status").dataset.state = state;
  byId("status-text").textContent = SAID[state];
}

function pause() {
  isPaused = !isPaused;
  byId("pause").setAttribute("aria-pressed", String(isPaused));
  drawConnection();
  drawCounts();
}

function resetAll() {
  const kept = ledger ? `${counted(ledger.good + ledger.bad, "event")} and every count are` : "Every event and every count is";
  askReset(`${kept} forgotten, of all test sessions. This cannot be undone; Download keeps them.`);
}

function resetSession(name) {
  askReset(`The events and counts of the session ${name} are forgotten. This cannot be undone.`, name);
}

/** What the filters offer, and the counts before anything is heard. */
async function refreshSummary() {
  try {
    offer(await fetchSummary());
  } catch {
    // The stream says it when the collector is back.
  }
}

function offer(summary) {
  ledger = summary.ledger ?? ledger;
  drawCounts();
  const variations = summary.experiments.flatMap((experiment) => experiment.variations);
  filters.offer({
    experiment: summary.experiments.map(({ experiment, experiment_id: id }) => experiment ?? id),
    variation: variations.map(({ variation, variation_id: id }) => variation ?? id),
    key: variations.flatMap(({ conversions }) => conversions.map(({ key }) => key)),
    flag: summary.experiments.map(({ flag }) => flag),
    problem: summary.problems.map(({ kind }) => kind),
    session: summary.sessions.map(({ name }) => name),
  });
}

// The keyboard

const LETTERS = {
  "/": () => { showEvents(); byId("filter-q").focus(); byId("filter-q").select(); },
  "?": () => keys.open(),
  j: () => step(1),
  k: () => step(-1),
  n: () => rows.pending > 0 && showNew(true),
  p: pause,
};

function showEvents() {
  if (shown.view !== "events") go({ ...shown, view: "events" }, "push");
}

/** To the next event in the list; where one is open, the next is opened in its place. */
function step(by) {
  if (shown.view !== "events" || rows.total === 0) return;
  const open = detail.id === null ? -1 : rows.indexOf(detail.id);
  const from = detail.id !== null && open >= 0 ? open : list.active;
  if (detail.id === null) list.focus();
  list.move(from + by);
  const row = rows.at(list.active);
  if (detail.id !== null && row) openEvent(row.id, false);
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const isTyping = event.target.matches("input, select, textarea");
  if (event.key === "Escape") {
    if (isTyping) event.target.blur();
    else if (detail.id !== null && shown.view === "events") closeEvent();
  } else if (!isTyping && keys.isOn() && event.key in LETTERS) {
    event.preventDefault();
    LETTERS[event.key]();
  }
}

/** Links within the page change the address and load nothing. */
function onClick(event) {
  const anchor = event.target.closest("a[data-nav], nav a[data-view]");
  if (!anchor || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const view = anchor.dataset.view;
  if (view) go({ view, event: view === "events" ? shown.event : null, filters: shown.filters }, "push");
  else {
    history.pushState(null, "", anchor.href);
    follow().then(() => list.focus());
  }
}

addEventListener("keydown", onKey);
addEventListener("click", onClick);
addEventListener("popstate", follow);
narrow.addEventListener("change", cover);
grid.addEventListener("blur", drawNew);
grid.addEventListener("focus", drawNew);
rows.addEventListener("rows", () => { list.draw(); drawCounts(); });
rows.addEventListener("refused", () => setTimeout(() => list.draw(), 1_500));
byId("new-events").addEventListener("click", (event) => showNew(event.detail === 0));
byId("pause").addEventListener("click", pause);
byId("reset").addEventListener("click", resetAll);
files(telling.tell);
themeSwitch();
refreshSummary();
follow();
