// Painting a chart on its canvas, as it was laid out.

import { color } from "./palette.js";
import { ColumnPath, Dots, PlainPath } from "./paths.js";
import { nearest } from "./smooth.js";

const FONT = "11px system-ui, sans-serif";
const TEXT = 13; // pixels that a label needs in height

/** Clear a canvas at the size and density of the screen, and return its context. */
export function prepare(canvas, width, height) {
  const density = window.devicePixelRatio || 1;
  const [wide, tall] = [Math.round(width * density), Math.round(height * density)];
  if (canvas.width !== wide || canvas.height !== tall) [canvas.width, canvas.height] = [wide, tall];
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  return context;
}

/** Say something in the middle of a chart, in as many lines as it needs. */
export function paintText(context, text, width, height) {
  context.fillStyle = color("--dim");
  context.textAlign = "center";
  context.textBaseline = "middle";
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (context.measureText(longer).width < width - 30) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  lines.forEach((line, i) => {
    const [half, middle] = [context.measureText(line).width / 2 + 6, height / 2 + (i - (lines.length - 1) / 2) * 16];
    context.clearRect(width / 2 - half, middle - 8, 2 * half, 16); // the lines of the grid do not cross it
    context.fillText(line, width / 2, middle);
  });
}

/** Lines of the grid, and the labels of both axes. */
export function paintAxes(context, { x, y, left, right, top, bottom }) {
  context.strokeStyle = color("--grid");
  context.fillStyle = color("--dim");
  context.lineWidth = 1;
  context.beginPath();
  context.textBaseline = "middle";
  context.textAlign = "right";
  const rows = new Places();
  for (const { at, label } of byRank(y.ticks)) {
    const place = Math.round(y.at(at)) + 0.5;
    context.moveTo(left, place);
    context.lineTo(right, place);
    if (rows.take(place - TEXT / 2, place + TEXT / 2)) context.fillText(label, left - 6, place);
  }
  context.textBaseline = "top";
  context.textAlign = "center";
  const columns = new Places();
  for (const { at, label } of byRank(x.ticks)) {
    const place = Math.round(x.at(at)) + 0.5;
    context.moveTo(place, top);
    context.lineTo(place, bottom);
    const half = context.measureText(label).width / 2;
    const middle = Math.max(half + 1, Math.min(place, right + 11 - half));
    if (columns.take(middle - half - 4, middle + half + 4)) context.fillText(label, middle, bottom + 7);
  }
  context.stroke();
  context.textAlign = "left";
  if (y.offset) context.fillText(y.offset, 2, 2);
  context.textAlign = "right";
  if (x.offset) context.fillText(x.offset, right + 11, bottom + 7 + TEXT);
}

const byRank = (ticks) => [...ticks].sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0));

/** The places along an axis that labels have taken. */
class Places {
  taken = [];

  take(from, to) {
    if (this.taken.some(([low, high]) => from < high && low < to)) return false;
    this.taken.push([from, to]);
    return true;
  }
}

/** The lines with their bands, and marks for what has no place among them. */
export function paintLines(context, lines, layout, width) {
  const { left, right, top, bottom } = layout;
  context.save();
  context.beginPath();
  context.rect(left - 3, top - 4, right - left + 6, bottom - top + 8);
  context.clip();
  const ordered = [...lines].sort((a, b) => Boolean(b.under) - Boolean(a.under));
  for (const line of ordered) if (line.low) paintBand(context, line, layout);
  for (const line of ordered) paintLine(context, line, layout, width);
  context.restore();
  for (const line of ordered) if (line.marks) paintMarks(context, line, layout);
}

