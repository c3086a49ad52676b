// Several runs next to each other: what differs, the metrics against a baseline, scatter, parallel coordinates.

import { get } from "../api.js";
import { lineColor } from "../chart/plot.js";
import { exactText, fill, formatNumber, h, longName, outcomeBadge, put, shortenMiddle } from "../dom.js";
import { param, params, runsAddress, setParams } from "../state.js";
import { describe } from "./charts.js";
import { drawings, valueOf } from "./compare_charts.js";
import { groupMedia } from "./media.js";
import { listFiles } from "./files.js";
import { drawMatrix } from "./media_drawings.js";

const MOST = 50; // runs that the server compares at once

/** Compare the runs in the address. */
export async function showCompare(main) {
  document.title = "compare · tracelet";
  const wanted = [...new Set(params("run"))];
  const ids = wanted.slice(0, MOST);
  if (!ids.length) {
    put(main, h("p", { class: "empty" }, "no runs are selected; ", h("a", { href: runsAddress() }, "choose some")));
    return;
  }
  const data = await get("/compare", { run: ids });
  const shown = describe(data.runs);
  const query = new URLSearchParams(ids.map((id) => ["run", id]));
  const host = h("div");
  put(main, h("h1", { class: "hidden" }, "Comparison"), h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: runsAddress() }, "runs"), " › compare · ", h("a", { href: `/charts?${query}` }, "charts")), tooMany(wanted.length), host);
  const draw = () => fill(host, controls(data, draw), table(data, shown), drawings(data, shown, draw), matrices(data, shown));
  draw();
  main.setAttribute("data-ready", "");
}

function tooMany(count) {
  if (count <= MOST) return null;
  return h("p", { class: "warn", role: "status" }, `${formatNumber(count)} runs were chosen. These are the first ${MOST}, the most that can be compared at once. `, h("a", { href: runsAddress() }, "Choose fewer in the table"), ".");
}

const baselineOf = (data) => Math.max(0, data.runs.findIndex((run) => run.id === param("baseline")));

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
    return h("th", { scope: "col" }, swatch, h("a", { href: `/run/${encodeURIComponent(run.id)}`, title: run.label }, shortenMiddle(run.label, 36)), " ", outcomeBadge(data.runs[i].outcome), h("div", {}, choose));
  });
  return h("div", { class: "scroll sheet", tabindex: "0", role: "region", "aria-label": "Comparison" }, h("table", { class: "plain compare" },
    h("thead", {}, h("tr", {}, h("td"), heads)),
    h("tbody", {}, h("tr", { class: "section" }, h("th", { colSpan: shown.length + 1, scope: "colgroup" }, names.length ? "params" : "params: all equal")),
      names.map((name) => paramRow(name, data.params[name], baseline))),
    h("tbody", {}, h("tr", { class: "section" }, h("th", { colSpan: shown.length + 1, scope: "colgroup" }, "metrics")), metrics.map(([name, several]) => metricRow(name, several, baseline)))));
}

function paramRow(name, values, baseline) {
  const own = JSON.stringify(values[baseline]);
  return h("tr", {}, longName(name, 44, "th", { scope: "row" }), values.map((value) => longName(exactText(value), 60, "td", { class: JSON.stringify(value) === own ? "" : "differs" })));
}

function metricRow(name, several, baseline) {
  const goal = several.find((one) => one)?.goal;
  const values = several.map(valueOf);
  const finite = values.filter(Number.isFinite);
  const best = goal === "min" ? Math.min(...finite) : goal === "max" ? Math.max(...finite) : NaN;
  const base = values[baseline];
  return h("tr", {}, h("th", { scope: "row" }, longName(name, 44), " ", h("span", { class: "dim" }, goal && goal !== "last" ? `best (${goal})` : "last")),
    values.map((value, i) => h("td", { class: value === best && new Set(finite).size > 1 ? "best" : "", title: several[i] ? exactText(value) : null }, several[i] ? formatNumber(value) : "–", i === baseline ? null : difference(value, base, goal))));
}

function difference(value, base, goal) {
  const apart = value - base;
  if (!Number.isFinite(apart) || apart === 0) return null;
  const kind = goal === "min" ? (apart < 0 ? "better" : "worse") : goal === "max" ? (apart > 0 ? "better" : "worse") : "dim";
  const share = base ? ` (${apart > 0 ? "+" : ""}${((apart / Math.abs(base)) * 100).toFixed(1)} %)` : "";
  return h("span", { class: `diff ${kind}` }, ` ${apart > 0 ? "+" : "−"}${formatNumber(Math.abs(apart))}${share}`);
}

/** Confusion matrices of the same name side by side, the last of each run. */
function matrices(data, shown) {
  const host = h("div", { class: "cards" });
  Promise.all(data.runs.map((run) => listFiles(run))).then(async (several) => {
    for (const [i, artifacts] of several.entries()) {
      for (const group of groupMedia(artifacts).filter((one) => one.kind === "confusion_matrix")) {
        const content = await get(`/runs/${encodeURIComponent(data.runs[i].id)}/content`, { path: group.items.at(-1).files[0].path });
        host.append(h("section", { class: "card drawing" }, h("header", {}, h("h2", { title: `${group.name} · ${shown[i].label}` }, `${group.name} · ${shown[i].label}`)), drawMatrix(content, group.name)));
      }
    }
  }).catch((error) => put(host, h("p", { class: "error" }, error.message)));
  return host;
}
