// From loaded series to the lines of a chart, and what its legend says of them.

import { exactText, formatNumber, h, plural } from "../dom.js";
import { lineColor, lineDash } from "./palette.js";
import { smooth } from "./smooth.js";

const GHOST = [3, 4]; // the dashes of what was computed again

const styleOf = (place) => ({ color: lineColor(place), dash: lineDash(place), swatchDash: lineDash(place) });

/** The lines of one metric of one run: what counts, what was computed again, and a smoothed line. */
export function runLines(one, run, smoothing) {
  const style = styleOf(run.place);
  const raw = { label: run.label, ...style, x: one.x, y: one.values, marks: true, isPart: Boolean(one.means) };
  const ghosts = one.ghosts.map((ghost) => ({
    label: `${run.label}, attempt ${ghost.attempt}, recomputed`, ...style, dash: GHOST, x: ghost.x, y: ghost.values, faint: true,
    marks: true, isPart: Boolean(ghost.means),
  }));
  if (!(smoothing > 0)) return [...ghosts, raw];
  const base = one.means ?? { x: one.x, values: one.values };
  const smoothed = { label: run.label, ...style, x: base.x, y: smooth(base.x, base.values, smoothing), raw: { x: one.x, y: one.values } };
  return [...ghosts, { ...raw, under: true }, smoothed];
}

/** The mean of a group with its band: `band` is "range" or "std". */
export function groupLine(one, group, band, smoothing) {
  const isRange = band !== "std";
  const apart = (sign) => one.mean.map((mean, i) => mean + sign * one.deviation[i]);
  const [low, high] = isRange ? [one.low, one.high] : [apart(-1), apart(1)];
  const note = (i) => `${isRange ? `${formatNumber(low[i])} to ${formatNumber(high[i])}` : `± ${formatNumber(one.deviation[i])}`}, ${plural(one.runs[i], "run")}`;
  const span = one.first ? (i) => [one.first[i], one.last[i]] : null;
  const line = { label: groupLabel(group), ...styleOf(one.group), x: one.x, y: one.mean, low, high, note, span, marks: true, isPart: Boolean(one.first) };
  if (!(smoothing > 0)) return line;
  return { ...line, y: smooth(one.x, one.mean, smoothing), raw: { x: one.x, y: one.mean } };
}

export function groupLabel(group) {
  return group.value === null || group.value === undefined ? "none" : exactText(group.value);
}

/** What the address calls a group. */
export function groupKey(group) {
  return JSON.stringify(group.value ?? null);
}

/** What a resumed run computed twice, and how far the two differ. */
export function ghostNote(ghost) {
  const steps = plural(ghost.shared_steps, "step");
  const apart = Number(ghost.deviation);
  if (Number.isNaN(apart)) return h("span", { class: "entry ghost" }, `attempt ${ghost.attempt}: replaced`);
  const text = apart === 0 ? "identical" : `differ by up to ${formatNumber(apart)} (step ${formatNumber(ghost.at_step)})`;
  return h("span", { class: "entry ghost" }, `${steps} recomputed: ${text}`);
}

/** What a log axis has no place for, in words; nothing if it has a place for everything. */
export function hiddenNotes({ x, y, isAtLeast }) {
  const count = (n, what) => `${isAtLeast ? "at least " : ""}${plural(n, what)}`;
  return [
    y ? `${count(y, "value")} ≤ 0: not on the log axis` : null,
    x ? `${count(x, "point")} with x ≤ 0: not on the log x axis` : null,
  ].filter(Boolean);
}
