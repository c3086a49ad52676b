// Scatter and parallel coordinates as SVG.

import { lineColor } from "../chart/plot.js";
import { Scale, ticks } from "../chart/scales.js";
import { formatNumber, label, svg } from "../dom.js";

const short = (name) => name.replace(/^(params|metrics)\./, "");

function scaleOf(values, start, end) {
  const finite = values.filter(Number.isFinite);
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const isLog = low > 0 && high / low >= 100;
  const pad = isLog ? 0 : (high - low) * 0.05;
  return new Scale(low - pad, high + pad, start, end, isLog);
}

/** A point per run. */
export function drawScatter(runs, xName, xs, yName, ys) {
  const [width, height, left, bottom] = [520, 300, 58, 34];
  const x = scaleOf(xs, left, width - 14);
  const y = scaleOf(ys, height - bottom, 12);
  const lines = [
    ...ticks(y, "value", 40).flatMap(({ at, label: text }) => [svg("line", { x1: left, x2: width - 14, y1: y.at(at), y2: y.at(at), class: "gridline" }), label(left - 6, y.at(at) + 4, text, "end")]),
    ...ticks(x, "value", 80).flatMap(({ at, label: text }) => [svg("line", { x1: x.at(at), x2: x.at(at), y1: 12, y2: height - bottom, class: "gridline" }), label(x.at(at), height - bottom + 14, text)]),
  ];
  const points = runs.map((run, i) => {
    if (!Number.isFinite(xs[i]) || !Number.isFinite(ys[i])) return null;
    const point = svg("circle", { cx: x.at(xs[i]), cy: y.at(ys[i]), r: 5, fill: lineColor(run.place) });
    point.append(svg("title", {}, `${run.label}: ${short(xName)} ${formatNumber(xs[i])}, ${short(yName)} ${formatNumber(ys[i])}`));
    return point;
  });
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${short(yName)} against ${short(xName)} of ${runs.length} runs` }, ...lines, ...points, label((width + left) / 2, height - 3, short(xName)));
}

/** A line per run across the axes. */
export function drawParallel(runs, axes) {
  const [width, height, top, bottom] = [520, 300, 30, 20];
  const place = (i) => 40 + (axes.length > 1 ? (i * (width - 80)) / (axes.length - 1) : 0);
  const scales = axes.map(([, values]) => scaleOf(values, height - bottom, top));
  const frames = axes.flatMap(([name], i) => [
    svg("line", { x1: place(i), x2: place(i), y1: top, y2: height - bottom, class: "axisline" }), label(place(i), i % 2 ? 24 : 11, short(name)),
    label(place(i), height - 6, formatNumber(Number(scales[i].low.toPrecision(3)))), label(place(i) + 4, top + 4, formatNumber(Number(scales[i].high.toPrecision(3))), "start"),
  ]);
  const lines = runs.map((run, row) => {
    const points = axes.map(([, values], i) => (Number.isFinite(values[row]) ? `${place(i).toFixed(1)},${scales[i].at(values[row]).toFixed(1)}` : null)).filter(Boolean);
    const line = svg("polyline", { points: points.join(" "), fill: "none", stroke: lineColor(run.place), "stroke-width": 1.8, "stroke-opacity": 0.85 });
    line.append(svg("title", {}, run.label));
    return line;
  });
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `parallel coordinates of ${runs.length} runs: ${axes.map(([name]) => short(name)).join(", ")}` }, ...frames, ...lines);
}
