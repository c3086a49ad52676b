// Several runs next to each other: what differs, the metrics against a baseline, scatter, parallel coordinates.

import { get } from "../api.js";
import { lineColor } from "../chart/plot.js";
import { fill, formatNumber, formatValue, h, outcomeBadge, put } from "../dom.js";
import { param, params, setParams } from "../state.js";
import { describe } from "./charts.js";
import { drawParallel, drawScatter } from "./compare_drawings.js";
import { groupMedia } from "./media.js";
import { listFiles } from "./files.js";
import { drawMatrix } from "./media_drawings.js";

/** Compare the runs in the address. */
export async function showCompare(main) {
  document.title = "compare · tracelet";
  const ids = params("run");
  if (!ids.length) {
    put(main, h("p", { class: "empty" }, "no runs are selected; ", h("a", { href: "/" }, "choose some")));
    return;
  }
  const data = await get("/compare", { run: ids });
  const shown = describe(data.runs);
  const query = new URLSearchParams(ids.map((id) => ["run", id]));
  const host = h("div");
  put(main, h("h1", { class: "hidden" }, "Comparison"), h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: "/" }, "runs"), " › compare · ", h("a", { href: `/charts?${query}` }, "charts")), host);
  const draw = () => fill(host, controls(data, draw), table(data, shown), drawings(data, shown, draw), matrices(data, shown));
  draw();
  main.setAttribute("data-ready", "");
}

const baselineOf = (data) => Math.max(0, data.runs.findIndex((run) => run.id === param("baseline")));

/** The value by which a metric is compared: the best if it is known what is better, else the last. */
const valueOf = (metric) => (metric ? Number(metric.best ?? metric.last) : NaN);

function controls(data, draw) {
  const everything = h("input", { type: "checkbox", onchange: () => { setParams({ all: everything.checked ? "1" : null }); draw(); } });
  everything.checked = param("all") === "1";
  return h("div", { class: "controls" }, h("label", {}, everything, "also equal params and collectors' metrics"));
}

function table(data, shown) {
  const baseline = baselineOf(data);
  const isAll = param("all") === "1";
  const names = isAll ? Object.keys(data.params) : data.differing;
  const metrics = Object.entries(data.metrics).filter(([, several]) => isAll || several.some((one) => one && one.type !== "system"));
  const heads = shown.map((run, i) => {
    const swatch = h("span", { class: "swatch" });
    swatch.style.background = lineColor(run.place);
    const choose = h("button", { class: "quiet", title: "make it the baseline", "aria-pressed": String(i === baseline), onclick: () => { setParams({ baseline: run.id }); dispatchEvent(new PopStateEvent("popstate")); } }, i === baseline ? "baseline" : "set as baseline");
    return h("th", { scope: "col" }, swatch, h("a", { href: `/run/${encodeURIComponent(run.id)}` }, run.label), " ", outcomeBadge(data.runs[i].outcome), h("div", {}, choose));
  });
  return h("div", { class: "scroll sheet", tabindex: "0", role: "region", "aria-label": "Comparison" }, h("table", { class: "plain compare" },
    h("thead", {}, h("tr", {}, h("td"), heads)),
    h("tbody", {}, h("tr", { class: "section" }, h("th", { colSpan: shown.length + 1, scope: "colgroup" }, names.length ? "params" : "params: all equal")),
      names.map((name) => paramRow(name, data.params[name], baseline))),
    h("tbody", {}, h("tr", { class: "section" }, h("th", { colSpan: shown.length + 1, scope: "colgroup" }, "metrics")), metrics.map(([name, several]) => metricRow(name, several, baseline)))));
}

function paramRow(name, values, baseline) {
  const own = JSON.stringify(values[baseline]);
  return h("tr", {}, h("th", { scope: "row" }, name), values.map((value) => h("td", { class: JSON.stringify(value) === own ? "" : "differs" }, formatValue(value))));
}

