// Where everything of a chart is: its scales, its ticks, the room for their labels, and what a log axis has no place for.

import { Scale, axisTicks } from "./scales.js";
import { crossing, rangeOf } from "./smooth.js";

const RIGHT = 12;
const TOP = 10;
const BOTTOM = 24;
const LEAST_LEFT = 40;
const LINE = 13; // the height of a text
const PAD = 0.06; // of the range of y, beside the values
const [ROOM_X, ROOM_Y] = [76, 38]; // pixels from tick to tick

/**
 * The layout of lines in a canvas of a size, or null if there is nothing to show. `measure(text)` is its width. `hidden`
 * counts what has no place on a log axis: {x, y, isAtLeast, isAll}.
 */
export function layOut(lines, options, width, height, measure) {
  const shown = lines.filter((line) => line.x.length);
  if (!shown.length) return null;
  const domain = domainOf(shown, options);
  const isEmpty = !shown.some(({ x }) => x[0] <= domain[1] && x[x.length - 1] >= domain[0]);
  const range = rangeWithin(shown, domain, options);
  let [top, bottom] = [TOP, BOTTOM];
  for (let again = 0; ; again++) {
    const made = place(domain, range, options, { top, bottom, width, height }, measure);
    const [above, below] = [made.y.offset ? TOP + LINE : TOP, made.x.offset ? BOTTOM + LINE : BOTTOM];
    if (again === 2 || (above === top && below === bottom)) return { ...made, isEmpty, hidden: hiddenOf(shown, made, options) };
    [top, bottom] = [above, below];
  }
}

function domainOf(shown, { first, last, logX }) {
  const ends = (pick) => shown.map(({ x }) => pick(x)).filter((one) => one !== undefined);
  const least = logX ? ends((x) => x.find((one) => one > 0)) : ends((x) => x[0]);
  const from = least.length ? Math.min(...least) : 1;
  const to = Math.max(...ends((x) => x[x.length - 1]));
  return [logX && first <= 0 ? from : (first ?? from), last ?? to];
}

function rangeWithin(shown, [first, last], { logX, logY, outliers }) {
  const edges = shown.filter((line) => line.low).flatMap(({ x, low, high }) => [{ x, y: low }, { x, y: high }]);
  const passing = () => shown.filter((line) => !line.under).map((line) => crossing(line, first, last, logX, logY));
  return rangeOf([...shown, ...edges], first, last, logY, outliers) ?? rangeOf(passing(), first, last, logY) ?? (logY ? [0.1, 1] : [0, 1]);
}

function place([first, last], [low, high], { kind, logX, logY }, { top, bottom, width, height }, measure) {
  const y = new Scale(low, high, height - bottom, top, logY, PAD);
  const upward = axisTicks(y, "value", ROOM_Y);
  const widest = Math.max(0, ...upward.ticks.map(({ label }) => measure(label)));
  const left = Math.min(Math.max(LEAST_LEFT, Math.ceil(widest) + 12), width - RIGHT - 20);
  const right = width - RIGHT;
  const x = new Scale(first, last, left, right, logX);
  let across = axisTicks(x, kind, ROOM_X);
  for (let tries = 0; tries < 2; tries++) {
    const room = 14 + Math.max(0, ...across.ticks.map(({ label }) => measure(label)));
    if (room > ROOM_X) across = axisTicks(x, kind, room);
  }
  return { kind, x: Object.assign(x, across), y: Object.assign(y, upward), left, right, top, bottom: height - bottom };
}

/** How many points have no place on a log axis. Those outside a range that was chosen are not counted. */
function hiddenOf(shown, { x, y }, { first }) {
  const hidden = { x: 0, y: 0, isAtLeast: false, isAll: false };
  if (!x.isLog && !y.isLog) return hidden;
  let placed = 0;
  for (const line of shown) {
    if (!line.marks) continue;
    for (let i = 0; i < line.x.length; i++) {
      if (x.isLog && line.x[i] <= 0) hidden.x += (first ?? null) === null;
      else if (y.isLog && line.y[i] <= 0 && Number.isFinite(line.y[i]) && line.x[i] >= x.low && line.x[i] <= x.high) hidden.y += 1;
      else placed += 1;
    }
    hidden.isAtLeast ||= Boolean(line.isPart);
  }
  hidden.isAll = placed === 0 && hidden.x + hidden.y > 0;
  return hidden;
}
