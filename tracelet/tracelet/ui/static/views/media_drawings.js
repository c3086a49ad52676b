// Histograms, confusion matrices and curves as SVG.

import { lineColor } from "../chart/plot.js";
import { formatNumber, h, label, svg } from "../dom.js";

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

/** {labels, matrix}: rows are the true classes. */
export function drawMatrix({ labels, matrix }, name) {
  const size = Math.max(14, Math.min(46, 340 / labels.length));
  const edge = 70;
  const side = size * labels.length;
  const most = Math.max(1, ...matrix.flat());
  const cells = matrix.flatMap((row, i) => row.map((count, j) => {
    const cell = svg("g", {}, svg("rect", { x: edge + j * size, y: i * size + 16, width: size - 1, height: size - 1, class: i === j ? "bar" : "bar off", "fill-opacity": (0.06 + (0.94 * count) / most).toFixed(3) }));
    if (size >= 20) cell.append(svg("text", { x: edge + (j + 0.5) * size, y: 20 + (i + 0.5) * size, "text-anchor": "middle", class: count > most * 0.5 ? "axis on" : "axis" }, String(count)));
    cell.append(svg("title", {}, `true ${labels[i]}, predicted ${labels[j]}: ${count}`));
    return cell;
  }));
  const names = labels.flatMap((one, i) => [label(edge - 6, 20 + (i + 0.5) * size, one, "end"), size >= 20 ? label(edge + (i + 0.5) * size, side + 30, one) : null]);
  const right = matrix.reduce((sum, row, i) => sum + row[i], 0);
  const total = matrix.flat().reduce((a, b) => a + b, 0);
  return svg("svg", { viewBox: `0 0 ${edge + side + 4} ${side + 50}`, role: "img", "aria-label": `confusion matrix ${name}: ${right} of ${total} right`, class: "matrix" },
    label(edge - 6, 10, "true", "end"), label(edge + side / 2, side + 46, "predicted"), ...cells, ...names);
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
    return h("span", { class: "entry" }, swatch, one.label ?? "", area === undefined ? "" : ` ${formatNumber(area)}`);
  });
  const what = kind === "roc_curve" ? "ROC curve" : "precision-recall curve";
  return h("div", {}, svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${what} ${name}, ${curves.length} classes` }, ...ticks, ...lines, label(width / 2, height - 2, across)), h("div", { class: "legend" }, legend));
}
