// From loaded series to the lines of a chart, and what its legend says of them.

import { exactText, formatNumber, h, plural } from "../dom.js";
import { lineColor } from "./plot.js";
import { smooth } from "./smooth.js";

/** The lines of one metric of one run: what counts, what was computed again, and a smoothed line. */
export function runLines(one, run, smoothing) {
  const color = lineColor(run.place);
  const raw = { label: run.label, color, x: one.x, y: one.values, marks: true };
  const ghosts = one.ghosts.map((ghost) => ({
    label: `${run.label}, attempt ${ghost.attempt}, recomputed`, color, x: ghost.x, y: ghost.values, dash: true, faint: true,
  }));
  if (!(smoothing > 0)) return [...ghosts, raw];
  const base = one.means ?? { x: one.x, values: one.values };
  return [...ghosts, { ...raw, under: true }, { label: run.label, color, x: base.x, y: smooth(base.x, base.values, smoothing) }];
}

/** The mean of a group with its band: `band` is "range" or "std". */
export function groupLine(one, group, band, smoothing) {
  const isRange = band !== "std";
  const apart = (sign) => one.mean.map((mean, i) => mean + sign * one.deviation[i]);
  const [low, high] = isRange ? [one.low, one.high] : [apart(-1), apart(1)];
  const note = (i) => `${isRange ? `${formatNumber(low[i])} to ${formatNumber(high[i])}` : `± ${formatNumber(one.deviation[i])}`}, ${plural(one.runs[i], "run")}`;
  const y = smoothing > 0 ? smooth(one.x, one.mean, smoothing) : one.mean;
  return { label: groupLabel(group), color: lineColor(one.group), x: one.x, y, low, high, note };
}

export function groupLabel(group) {
  return group.value === null || group.value === undefined ? "none" : exactText(group.value);
}

/** What a resumed run computed twice, and how far the two differ. */
export function ghostNote(ghost) {
  const steps = plural(ghost.shared_steps, "step");
  const apart = Number(ghost.deviation);
  if (Number.isNaN(apart)) return h("span", { class: "entry ghost" }, `attempt ${ghost.attempt}: replaced`);
  const text = apart === 0 ? "identical" : `differ by up to ${formatNumber(apart)} (step ${formatNumber(ghost.at_step)})`;
  return h("span", { class: "entry ghost" }, `${steps} recomputed: ${text}`);
}
