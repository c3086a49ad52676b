// Histograms, confusion matrices and curves as SVG.

import { lineColor } from "../chart/plot.js";
import { formatNumber, h, label, shortenMiddle, svg } from "../dom.js";
import { fitText, textWidth } from "./text_width.js";

/** {edges, counts}: a bar per bin. */
export function drawHistogram({ edges, counts, not_finite: odd }, name) {
  const [width, height, foot] = [360, 180, 18];
  const most = Math.max(1, ...counts);
  const low = edges[0];
  const span = edges.at(-1) - low || 1;
  const bars = counts.map((count, i) => {
    const x = ((edges[i] - low) / span) * width;
    const tall = (count / most) * (height - foot - 6);
    const bar = svg("rect", { x, y: height - foot - tall, width: Math.max(0.5, ((edges[i + 1] - edges[i]) / span) * width - 0.6), height: tall, class: "bar" });
    bar.append(svg("title", {}, `${formatNumber(edges[i])} to ${formatNumber(edges[i + 1])}: ${formatNumber(count)}`));
    return bar;
  });
  const total = counts.reduce((a, b) => a + b, 0);
  return h("div", {}, svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `histogram ${name}: ${total} values from ${formatNumber(low)} to ${formatNumber(edges.at(-1))}` }, ...bars,
    label(0, height - 4, formatNumber(low), "start"), label(width / 2, height - 4, formatNumber(low + span / 2)), label(width, height - 4, formatNumber(edges.at(-1)), "end")),
    odd ? h("p", { class: "warn" }, `${formatNumber(odd)} not finite`) : null);
}

/** Histograms over steps: a column per step, darker where more values are. */
export function drawRidge(several) {
  const [width, height] = [360, 120];
  const low = Math.min(...several.map((one) => one.edges[0]));
  const span = Math.max(...several.map((one) => one.edges.at(-1))) - low || 1;
  const wide = width / several.length;
  const cells = several.flatMap((one, i) => {
    const most = Math.max(1, ...one.counts);
    return one.counts.map((count, j) => {
      if (!count) return null;
      const top = height - ((one.edges[j + 1] - low) / span) * height;
      const tall = ((one.edges[j + 1] - one.edges[j]) / span) * height;
      return svg("rect", { x: i * wide, y: top, width: wide + 0.3, height: tall + 0.3, class: "bar", "fill-opacity": (0.08 + (0.92 * count) / most).toFixed(3) });
    });
  });
  const steps = `steps ${formatNumber(several[0].step ?? 0)} to ${formatNumber(several.at(-1).step ?? 0)}`;
  return h("figure", {}, svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `distribution over ${steps}`, preserveAspectRatio: "none", class: "ridge" }, ...cells), h("figcaption", { class: "dim" }, `over ${steps}`));
}

const MOST_LABEL = 165; // pixels of a label beside a matrix
const MOST_CLASSES = 100;
const GAP = 6;
const LEAST_SCALE = 0.8; // at which its texts can still be read

/** {labels, matrix}: rows are the true classes. Labels are turned if they do not fit below their column. */
export function drawMatrix({ labels: all, matrix: whole }, name) {
  const labels = all.slice(0, MOST_CLASSES);
  const matrix = whole.slice(0, MOST_CLASSES).map((row) => row.slice(0, MOST_CLASSES));
  const texts = labels.map((one) => fitText(String(one), MOST_LABEL));
  const size = Math.max(16, Math.min(46, 340 / labels.length));
  const widest = Math.max(...texts.map(textWidth), textWidth("true"));
  const isTurned = Math.max(...texts.map(textWidth)) > size - 4;
  const [left, top] = [widest + GAP + 4, 16];
  const side = size * labels.length;
  const foot = top + side + (isTurned ? Math.max(...texts.map(textWidth)) + 2 * GAP : 18);
  const [width, height] = [left + side + 4, foot + 18];
  const names = texts.flatMap((text, i) => {
    const middle = (i + 0.5) * size;
    const below = isTurned ? turned(left + middle + 4, top + side + GAP, text) : label(left + middle, top + side + 14, text);
    return [titled(label(left - GAP, top + middle + 4, text, "end"), labels[i]), titled(below, labels[i])];
  });
  const right = whole.reduce((sum, row, i) => sum + row[i], 0);
  const total = whole.flat().reduce((a, b) => a + b, 0);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, role: "img", "aria-label": `confusion matrix ${name}: ${right} of ${total} right`, class: "matrix" },
    label(left - GAP, 10, "true", "end"), label(left + side / 2, foot + 10, "predicted"), ...matrixCells(labels, matrix, size, left, top), ...names);
  drawing.style.minWidth = `${Math.round(width * LEAST_SCALE)}px`; // a larger one is scrolled
  const note = all.length > labels.length ? h("p", { class: "dim" }, `the first ${labels.length} of ${formatNumber(all.length)} classes`) : null;
  return h("div", { class: "scroll", tabindex: "0" }, note, drawing);
}

