// The colors of the theme, and what tells lines apart: ten colors, and after the tenth line dashes, too.

import { h, svg } from "../dom.js";

const COLORS = 10;
const DASHES = [[], [8, 3], [2, 2], [10, 3, 2, 3], [5, 2, 2, 2, 2, 2]];
const known = new Map();

/** A color of the theme. */
export function color(name) {
  if (!known.has(name)) known.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return known.get(name);
}

/** Forget the colors of a theme that is not shown any more. */
export function forgetColors() {
  known.clear();
}

/** The color of the n-th line. */
export function lineColor(place) {
  return color(`--line-${place % COLORS}`);
}

/** The dashes of the n-th line. */
export function lineDash(place) {
  return DASHES[Math.floor(place / COLORS) % DASHES.length];
}

/** A sign for a line beside its name. */
export function swatch(stroke, dash = []) {
  if (!dash.length) {
    const square = h("span", { class: "swatch" });
    square.style.background = stroke;
    return square;
  }
  const line = svg("line", { x1: 0, y1: 5, x2: 26, y2: 5, stroke, "stroke-width": 2.5, "stroke-dasharray": dash.join(" ") });
  return svg("svg", { class: "dashes", width: 26, height: 10, "aria-hidden": "true" }, line);
}
