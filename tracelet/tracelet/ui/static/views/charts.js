// Charts of several runs.

import { get } from "../api.js";
import { ChartGrid } from "../chart/grid.js";
import { lineColor } from "../chart/plot.js";
import { h, outcomeBadge, put } from "../dom.js";
import { params } from "../state.js";

/** Show the charts of the runs in the address. Returns a function that ends it. */
export async function showCharts(main) {
  const ids = params("run");
  document.title = "charts · tracelet";
  if (!ids.length) {
    put(main, h("p", { class: "empty" }, "no runs are selected; ", h("a", { href: "/" }, "choose some")));
    return undefined;
  }
  const { runs, metrics } = await get("/compare", { run: ids });
  const shown = describe(runs);
  const names = Object.keys(metrics).sort();
  const grid = new ChartGrid(shown, names, measuredOf(metrics));
  put(main, h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: "/" }, "runs"), " › charts"), h("h1", { class: "hidden" }, "Charts"), legend(shown, runs), grid.element);
  return () => grid.destroy();
}

/** Runs as charts want them: names that several have get the end of their id. */
export function describe(runs) {
  const counts = new Map();
  for (const run of runs) counts.set(run.name, (counts.get(run.name) ?? 0) + 1);
  return runs.map((run, place) => ({
    id: run.id,
    label: counts.get(run.name) > 1 ? `${run.name} ${run.id.split("-").at(-1)}` : run.name,
    place,
    running: run.outcome === "running",
  }));
}

/** The metrics that collectors recorded, and not the program. */
export function measuredOf(metrics) {
  const isMeasured = (several) => several.some((one) => one?.type === "system");
  return new Set(Object.entries(metrics).filter(([, several]) => isMeasured(several)).map(([name]) => name));
}

function legend(shown, runs) {
  return h("ul", { class: "runlegend", "aria-label": "Runs" }, shown.map((run, i) => {
    const swatch = h("span", { class: "swatch" });
    swatch.style.background = lineColor(run.place);
    return h("li", {}, swatch, h("a", { href: `/run/${encodeURIComponent(run.id)}` }, run.label), " ", outcomeBadge(runs[i].outcome));
  }));
}
