// Smoothing, and what a chart says about its numbers.

import { unitOf } from "./scales.js";

/**
 * A moving average whose weights decay with the distance in x, so that uneven steps are treated as what they are.
 * `strength` is 0 to 0.999. NaN and infinities are passed over. The bias of the beginning is removed.
 */
export function smooth(xs, ys, strength) {
  const result = new Float64Array(ys.length);
  const unit = unitOf(ys.reduce((most, one) => (Number.isFinite(one) ? Math.max(most, Math.abs(one)) : most), 0));
  let [low, high] = [Infinity, -Infinity]; // a mean is between the values that it is of, whatever rounding does
  const span = xs.length > 1 ? xs[xs.length - 1] - xs[0] : 1;
  let sum = 0;
  let weight = 0;
  let before = xs[0];
  for (let i = 0; i < ys.length; i++) {
    if (!Number.isFinite(ys[i])) {
      result[i] = NaN;
      continue;
    }
    const distance = span > 0 ? ((xs[i] - before) / span) * 1000 : 1;
    const kept = strength ** Math.max(distance, 1e-9);
    sum = sum * kept + ys[i] * unit * (1 - kept);
    weight = weight * kept + (1 - kept);
    before = xs[i];
    [low, high] = [Math.min(low, ys[i]), Math.max(high, ys[i])];
    result[i] = weight > 0 ? Math.min(high, Math.max(low, sum / weight / unit)) : ys[i];
  }
  return result;
}

/** The range of finite values whose x is between two bounds; positive ones only for a log axis. */
export function rangeOf(lines, first, last, positive, ignoreOutliers) {
  const seen = [];
  let low = Infinity;
  let high = -Infinity;
  for (const { x, y } of lines) {
    for (let i = 0; i < x.length; i++) {
      const value = y[i];
      if (x[i] < first || x[i] > last || !Number.isFinite(value) || (positive && value <= 0)) continue;
      if (ignoreOutliers) seen.push(value);
      if (value < low) low = value;
      if (value > high) high = value;
    }
  }
  if (ignoreOutliers && seen.length > 20) {
    seen.sort((a, b) => a - b);
    low = seen[Math.floor(seen.length * 0.02)];
    high = seen[Math.ceil(seen.length * 0.98) - 1];
  }
  return low <= high ? [low, high] : null;
}

/** What a line is at both ends of a range that lies between two of its points; nothing if a point is inside. */
export function crossing({ x, y }, first, last, logX, logY) {
  const after = x.findIndex((one) => one > last);
  const along = (one) => (logX ? Math.log(one) : one / 2);
  const [x0, x1] = [along(x[after - 1]), along(x[after])];
  const [y0, y1] = [y[after - 1], y[after]].map((one) => (logY ? Math.log(one) : one));
  if (!(after > 0 && x[after - 1] < first && [x0, x1, y0, y1].every(Number.isFinite))) return { x: [], y: [] };
  const at = (place) => {
    const part = (along(place) - x0) / (x1 - x0);
    const value = y0 * (1 - part) + y1 * part;
    return logY ? Math.exp(value) : value;
  };
  return { x: [first, last], y: [at(first), at(last)] };
}

/** The place of the item nearest to a value in a sorted list. */
export function nearest(sorted, value) {
  let low = 0;
  let high = sorted.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low > 0 && value - sorted[low - 1] < sorted[low] - value ? low - 1 : low;
}
