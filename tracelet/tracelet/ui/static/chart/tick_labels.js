// The labels of ticks: as many digits as tell neighbors apart, and no more.

import { formatNumber } from "../dom.js";

const MOST_DIGITS = 7; // in a label; with more, the labels say what to add to a number beside the axis
const UNITS = [[12, "T"], [9, "G"], [6, "M"]];
const DAY = 86400;

/**
 * Labels of values that are `step` apart: {labels, offset}. `power` is the logarithm of the step, which also tells how
 * small a step is that is no number any more. If `offset` is not null, the labels are what is added to it.
 */
export function labelNumbers(values, step, power, mayOffset = true) {
  const last = Math.floor(power + 1e-9); // the place of the last digit that is needed
  const digits = powerOf(largest(values)) - last + 1;
  if (mayOffset && digits > MOST_DIGITS && values.length > 1) return offsetLabels(values, step, last);
  return { labels: distinct(plainLabels(values, last), values), offset: null };
}

const largest = (values) => values.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
const powerOf = (size) => (size > 0 ? Math.floor(Math.log10(size) + 1e-12) : 0);

/** Labels that differ, if need be with all digits. */
function distinct(labels, values) {
  return new Set(labels).size === labels.length ? labels : values.map(String);
}

function plainLabels(values, last) {
  const power = powerOf(largest(values));
  const digits = (from) => Math.min(20, Math.max(0, from - last));
  const write = (value) => {
    const [unit, name] = UNITS.find(([one]) => power >= one && power < 15) ?? [0, ""];
    if (power < -3 || power >= 15) return scientific(value, digits(powerOf(Math.abs(value))));
    if (unit === 0 && power >= 4 && last >= 0) return formatNumber(Math.round(value));
    return (value / 10 ** unit).toFixed(digits(unit)) + name;
  };
  return values.map((value) => (value === 0 || Math.abs(value) < 10 ** last * 1e-6 ? "0" : write(value)));
}

const scientific = (value, digits) => Number(value.toExponential(digits)).toExponential().replace("e+", "e");

function offsetLabels(values, step, last) {
  const [low, high] = [values[0], values.at(-1)];
  const round = 10 ** Math.ceil(Math.log10(high - low) + 1);
  const offset = Number((Math.round((low / 2 + high / 2) / round) * round).toPrecision(15));
  const isFine = step < Math.abs(offset) * 4e-16; // finer than the numbers are
  const apart = values.map((value) => (isFine ? value - offset : Math.round((value - offset) / step) * step));
  const labels = isFine ? apart.map((one) => (one === 0 ? "0" : scientific(one, 2))) : plainLabels(apart, last);
  return { labels: labels.map((label, i) => (apart[i] > 0 ? `+${label}` : label)), offset: `${exactly(offset)} + …` };
}

/** A round number in full. */
function exactly(value) {
  const [unit, name] = UNITS.find(([one]) => Math.abs(value) >= 10 ** one && Math.abs(value) < 1e15) ?? [0, ""];
  if (unit) return `${Number((value / 10 ** unit).toPrecision(15))}${name}`;
  return String(value).replace("e+", "e");
}

export function logLabel(part, power) {
  return power >= -3 && power < 5 ? String(Number(`${part}e${power}`)) : `${part}e${power}`;
}

const two = (n) => String(n).padStart(2, "0");

/** Labels of moments: the clock, with the day where one begins, or the day alone. */
export function clockLabels(values, step) {
  const whens = values.map((seconds) => new Date(Math.round(seconds * 1000)));
  const years = whens.map((when) => String(when.getFullYear()));
  const days = whens.map((when) => `${two(when.getMonth() + 1)}-${two(when.getDate())}`);
  const areYears = new Set(years).size > 1 && step >= DAY;
  if (step >= DAY) return days.map((day, i) => (areYears ? `${years[i]}-${day}` : day));
  const clocks = whens.map((when, i) => clock(when, values[i], step));
  const isLong = step >= DAY / 2;
  return clocks.map((one, i) => (isLong ? `${days[i]} ${one}` : i > 0 && days[i] !== days[i - 1] ? newDay(days[i], one) : one));
}

const newDay = (day, text) => (text === "00:00" ? day : `${day} ${text}`);

function clock(when, seconds, step) {
  const minutes = `${two(when.getHours())}:${two(when.getMinutes())}`;
  if (step >= 60) return minutes;
  if (step >= 1) return `${minutes}:${two(when.getSeconds())}`;
  const digits = digitsOf(step);
  const parts = 10 ** digits;
  const whole = new Date(Math.floor(Math.round(seconds * parts) / parts) * 1000);
  const fraction = String(((Math.round(seconds * parts) % parts) + parts) % parts).padStart(digits, "0");
  return `${two(whole.getHours())}:${two(whole.getMinutes())}:${two(whole.getSeconds())}.${fraction}`;
}

/** The digits after the point that tell values apart. */
const digitsOf = (step) => Math.min(6, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));

/** Labels of durations. */
export function spanLabels(values, step) {
  const most = largest(values);
  const [size, unit] = step >= DAY ? [DAY, "d"] : step >= 3600 ? [3600, "h"] : step >= 60 ? [60, "min"] : most >= 1 ? [1, "s"] : most >= 1e-3 ? [1e-3, "ms"] : [1e-6, "µs"];
  const digits = step >= 60 ? 1 : Math.min(9, Math.max(0, -Math.floor(Math.log10(step / size) + 1e-9)));
  const write = (value) => `${Number((value / size).toFixed(digits)).toLocaleString("en-US", { maximumFractionDigits: 9, useGrouping: false })} ${unit}`;
  return values.map((value) => (value === 0 || Math.abs(value) < step * 1e-6 ? "0" : write(value)));
}