function metricRow(name, several, baseline) {
  const goal = several.find((one) => one)?.goal;
  const values = several.map(valueOf);
  const finite = values.filter(Number.isFinite);
  const best = goal === "min" ? Math.min(...finite) : goal === "max" ? Math.max(...finite) : NaN;
  const base = values[baseline];
  return h("tr", {}, h("th", { scope: "row" }, name, " ", h("span", { class: "dim" }, goal && goal !== "last" ? `best (${goal})` : "last")),
    values.map((value, i) => h("td", { class: value === best && new Set(finite).size > 1 ? "best" : "" }, several[i] ? formatNumber(value) : "–", i === baseline ? null : difference(value, base, goal))));
}

function difference(value, base, goal) {
  const apart = value - base;
  if (!Number.isFinite(apart) || apart === 0) return null;
  const kind = goal === "min" ? (apart < 0 ? "better" : "worse") : goal === "max" ? (apart > 0 ? "better" : "worse") : "dim";
  const share = base ? ` (${apart > 0 ? "+" : ""}${((apart / Math.abs(base)) * 100).toFixed(1)} %)` : "";
  return h("span", { class: `diff ${kind}` }, ` ${apart > 0 ? "+" : "−"}${formatNumber(Math.abs(apart))}${share}`);
}

/** Everything that has a number for at least one run: params, then metrics. */
function numericFields(data) {
  const found = new Map();
  for (const [name, values] of Object.entries(data.params)) {
    if (values.some((value) => typeof value === "number")) found.set(`params.${name}`, values.map((value) => (typeof value === "number" ? value : NaN)));
  }
  for (const [name, several] of Object.entries(data.metrics)) {
    if (several.some((one) => one && one.type !== "system")) found.set(`metrics.${name}`, several.map(valueOf));
  }
  return found;
}

function drawings(data, shown, draw) {
  const fields = numericFields(data);
  if (fields.size < 2 || shown.length < 2) return null;
  const names = [...fields.keys()];
  const differing = names.filter((name) => new Set(fields.get(name)).size > 1);
  const metrics = differing.filter((name) => name.startsWith("metrics."));
  const metric = metrics.find((name) => data.metrics[name.slice(8)].some((one) => one?.goal)) ?? metrics[0] ?? names.at(-1);
  const x = fields.has(param("sx")) ? param("sx") : differing[0] ?? names[0];
  const y = fields.has(param("sy")) ? param("sy") : metric;
  const choice = (key, value, label) => {
    const select = h("select", { "aria-label": label, onchange: () => { setParams({ [key]: select.value }); draw(); } }, names.map((name) => h("option", { value: name }, name)));
    select.value = value;
    return select;
  };
  const axes = (differing.length > 1 ? differing : names).slice(0, 8);
  return h("div", { class: "cards two" },
    h("section", { class: "card drawing", "aria-label": "Scatter" }, h("header", {}, h("h2", {}, "scatter"), choice("sx", x, "Horizontal"), choice("sy", y, "Vertical")), drawScatter(shown, x, fields.get(x), y, fields.get(y))),
    h("section", { class: "card drawing", "aria-label": "Parallel coordinates" }, h("header", {}, h("h2", {}, "parallel coordinates")), drawParallel(shown, axes.map((name) => [name, fields.get(name)]))));
}

/** Confusion matrices of the same name side by side, the last of each run. */
function matrices(data, shown) {
  const host = h("div", { class: "cards" });
  Promise.all(data.runs.map((run) => listFiles(run))).then(async (several) => {
    for (const [i, artifacts] of several.entries()) {
      for (const group of groupMedia(artifacts).filter((one) => one.kind === "confusion_matrix")) {
        const content = await get(`/runs/${encodeURIComponent(data.runs[i].id)}/content`, { path: group.items.at(-1).files[0].path });
        host.append(h("section", { class: "card drawing" }, h("header", {}, h("h2", {}, `${group.name} · ${shown[i].label}`)), drawMatrix(content, group.name)));
      }
    }
  }).catch((error) => put(host, h("p", { class: "error" }, error.message)));
  return host;
}
