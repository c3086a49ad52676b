// What plugins add to the page of a run.

import { Plot, lineColor } from "../chart/plot.js";
import { h } from "../dom.js";
import { drawTable } from "./media.js";

/** One panel: a table, a text, lines, points or bars. */
export function drawPanel(panel) {
  const body = panel.error ? h("p", { class: "error" }, panel.error) : drawBody(panel);
  return h("section", { class: "card mediacard pluginpanel", "data-name": panel.title ?? panel.plugin, "aria-label": panel.title ?? panel.plugin },
    h("header", {}, h("h2", {}, panel.title ?? panel.plugin), h("span", { class: "dim" }, panel.plugin)), body);
}

function drawBody({ title, chart, rows, text }) {
  if (chart.type === "text") return h("pre", { class: "source", tabindex: "0" }, text);
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  if (chart.type === "table") return drawTable({ columns, rows: rows.map((row) => columns.map((column) => row[column] ?? null)) });
  if (chart.type === "bar") return drawBars(chart, rows);
  const host = h("div", { class: "plot" });
  const sorted = [...rows].sort((a, b) => Number(a[chart.x]) - Number(b[chart.x]));
  const lines = chart.y.map((name, i) => ({ label: name, color: lineColor(i), x: sorted.map((row) => Number(row[chart.x])), y: sorted.map((row) => Number(row[name] ?? NaN)), marks: true, dots: chart.type === "scatter" }));
  const view = (first, last) => plot.set(lines, { kind: "value", first, last });
  const plot = new Plot(host, { onZoom: view, label: `${title}: ${chart.y.join(", ")} over ${chart.x}` });
  view(null, null);
  return host;
}

function drawBars(chart, rows) {
  const most = Math.max(...rows.flatMap((row) => chart.y.map((name) => Math.abs(Number(row[name])) || 0)), 1e-300);
  return h("dl", { class: "pairs" }, rows.flatMap((row) => chart.y.map((name, i) => {
    const bar = h("span", { class: "swatch" });
    bar.style.width = `${(Math.abs(Number(row[name])) / most) * 70}%`;
    bar.style.background = lineColor(i);
    return [h("dt", {}, String(row[chart.x]), chart.y.length > 1 ? ` ${name}` : ""), h("dd", {}, bar, String(row[name]))];
  })));
}
