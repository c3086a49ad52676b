// Charts of several runs.

import { get } from "../api.js";
import { ChartGrid } from "../chart/grid.js";
import { lineColor, lineDash } from "../chart/palette.js";
import { RunLegend } from "../chart/run_legend.js";
import { groupKey, groupLabel } from "../chart/series_lines.js";
import { readShown } from "../chart/visibility.js";
import { h, outcomeBadge, plural, put } from "../dom.js";
import { params, runsAddress } from "../state.js";
import { fieldOf } from "../fields.js";

/** Show the charts of the runs in the address. Returns a function that ends it. */
export async function showCharts(main) {
  const ids = params("run");
  document.title = "charts · tracelet";
  if (!ids.length) {
    put(main, h("p", { class: "empty" }, "no runs are selected; ", h("a", { href: runsAddress() }, "choose some")));
    return undefined;
  }
  const { runs, metrics, differing, tags } = await get("/compare", { run: ids });
  const shown = describe(runs);
  const names = Object.keys(metrics).sort();
  const fields = runs.length > 1 ? fieldsOf(runs, differing, tags) : [];
  const grid = new ChartGrid(shown, names, measuredOf(metrics), fields);
  const legend = new RunLegend({ onChoose: grid.choose, onAll: grid.showAll });
  legend.set(runEntries(shown, runs), readShown());
  let drawn = "[]";
  grid.onGroups = (groups) => {
    const key = JSON.stringify(groups);
    if (key !== drawn) legend.set(groups.length ? groupEntries(groups) : runEntries(shown, runs), readShown());
    drawn = key;
  };
  grid.onShown = (isShown) => legend.mark(isShown);
  put(main, h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: runsAddress() }, "runs"), " › charts"), h("h1", { class: "hidden" }, "Charts"), legend.element, grid.element);
  return () => {
    grid.destroy();
    legend.destroy();
  };
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

/** What runs can be grouped by: what differs between them, and what they say of themselves. */
function fieldsOf(runs, differing, tags) {
  const own = [["group", "the run's group"], ["job_type", "job type"], ["project", "project"], ["host", "host"]];
  const isKnown = ([field]) => runs.some((run) => run[field]);
  return [
    ...own.filter((one, i) => i < 2 || isKnown(one)),
    ...differing.map((name) => [fieldOf("params", name), name]),
    ...Object.keys(tags).map((name) => [fieldOf("tags", name), `${name} (tag)`]),
  ];
}

const styleOf = (place) => ({ color: lineColor(place), dash: lineDash(place) });

function runEntries(shown, runs) {
  return shown.map((run, i) => ({
    key: run.id, label: run.label, ...styleOf(run.place),
    more: [h("a", { href: `/run/${encodeURIComponent(run.id)}`, title: `open ${run.label}`, "aria-label": `Open ${run.label}` }, "↗"), outcomeBadge(runs[i].outcome)],
  }));
}

function groupEntries(groups) {
  return groups.map((group, place) => ({
    key: groupKey(group), label: groupLabel(group), ...styleOf(place), more: [h("span", { class: "dim" }, plural(group.runs.length, "run"))],
  }));
}
