// Scales from values to pixels, and where their ticks are.

import { formatNumber } from "../dom.js";

const TIME_STEPS = [
  1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200,
  10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000,
];

/** A scale from [low, high] to [start, end] in pixels. */
export class Scale {
  constructor(low, high, start, end, isLog = false) {
    if (!(high > low)) {
      const pad = isLog ? 0 : Math.abs(low) * 0.05 || 0.5;
      [low, high] = isLog ? [low / 2, low * 2] : [low - pad, low + pad];
    }
    this.isLog = isLog;
    this.low = low;
    this.high = high;
    this.start = start;
    this.end = end;
    this.base = isLog ? Math.log(low) : low;
    this.factor = (end - start) / ((isLog ? Math.log(high) : high) - this.base);
  }

  at(value) {
    return this.start + ((this.isLog ? Math.log(value) : value) - this.base) * this.factor;
  }

  invert(pixel) {
    const value = this.base + (pixel - this.start) / this.factor;
    return this.isLog ? Math.exp(value) : value;
  }
}

/** Ticks of a scale: [{at: value, label}]; `kind` is what its values are. */
export function ticks(scale, kind, room) {
  if (scale.isLog) return logTicks(scale, room);
  const count = Math.max(2, Math.floor(Math.abs(scale.end - scale.start) / room));
  const span = scale.high - scale.low;
  if (kind === "time" || kind === "relative") return timeTicks(scale, kind, span / count);
  const step = niceStep(span / count, kind === "step");
  return evenTicks(scale, step).map((at) => ({ at, label: tickLabel(at, step) }));
}

function niceStep(rough, whole) {
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((one) => one * power >= rough * 0.75) * power;
  return whole ? Math.max(1, Math.round(step)) : step;
}

function evenTicks(scale, step) {
  const found = [];
  for (let n = Math.ceil(scale.low / step - 1e-9); n * step <= scale.high + step * 1e-9; n++) {
    found.push(n * step);
    if (found.length > 100) break;
  }
  return found;
}

function tickLabel(value, step) {
  if (Math.abs(value) < step * 1e-6) return "0";
  const size = Math.abs(value);
  if (size >= 1e6) return shortened(value);
  if (size >= 1e4) return formatNumber(Math.round(value));
  if (size < 1e-3) return Number(value.toPrecision(4)).toExponential().replace("e+", "e");
  const digits = Math.max(0, Math.min(10, -Math.floor(Math.log10(step) + 1e-9)));
  return value.toFixed(digits);
}

function shortened(value) {
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"]]) {
    if (Math.abs(value) >= size && Math.abs(value) < size * 1e3) return `${Number((value / size).toPrecision(4))}${unit}`;
  }
  return value.toExponential(2).replace("e+", "e");
}

function logTicks(scale, room) {
  const from = Math.floor(Math.log10(scale.low));
  const to = Math.ceil(Math.log10(scale.high));
  const decades = Math.log10(scale.high / scale.low);
  const fits = Math.max(2, Math.abs(scale.end - scale.start) / room);
  const every = Math.max(1, Math.ceil(decades / fits));
  const parts = decades < 1.2 ? [1, 2, 3, 4, 5, 6, 7, 8] : decades * 2 < fits ? [1, 2, 5] : [1];
  const found = [];
  for (let power = from; power <= to; power += every) {
    for (const part of parts) {
      const at = part * 10 ** power;
      if (at >= scale.low * 0.999 && at <= scale.high * 1.001) found.push({ at, label: logLabel(at) });
    }
  }
  return found;
}

function logLabel(value) {
  if (value >= 1e-3 && value < 1e5) return String(Number(value.toPrecision(3)));
  return Number(value.toPrecision(3)).toExponential().replace("e+", "e");
}

function timeTicks(scale, kind, rough) {
  const step = TIME_STEPS.find((one) => one >= rough) ?? TIME_STEPS.at(-1);
  const shift = kind === "time" ? new Date(scale.low * 1000).getTimezoneOffset() * 60 : 0;
  const found = [];
  for (let n = Math.ceil((scale.low - shift) / step); n * step + shift <= scale.high; n++) {
    const at = n * step + shift;
    found.push({ at, label: kind === "time" ? clockLabel(at, step) : spanLabel(at, step) });
    if (found.length > 100) break;
  }
  return found;
}

function clockLabel(seconds, step) {
  const when = new Date(seconds * 1000);
  const two = (n) => String(n).padStart(2, "0");
  const day = `${two(when.getMonth() + 1)}-${two(when.getDate())}`;
  if (step >= 86400) return day;
  const clock = `${two(when.getHours())}:${two(when.getMinutes())}`;
  if (step >= 43200) return `${day} ${clock}`;
  return step >= 60 ? clock : `${clock}:${two(when.getSeconds())}`;
}

function spanLabel(seconds, step) {
  if (seconds === 0) return "0";
  if (step >= 86400) return `${Math.round(seconds / 86400)} d`;
  if (step >= 3600) return `${Number((seconds / 3600).toFixed(1))} h`;
  if (step >= 60) return `${Number((seconds / 60).toFixed(1))} min`;
  return step >= 1 ? `${Math.round(seconds)} s` : `${Number(seconds.toFixed(3))} s`;
}