function paintLine(context, { x, y, color: stroke, under, dash, faint, dots }, { x: sx, y: sy }, width) {
  context.strokeStyle = context.fillStyle = stroke;
  context.globalAlpha = under ? 0.28 : faint ? 0.55 : 1;
  context.lineWidth = under ? 1 : 1.5;
  context.lineJoin = "bevel"; // round joins take several times as long without a graphics card
  const isDense = x.length > 2.2 * width;
  context.setLineDash(dash ?? []);
  context.beginPath();
  const path = dots ? new Dots(context) : isDense ? new ColumnPath(context) : new PlainPath(context);
  const [from, to] = [Math.max(0, nearest(x, sx.low) - 1), Math.min(x.length, nearest(x, sx.high) + 2)];
  const hasPlace = (i) => Number.isFinite(y[i]) && !(sy.isLog && y[i] <= 0) && !(sx.isLog && x[i] <= 0);
  const edge = (i, j, end) => { // where a line to a point outside the range leaves it: a canvas cannot draw very long lines
    if (!dots && j >= 0 && j < x.length && hasPlace(j)) path.add(sx.at(end), between(sx, sy, [x[i], y[i]], [x[j], y[j]], end));
  };
  for (let i = from; i < to; i++) {
    if (!hasPlace(i)) path.end();
    else if (x[i] < sx.low) {
      if (x[i + 1] > sx.low) edge(i, i + 1, sx.low);
    } else if (x[i] > sx.high) {
      if (x[i - 1] < sx.high) edge(i, i - 1, sx.high);
    } else path.add(sx.at(x[i]), sy.at(y[i]));
  }
  path.end();
  context.stroke();
  context.setLineDash([]);
  context.globalAlpha = 1;
}

/** The height of a line between two points, at an x. */
function between(sx, sy, [x0, y0], [x1, y1], x) {
  const [a, b] = [sy.warp(y0), sy.warp(y1)];
  const part = (sx.warp(x) / 2 - sx.warp(x0) / 2) / (sx.warp(x1) / 2 - sx.warp(x0) / 2);
  return sy.pixel(a * (1 - part) + b * part);
}

/** Fill the band around a line. */
function paintBand(context, { x, low, high, color: fill }, { x: sx, y: sy }) {
  const height = (value) => sy.at(sy.isLog ? Math.max(value, sy.low) : value);
  const places = [...x.keys()].filter((i) => !(sx.isLog && x[i] <= 0));
  if (places.length < 2) return;
  context.fillStyle = fill;
  context.globalAlpha = 0.16;
  context.beginPath();
  for (const i of places) context.lineTo(sx.at(x[i]), height(high[i]));
  for (const i of places.reverse()) context.lineTo(sx.at(x[i]), height(low[i]));
  context.fill();
  context.globalAlpha = 1;
}

/**
 * Mark NaN with a cross at the bottom, and infinities with an arrow at their end of the axis. What is at or below 0 on a
 * log axis has an angle that points to where it would be.
 */
function paintMarks(context, { x, y, color: stroke }, { x: sx, y: sy, left, top, bottom }) {
  context.strokeStyle = context.fillStyle = stroke;
  context.lineWidth = 1.5;
  context.beginPath();
  const path = (...points) => points.forEach(([across, down], i) => (i ? context.lineTo(across, down) : context.moveTo(across, down)));
  const arrows = [];
  for (let i = 0; i < x.length; i++) {
    const value = y[i];
    const isLeft = sx.isLog && x[i] <= 0;
    if (isLeft) {
      const down = Number.isFinite(value) && !(sy.isLog && value <= 0) ? sy.at(value) : bottom - 5;
      path([left + 5, down - 4], [left + 1, down], [left + 5, down + 4]);
      continue;
    }
    const isBelow = sy.isLog && value <= 0 && Number.isFinite(value);
    if ((Number.isFinite(value) && !isBelow) || x[i] < sx.low || x[i] > sx.high) continue;
    const at = sx.at(x[i]);
    if (isBelow) path([at - 4, bottom - 4], [at, bottom], [at + 4, bottom - 4]);
    else if (Number.isNaN(value)) {
      path([at - 3, bottom - 8], [at + 3, bottom - 2]);
      path([at + 3, bottom - 8], [at - 3, bottom - 2]);
    } else arrows.push([at, ...(value > 0 ? [top - 4, top + 3] : [bottom + 4, bottom - 3])]);
  }
  context.stroke();
  context.beginPath();
  for (const [at, tip, foot] of arrows) path([at, tip], [at - 4, foot], [at + 4, foot]);
  context.fill();
}
