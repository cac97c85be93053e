// Experiments with their variations side by side, as an analyst would want them: and a word where they say too little.

import { el, text } from "./dom.js";
import { count, counted, decimal, money, percent } from "./format.js";

export const EXPLAINED =
  "What the events that are kept here say. An experiment says too little below 100 visitors, or 10 conversions of an event, in any variation.";

export function experiments(summary, link) {
  const list = summary.experiments ?? [];
  if (list.length === 0) return [el("p", { class: "muted", "data-testid": "no-experiments" }, "No decision has arrived yet.")];
  return list.map((experiment) => card(experiment, link));
}

function card(experiment, link) {
  const { experiment_id: id, experiment: key, flag, visitors, mixed, too_few: tooFew, variations } = experiment;
  const name = key ?? id ?? "";
  return el(
    "article",
    { class: "card sides", "data-testid": "experiment", "data-experiment": name },
    el(
      "header",
      { class: "card-head" },
      el("h3", {}, text(name || "without an id")),
      key && el("span", { class: "muted mono" }, text(id)),
      flag && el("span", { class: "muted" }, "flag ", text(flag)),
      el("span", { class: "muted" }, counted(visitors, "visitor")),
      tooFew && el("span", { class: "few", "data-testid": "too-few" }, "too few to judge"),
      name && link({ experiment: name }, "Show its decisions", "experiment-events"),
    ),
    el("div", { class: "wide", tabindex: "0", role: "group", "aria-label": `Variations of ${name}` }, table(variations)),
    mixed > 0 && el("p", { class: "card-foot", "data-testid": "mixed" },
      `${counted(mixed, "visitor")} ${mixed === 1 ? "was" : "were"} seen in two variations.`),
  );
}

function table(variations) {
  const keys = [...new Set(variations.flatMap((variation) => variation.conversions.map(({ key }) => key)))];
  const head = variations.map(({ variation, variation_id: id }) =>
    el("th", { scope: "col", class: "num" }, text(variation ?? id ?? "without an id")));
  const of = (key) => (variation) => variation.conversions.find((conversion) => conversion.key === key) ?? {};
  const best = Math.max(0, ...variations.flatMap(({ conversions }) => conversions.map(({ rate }) => rate ?? 0)));
  return el(
    "table",
    { class: "sides" },
    el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Variation"), head)),
    el("tbody", {},
      line("Visitors", variations, (variation) => count(variation.visitors)),
      line("Impressions", variations, (variation) => count(variation.impressions))),
    keys.map((key) => conversions(key, variations, of(key), best)),
  );
}

function conversions(key, variations, of, best) {
  const some = (name) => variations.some((variation) => of(variation)[name]);
  return el(
    "tbody",
    {},
    el("tr", { class: "group" }, el("th", { scope: "rowgroup", colspan: variations.length + 1 }, text(key || "without a key"))),
    line("Visitors who did", variations, (variation) => count(of(variation).visitors), "sub"),
    line("Rate", variations, (variation) => rate(of(variation).rate ?? 0, best), "sub"),
    line("Times", variations, (variation) => count(of(variation).count), "sub"),
    some("revenue") && line("Revenue", variations, (variation) => money(of(variation).revenue ?? 0), "sub"),
    some("value") && line("Value", variations, (variation) => decimal(of(variation).value ?? 0), "sub"),
  );
}

function line(label, variations, value, name) {
  return el("tr", { class: name }, el("th", { scope: "row" }, label), variations.map((variation) => el("td", { class: "num" }, value(variation))));
}

function rate(share, best) {
  const bar = el("b");
  bar.style.width = `${best > 0 ? (share / best) * 100 : 0}%`;
  return el("div", { class: "rate" }, percent(share), el("i", { "aria-hidden": "true" }, bar));
}
