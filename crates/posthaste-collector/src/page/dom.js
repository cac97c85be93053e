// Makes elements. A string becomes a text node, never markup: nothing here, or in any other module, parses HTML.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** `el("a", {class: "x", href: "y", on: {click}}, "text", child, [more])`; null, undefined and false are left out. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  node.append(...present(children));
  return node;
}

export function fill(node, ...children) {
  node.replaceChildren(...present(children));
  return node;
}

function present(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A verdict as a shape and a word. */
export function verdict(name) {
  const known = ["good", "warned", "bad"].includes(name) ? name : "bad";
  return el("span", { class: `verdict v-${known}` }, icon(known), known);
}

/** How bad a problem is, as a shape and a word. */
export function severity(name) {
  const shape = name === "warning" ? "warned" : "bad";
  return el("span", { class: `sev ${shape === "warned" ? "warning" : "error"}` }, icon(shape), name);
}

/** A text of an event: whatever direction its letters have, it changes nothing around it. */
export const text = (value, testid) => el("bdi", { class: "id", "data-testid": testid }, String(value));
