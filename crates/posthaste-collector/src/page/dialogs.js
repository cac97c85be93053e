// What asks before it does something, and what explains.

import { reset } from "./api.js";
import { byId } from "./dom.js";

/** Answers with a function that asks whether to forget everything, or one session: `ask(words, session)`. */
export function resetDialog(tell) {
  const dialog = byId("reset-dialog");
  let session;
  byId("reset-cancel").addEventListener("click", () => dialog.close());
  byId("reset-confirm").addEventListener("click", async () => {
    dialog.close();
    try {
      await reset(session);
      tell(session === undefined ? "Everything is forgotten." : `The session ${session} is forgotten.`);
    } catch (error) {
      tell(`Nothing was reset: ${error.message}`);
    }
  });
  return (words, name) => {
    session = name;
    byId("reset-words").textContent = words;
    dialog.showModal();
    byId("reset-cancel").focus();
  };
}

const STORED = "posthaste-single-keys";

/** The list of keys; `isOn()` says whether single letters are keys. */
export function keysDialog() {
  const dialog = byId("keys-dialog");
  const single = byId("keys-single");
  single.checked = stored(STORED) !== "off";
  single.addEventListener("change", () => store(STORED, single.checked ? "on" : "off"));
  byId("keys-open").addEventListener("click", () => dialog.showModal());
  byId("keys-close").addEventListener("click", () => dialog.close());
  return { open: () => dialog.showModal(), isOn: () => single.checked };
}

export function themeSwitch() {
  const select = byId("theme");
  select.value = document.documentElement.dataset.theme ?? "system";
  select.addEventListener("change", () => {
    store("posthaste-theme", select.value);
    if (select.value === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = select.value;
  });
}

function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // It holds for as long as the page is open.
  }
}