function matrixCells(labels, matrix, size, left, top) {
  const most = matrix.flat().reduce((a, b) => Math.max(a, b), 1);
  return matrix.flatMap((row, i) => row.map((count, j) => {
    const text = formatNumber(count);
    const cell = svg("g", {}, svg("rect", { x: left + j * size, y: top + i * size, width: size - 1, height: size - 1, class: i === j ? "bar" : "bar off", "fill-opacity": (0.06 + (0.94 * count) / most).toFixed(3) }));
    if (textWidth(text) <= size - 3) cell.append(svg("text", { x: left + (j + 0.5) * size, y: top + (i + 0.5) * size + 4, "text-anchor": "middle", class: count > most * 0.5 ? "axis on" : "axis" }, text));
    return titled(cell, `true ${labels[i]}, predicted ${labels[j]}: ${count}`);
  }));
}

/** A text that is read upwards and ends at a place. */
const turned = (x, y, text) => svg("text", { x, y, "text-anchor": "end", class: "axis", transform: `rotate(-90 ${x} ${y})` }, text);

function titled(element, text) {
  element.append(svg("title", {}, String(text)));
  return element;
}

/** {x, y, labels}: a point for each vector, colored by its label. */
export function drawEmbedding({ x, y, labels, total, dimensions }, name) {
  const [width, height, edge] = [360, 280, 10];
  const place = (values, start, end) => {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value) => (high > low ? start + ((value - low) / (high - low)) * (end - start) : (start + end) / 2);
  };
  const [across, up] = [place(x, edge, width - edge), place(y, height - edge, edge)];
  const classes = [...new Set(labels ?? [])];
  const isColored = classes.length > 0 && classes.length <= 10; // as many colors as lines have
  const points = x.map((_, i) => {
    const point = svg("circle", { cx: across(x[i]).toFixed(1), cy: up(y[i]).toFixed(1), r: 3, "fill-opacity": 0.75, fill: lineColor(isColored ? classes.indexOf(labels[i]) : 0) });
    return titled(point, `${i}${labels ? `: ${labels[i]}` : ""}`);
  });
  const legend = isColored ? classes.map((one, i) => {
    const swatch = h("span", { class: "swatch" });
    swatch.style.background = lineColor(i);
    return h("span", { class: "entry", title: one }, swatch, shortenMiddle(one, 30));
  }) : null;
  const how = dimensions > 2 ? `first two principal components of ${dimensions} dimensions` : `${dimensions} dimensions`;
  const note = `${formatNumber(total)} vectors, ${how}${x.length < total ? `; the first ${formatNumber(x.length)} are drawn` : ""}`;
  return h("div", {}, svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `embedding ${name}: ${note}` }, ...points), legend ? h("div", { class: "legend all" }, legend) : null, h("p", { class: "dim" }, note));
}

/** Precision-recall or ROC curves, one for each class. */
export function drawCurves(content, kind, name) {
  const [across, up] = kind === "roc_curve" ? ["fpr", "tpr"] : ["recall", "precision"];
  const curves = content.curves ?? [content];
  const [width, height, edge] = [340, 280, 34];
  const x = (value) => edge + value * (width - edge - 8);
  const y = (value) => height - edge - value * (height - edge - 8);
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap((at) => [
    svg("line", { x1: x(0), x2: x(1), y1: y(at), y2: y(at), class: "gridline" }), label(x(at), height - edge + 14, String(at)), label(edge - 6, y(at) + 4, String(at), "end"),
  ]);
  const lines = curves.map((one, i) => svg("polyline", { points: one[across].map((value, j) => `${x(Number(value)).toFixed(1)},${y(Number(one[up][j])).toFixed(1)}`).join(" "), fill: "none", stroke: lineColor(i), "stroke-width": 1.8 }));
  const legend = curves.map((one, i) => {
    const swatch = h("span", { class: "swatch" });
    swatch.style.background = lineColor(i);
    const area = one.auc ?? one.average_precision ?? one.area;
    return h("span", { class: "entry" }, swatch, h("span", { title: one.label ?? null }, shortenMiddle(one.label ?? "", 30)), area === undefined ? "" : ` ${formatNumber(area)}`);
  });
  const what = kind === "roc_curve" ? "ROC curve" : "precision-recall curve";
  return h("div", {}, svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${what} ${name}, ${curves.length} classes` }, ...ticks, ...lines, label(width / 2, height - 2, across)), h("div", { class: "legend" }, legend));
}
