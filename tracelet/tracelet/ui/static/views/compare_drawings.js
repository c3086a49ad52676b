// Scatter and parallel coordinates as SVG.

import { lineColor } from "../chart/plot.js";
import { Scale, ticks } from "../chart/scales.js";
import { exactText, formatNumber, h, isNumber, label, svg } from "../dom.js";
import { fitText } from "./text_width.js";

const short = (name) => name.replace(/^(params|metrics)\./, "");
const RAMP = [[37, 99, 235], [8, 145, 178], [101, 163, 13], [234, 138, 12], [220, 38, 38]]; // readable on light and dark

// --- scatter ------------------------------------------------------------------------------------------

function scaleOf(values, start, end, isLog) {
  const finite = values.filter((one) => Number.isFinite(one) && (!isLog || one > 0));
  return new Scale(Math.min(...finite), Math.max(...finite), start, end, isLog, 0.05);
}

/** A point per run; `logs` says which axes are logarithmic, `isShown` which runs are. */
export function drawScatter(runs, xName, xs, yName, ys, logs, isShown) {
  const [width, height, left, bottom] = [520, 300, 58, 34];
  const x = scaleOf(xs, left, width - 14, logs.x);
  const y = scaleOf(ys, height - bottom, 12, logs.y);
  const lines = [
    ...ticks(y, "value", 40).flatMap(({ at, label: text }) => [svg("line", { x1: left, x2: width - 14, y1: y.at(at), y2: y.at(at), class: "gridline" }), label(left - 6, y.at(at) + 4, text, "end")]),
    ...ticks(x, "value", 80).flatMap(({ at, label: text }) => [svg("line", { x1: x.at(at), x2: x.at(at), y1: 12, y2: height - bottom, class: "gridline" }), label(x.at(at), height - bottom + 14, text)]),
  ];
  const points = runs.map((run, i) => {
    const [across, up] = [x.at(xs[i]), y.at(ys[i])];
    if (!Number.isFinite(across) || !Number.isFinite(up)) return null;
    const point = svg("circle", { cx: across, cy: up, r: 5, fill: lineColor(run.place), "fill-opacity": isShown[i] ? 1 : 0.12 });
    point.append(svg("title", {}, `${run.label}: ${short(xName)} ${exactText(xs[i])}, ${short(yName)} ${exactText(ys[i])}`));
    return point;
  });
  const foot = label((width + left) / 2, height - 3, fitText(`${short(xName)}${logs.x ? " (log)" : ""}`, width - left - 20));
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${short(yName)} against ${short(xName)} of ${runs.length} runs` }, ...lines, ...points, foot);
}

// --- parallel coordinates -----------------------------------------------------------------------------

const [TOP, BOTTOM, HEIGHT, ROOM] = [40, 42, 330, 136]; // pixels
const [LEFT, RIGHT] = [60, 110]; // beside the first and the last axis: the labels are on the right of an axis
const SNAP = 6; // pixels from an end of an axis at which a brush takes the end
const FEW = 12; // categories that are all labelled

/** An axis of a field: a scale from the least to the greatest value, or a place for each text. `at` is null without a value. */
export function makeAxis(name, values, isLog) {
  const [start, end] = [HEIGHT - BOTTOM, TOP];
  const known = values.filter((one) => one !== null && one !== undefined);
  const isNumeric = known.every((one) => isNumber(one) || ["NaN", "Infinity", "-Infinity"].includes(one));
  if (!isNumeric) {
    const texts = [...new Set(known.map(exactText))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    const place = (text) => (texts.length > 1 ? start + (texts.indexOf(text) * (end - start)) / (texts.length - 1) : (start + end) / 2);
    const every = Math.ceil(texts.length / FEW);
    return { name, isLog: false, at: (value) => (value === null || value === undefined ? null : place(exactText(value))), ends: texts.filter((_, i) => i % every === 0).map((text) => ({ text, y: place(text) })) };
  }
  const numbers = known.map(Number).filter((one) => Number.isFinite(one) && (!isLog || one > 0));
  if (!numbers.length) return { name, isLog, at: () => null, ends: [] };
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const scale = new Scale(low, high, start, end, isLog);
  const hasPlace = (value) => value !== null && value !== undefined && Number.isFinite(Number(value)) && (!isLog || value > 0);
  const at = (value) => (hasPlace(value) ? scale.at(Number(value)) : null);
  const ends = high > low ? [low, high] : [low];
  return { name, isLog, at, ends: ends.map((value) => ({ text: formatNumber(value), exact: String(value), y: at(value) })) };
}

/** Whether a run is inside all brushes: pixels of its axes, by name. */
export function isInside(axes, values, row, brushes) {
  return axes.every((axis, i) => {
    const brush = brushes[axis.name];
    if (!brush) return true;
    const y = axis.at(values[i][row]);
    return y !== null && y >= brush[0] - 0.5 && y <= brush[1] + 0.5;
  });
}

/** The color of a value between the least and the greatest. */
export function rampColor(value, low, high) {
  const share = high > low ? (value / 2 - low / 2) / (high / 2 - low / 2) : 0.5; // halves, as the whole range may overflow
  const at = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const [from, to] = [RAMP[Math.floor(at)], RAMP[Math.ceil(at)]];
  return `rgb(${from.map((one, i) => Math.round(one + (to[i] - one) * (at - Math.floor(at)))).join(",")})`;
}

/**
 * A line per run across the axes. `colors` has one for each run, `isShown` which runs are inside the brushes; `onBrush` is
 * told an axis and a range of pixels, or null.
 */
export function drawParallel(runs, axes, values, colors, isShown, brushes, onBrush, room) {
  const width = Math.max(room, axes.length * ROOM);
  const inner = width - LEFT - RIGHT;
  const place = (i) => LEFT + (axes.length > 1 ? (i * inner) / (axes.length - 1) : inner / 2);
  const gap = axes.length > 1 ? place(1) - place(0) : width;
  const order = [...runs.keys()].sort((a, b) => isShown[a] - isShown[b]); // those inside are on top
  const lines = order.flatMap((row) => runLine(runs[row], axes, (i) => axes[i].at(values[i][row]), place, colors[row], isShown[row]));
  const frames = axes.flatMap((axis, i) => axisFrame(axis, place(i), gap, i === axes.length - 1, brushes[axis.name], values[i].some((one) => axis.at(one) === null)));
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", class: "parallel", "aria-label": `parallel coordinates of ${runs.length} runs: ${axes.map((one) => short(one.name)).join(", ")}` }, ...lines, ...frames);
  catchBrush(drawing, axes, place, onBrush);
  return drawing;
}

/** The line of a run; a run that lacks a value passes below the axis. */
function runLine(run, axes, at, place, color, isInside) {
  const points = axes.map((_, i) => `${place(i).toFixed(1)},${(at(i) ?? HEIGHT - 12).toFixed(1)}`);
  const line = svg("polyline", { points: points.join(" "), fill: "none", stroke: color, "stroke-width": 1.8, "stroke-opacity": isInside ? 0.85 : 0.08, "data-run": run.id, "data-inside": String(isInside) });
  line.append(svg("title", {}, run.label));
  return line;
}

function axisFrame(axis, x, gap, isLast, brush, isLacking) {
  const name = svg("text", { x, y: 14, "text-anchor": "middle", class: "axis name" }, fitText(`${short(axis.name)}${axis.isLog ? " (log)" : ""}`, Math.min(gap - 12, 2 * LEFT)));
  name.append(svg("title", {}, axis.name));
  const texts = axis.ends.map(({ text, exact, y }) => {
    const shown = fitText(text, Math.min(gap - 24, isLast ? RIGHT - 12 : Infinity));
    const element = svg("text", { x: x + 7, y: y + 4, class: "axis halo" }, shown);
    element.append(svg("title", {}, exact ?? text));
    return element;
  });
  return [svg("line", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM, class: "axisline" }), name, ...texts,
    ...(isLacking ? [label(x, HEIGHT - 1, axis.isLog ? "none, or not above 0" : "none")] : []),
    ...(brush ? [svg("rect", { x: x - 7, y: brush[0], width: 14, height: Math.max(2, brush[1] - brush[0]), class: "brush" })] : [])];
}

/** Dragging along an axis chooses a range of it, a click on the axis all of it. */
function catchBrush(drawing, axes, place, onBrush) {
  let from = null;
  const where = (event) => {
    const box = drawing.getBoundingClientRect();
    const scale = drawing.viewBox.baseVal.width / box.width;
    const y = (event.clientY - box.top) * scale;
    return [(event.clientX - box.left) * scale, y < TOP + SNAP ? TOP : y > HEIGHT - BOTTOM - SNAP ? HEIGHT - BOTTOM : y];
  };
  drawing.addEventListener("pointerdown", (event) => {
    const [x, y] = where(event);
    const i = axes.findIndex((_, n) => Math.abs(place(n) - x) < 14);
    if (i < 0 || event.button) return;
    from = { i, y, mark: svg("rect", { x: place(i) - 7, y, width: 14, height: 1, class: "brush" }) };
    drawing.append(from.mark);
    drawing.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  drawing.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [, y] = where(event);
    from.mark.setAttribute("y", Math.min(y, from.y));
    from.mark.setAttribute("height", Math.abs(y - from.y) || 1);
  });
  drawing.addEventListener("pointerup", (event) => {
    if (!from) return;
    const [, y] = where(event);
    const range = [Math.min(y, from.y), Math.max(y, from.y)];
    onBrush(axes[from.i].name, range[1] - range[0] < 4 ? null : range.map(Math.round));
    from = null;
  });
}

/** What the colors of lines mean: a bar from the least to the greatest value. */
export function drawRamp(name, low, high) {
  const bar = h("span", { class: "ramp" });
  bar.style.background = `linear-gradient(to right, ${RAMP.map((one) => `rgb(${one.join(",")})`).join(", ")})`;
  return h("div", { class: "row rampline" }, h("span", { class: "dim" }, `color: ${short(name)}`), h("span", { title: String(low) }, formatNumber(low)), bar, h("span", { title: String(high) }, formatNumber(high)));
}
