// Scales from values to pixels, and where their ticks are. Any finite number has a place, up to the greatest and down to the least.

import { clockLabels, labelNumbers, logLabel, spanLabels } from "./tick_labels.js";

const MOST_TICKS = 100;
const LOG_STEPS = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500]; // powers of ten from tick to tick
const YEAR = 31536000;
const TIME_STEPS = [
  1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200,
  10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, YEAR,
];

/** A scale from [low, high] to [start, end] in pixels; `pad` is the share of the range that is added at both ends. */
export class Scale {
  constructor(low, high, start, end, isLog = false, pad = 0) {
    this.isLog = isLog;
    [low, high] = [bounded(low, isLog), bounded(high, isLog)];
    this.unit = isLog ? 1 : unitOf(Math.max(Math.abs(low), Math.abs(high)));
    let [base, top] = [this.warp(low), this.warp(high)];
    const by = top > base ? (top - base) * pad : isLog ? Math.LN2 : Math.abs(base) * 0.05 || 0.5;
    [base, top] = top > base ? [base - by, top + by] : [base - by, base + by];
    [this.base, this.top, this.start, this.end] = [base, top, start, end];
    this.factor = (end - start) / (top - base);
    [this.low, this.high] = by ? [this.#unwarp(base), this.#unwarp(top)] : [low, high];
  }

  /** A value where distances are those of the screen: its logarithm, or the value in a unit that cannot overflow. */
  warp(value) {
    return this.isLog ? Math.log(value) : value * this.unit;
  }

  #unwarp(value) {
    return bounded(this.isLog ? Math.exp(value) : value / this.unit, this.isLog);
  }

  at(value) {
    return this.pixel(this.warp(value));
  }

  /** The place of a warped value. */
  pixel(warped) {
    const place = this.start + (warped - this.base) * this.factor;
    return Math.min(1e6, Math.max(-1e6, place)); // a canvas draws nothing at an infinite place
  }

  invert(pixel) {
    return this.#unwarp(this.base + (pixel - this.start) / this.factor);
  }
}

/** A number that a scale can begin or end with. */
function bounded(value, isLog) {
  if (Number.isNaN(value) || (isLog && value < 0)) return isLog ? 1 : 0;
  return Math.min(Number.MAX_VALUE, Math.max(isLog ? Number.MIN_VALUE : -Number.MAX_VALUE, value));
}

/** A power of ten by which the differences of values neither overflow nor vanish. */
export function unitOf(size) {
  if (size > 1e200) return 1e-200;
  return size > 0 && size < 1e-200 ? 1e200 : 1;
}

/** Ticks of a scale: [{at: value, label}]; `kind` is what its values are, `room` the pixels from one to the next. */
export function ticks(scale, kind, room) {
  return axisTicks(scale, kind, room, false).ticks;
}

/**
 * The same as {ticks, offset}. If `offset` is not null, the labels are what is to be added to that number: "1 + …" is the
 * text beside the axis. A tick with a `rank` gives way to those with a lower one where there is no room for both.
 */
export function axisTicks(scale, kind, room, mayOffset = true) {
  const count = Math.max(2, Math.floor(Math.abs(scale.end - scale.start) / room));
  if (scale.isLog) {
    const found = logTicks(scale, count);
    if (found.length > 1) return { ticks: found, offset: null };
  } else if (kind === "time" || kind === "relative") return { ticks: timeTicks(scale, kind, count), offset: null };
  const sparse = evenTicks(scale, count, kind === "step", mayOffset);
  return sparse.ticks.length > 1 ? sparse : evenTicks(scale, 3 * count, kind === "step" && sparse.ticks.length > 0, mayOffset);
}

function niceStep(rough, whole) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough * 0.75) * power;
  return whole ? Math.max(1, Math.round(step)) : step;
}

function evenTicks(scale, count, whole, mayOffset) {
  const { unit } = scale;
  const [low, high] = scale.isLog ? [scale.low, scale.high] : [scale.base, scale.top];
  const step = niceStep((high - low) / count, whole);
  const from = Math.ceil(low / step - 1e-9);
  const values = [];
  for (let n = 0; n < MOST_TICKS && (from + n) * step <= high + step * 1e-9; n++) {
    const value = ((from + n) * step) / unit;
    const place = (scale.at(value) - scale.start) / (scale.end - scale.start);
    if (Number.isFinite(value) && place > -1e-3 && place < 1.001 && !(value <= values.at(-1))) values.push(value);
  }
  const { labels, offset } = labelNumbers(values, step / unit, Math.log10(step) - Math.log10(unit), mayOffset);
  return { ticks: values.map((at, i) => ({ at, label: labels[i] })), offset };
}

function logTicks(scale, count) {
  const [low, high] = [scale.base / Math.LN10, scale.top / Math.LN10];
  const decades = high - low;
  const every = LOG_STEPS.find((one) => one >= decades / count) ?? LOG_STEPS.at(-1);
  const parts = decades < 1.2 ? [1, 2, 3, 4, 5, 6, 7, 8] : decades * 2 < count ? [1, 2, 5] : [1];
  const found = [];
  for (let power = Math.floor(low / every) * every; power <= high; power += every) {
    for (const part of parts) {
      const at = Number(`${part}e${power}`);
      const place = Math.log10(at);
      if (place < low - 1e-6 || place > high + 1e-6 || !Number.isFinite(place)) continue;
      found.push({ at, label: logLabel(part, power), rank: part === 1 ? 0 : part === 2 || part === 5 ? 1 : 2 });
    }
  }
  return found;
}

function timeTicks(scale, kind, count) {
  const rough = (scale.high - scale.low) / count;
  const fitting = TIME_STEPS.find((one) => one >= rough) ?? niceStep(rough / YEAR) * YEAR;
  const step = rough < TIME_STEPS[0] ? niceStep(rough) : fitting;
  const shift = kind === "time" ? new Date(scale.low * 1000).getTimezoneOffset() * 60 : 0;
  const from = Math.ceil((scale.low - shift) / step);
  const values = [];
  for (let n = 0; n < MOST_TICKS && (from + n) * step + shift <= scale.high; n++) {
    const value = (from + n) * step + shift;
    if (!(value <= values.at(-1))) values.push(value);
  }
  const labels = kind === "time" ? clockLabels(values, step) : spanLabels(values, step);
  return values.map((at, i) => ({ at, label: labels[i] }));
}
