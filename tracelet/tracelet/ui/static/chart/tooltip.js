// What a chart says about its lines at an x.

import { formatDuration, formatNumber, formatTime, h, shortenMiddle } from "../dom.js";
import { swatch } from "./palette.js";
import { nearest } from "./smooth.js";

const NEAR = 8; // pixels beside the ends of a line where it still has a value
const ROW = 19; // pixels that a line of the tooltip needs
const MOST = 40;

/** What an x is, in words. `span` is the width of the range that is shown. */
export function formatX(value, kind, span = Infinity) {
  if (kind === "time") return span < 120 && value ? formatTime(value) + fractionOf(value, span) : formatTime(value);
  if (kind === "relative") return formatDuration(value);
  if (kind?.startsWith("metric:")) return `${kind.slice(7)} ${formatNumber(value)}`;
  return kind === "step" ? `step ${formatNumber(Math.round(value))}` : formatNumber(value);
}

const fractionOf = (value, span) => (value - Math.floor(value)).toFixed(span < 0.1 ? 6 : 3).slice(1).replace(/^\.?(?=$)/, "");

/** What a mean is of, in words. */
function formatSpan([first, last], kind) {
  const short = (one) => (kind === "step" ? formatNumber(Math.round(one)) : formatX(one, kind));
  return `mean of ${kind === "step" ? "steps " : ""}${short(first)}–${short(last)}`;
}

/** The nearest point of each line that has one at an x: {line, x, y, raw, note, span}. */
export function findPoints(lines, value, { x: scale }) {
  const found = [];
  const pixel = scale.at(value);
  for (const line of lines) {
    if (line.under || !line.x.length) continue;
    const { x, y } = line;
    if (pixel < scale.at(x[0]) - NEAR || pixel > scale.at(x[x.length - 1]) + NEAR) continue;
    const at = nearest(x, value);
    const raw = line.raw ? nearest(line.raw.x, value) : null;
    found.push({
      line, x: x[at], y: y[at], note: line.note?.(at), span: line.span?.(at),
      raw: raw === null ? null : { x: line.raw.x[raw], y: line.raw.y[raw] },
    });
  }
  return found;
}

/** Fill a tooltip with as many points as fit, those nearest to a height first. */
export function fillTooltip(tip, found, value, height, { x, y, kind }, room) {
  const away = (one) => (Number.isFinite(one.y) ? Math.abs(y.at(one.y) - height) : 1e9);
  const sorted = [...found].sort((a, b) => away(a) - away(b));
  const fitting = Math.min(MOST, Math.max(4, Math.floor((room - 14) / ROW) - 1));
  const near = sorted.length > fitting ? sorted.slice(0, fitting - 1) : sorted;
  const span = x.high - x.low;
  const where = (one) => (one.span && one.span[0] < one.span[1] ? formatSpan(one.span, kind) : formatX(one.raw?.x ?? one.x, kind, span));
  const head = near.length ? where(near[0]) : formatX(value, kind, span);
  const rows = near.map((one) => row(one, where(one) === head ? "" : where(one)));
  tip.replaceChildren(h("div", { class: "dim" }, head), ...rows);
  if (sorted.length > near.length) tip.append(h("div", { class: "dim" }, `and ${sorted.length - near.length} more`));
}

function row({ line, y, raw, note }, elsewhere) {
  const notes = [note, elsewhere].filter(Boolean).join(", ");
  return h("div", { class: "row" }, swatch(line.color, line.swatchDash), h("b", {}, formatNumber(y)), " ",
    raw ? [h("span", { class: "dim" }, `(raw ${formatNumber(raw.y)})`), " "] : null, h("span", { class: "label" }, shortenMiddle(line.label, 36)),
    notes ? [" ", h("span", { class: "dim" }, notes)] : null);
}
