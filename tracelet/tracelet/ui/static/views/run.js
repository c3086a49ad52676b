// One run: overview, charts, media, console, code, files, plugins.

import { follow, get } from "../api.js";
import { ChartGrid } from "../chart/grid.js";
import { fill, formatDuration, formatNumber, formatTime, formatValue, h, outcomeBadge, plural, put } from "../dom.js";
import { param, setParams } from "../state.js";
import { showConsole } from "./console.js";
import { editButton } from "./edit.js";
import { showCode, showFiles } from "./files.js";
import { markdown } from "./markdown.js";
import { showMedia } from "./media.js";
import { showPlugins } from "./plugins.js";

const TABS = [
  ["overview", "Overview", showOverview],
  ["charts", "Charts", showOwnCharts],
  ["media", "Media", showMedia],
  ["console", "Console", showConsole],
  ["code", "Code", showCode],
  ["files", "Artifacts", showFiles],
  ["plugins", "Plugins", showPlugins],
];

/** Show a run. Returns a function that ends it. */
export async function showRun(main, id) {
  const path = `/runs/${encodeURIComponent(id)}`;
  let run = await get(path);
  document.title = `${run.name} · tracelet`;
  const head = h("div", { class: "runhead" });
  const panel = h("div", { class: "panel", role: "tabpanel", id: "panel", tabindex: "-1" });
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Parts of the run", onkeydown: (event) => onKey(event, tabs) });
  let leave = () => {};

  const drawHead = () => fill(head, h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: "/" }, "runs"), " › ", h("span", {}, run.name)),
    h("div", { class: "row" }, h("h1", {}, run.name), outcomeBadge(run.outcome), h("span", { class: "dim" }, `${formatTime(run.started_at)} · ${formatDuration(run.duration)}`), h("span", { class: "grow" }), h("span", { class: "dim" }, run.id), editButton(run, () => refresh())),
    run.error ? h("p", { class: "error" }, run.error) : null, run.problem ? h("p", { class: "error" }, run.problem) : null);

  const showTab = async () => {
    leave();
    leave = () => {};
    const chosen = TABS.find(([name]) => name === param("tab", "overview")) ?? TABS[0];
    for (const tab of tabs.children) {
      const isChosen = tab.dataset.tab === chosen[0];
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
    }
    fill(panel);
    panel.setAttribute("aria-labelledby", `tab-${chosen[0]}`);
    panel.removeAttribute("data-ready");
    const token = (showTab.token = {});
    const inside = h("div");
    panel.append(inside);
    try {
      const end = (await chosen[2](inside, run)) ?? (() => {});
      if (token === showTab.token) leave = end;
      else end();
    } catch (error) {
      put(inside, h("p", { class: "error", role: "alert" }, error.message));
    }
    if (token === showTab.token) panel.setAttribute("data-ready", "");
  };
  for (const [name, label] of TABS) {
    tabs.append(h("button", { role: "tab", id: `tab-${name}`, "data-tab": name, "aria-controls": "panel", onclick: () => { setParams({ tab: name === "overview" ? null : name }); showTab(); } }, label));
  }
  drawHead();
  put(main, head, tabs, panel);
  await showTab();

  const refresh = async () => {
    run = await get(path);
    drawHead();
    if (param("tab", "overview") === "overview") showTab();
  };
  const stop = run.outcome === "running" ? follow({ cursors: { [id]: {} }, on: { run: skipFirst(refresh) } }) : () => {};
  const clock = run.outcome === "running" ? setInterval(() => { if (run.outcome === "running") { run.duration += 1; drawHead(); } }, 1000) : 0;
  return () => {
    leave();
    stop();
    clearInterval(clock);
  };
}

function skipFirst(action) {
  let isFirst = true;
  return () => {
    if (!isFirst) action();
    isFirst = false;
  };
}

function onKey(event, tabs) {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!by) return;
  const all = [...tabs.children];
  const next = all[(all.indexOf(document.activeElement) + by + all.length) % all.length];
  next.focus();
  next.click();
}

function showOwnCharts(panel, run) {
  const measured = new Set(run.metrics.filter((one) => one.type === "system").map((one) => one.name));
  const names = run.metrics.map((one) => one.name);
  const grid = new ChartGrid([{ id: run.id, label: run.name, place: 0, running: run.outcome === "running" }], names, measured);
  let known = names.length;
  grid.onRun = async (data) => {
    if (data.metrics <= known) return;
    known = data.metrics;
    const fresh = await get(`/runs/${encodeURIComponent(run.id)}`);
    for (const one of fresh.metrics) if (one.type === "system") measured.add(one.name);
    grid.setNames(fresh.metrics.map((one) => one.name));
  };
  put(panel, grid.element);
  return () => grid.destroy();
}

function showOverview(panel, run) {
  const own = run.metrics.filter((one) => one.type !== "system");
  const facts = Object.entries(run.facts).filter(([, known]) => Object.keys(known).length);
  const about = [
    ["project", run.project], ["group", run.group], ["job type", run.job_type], ["parent", run.parent], ["host", run.host],
    ["started", formatTime(run.started_at)], ["took", formatDuration(run.duration)], ["folder", run.dir],
    ["archived", run.archived ? "yes: lists leave it out" : null],
    ["processes", run.processes.length > 1 ? describeProcesses(run.processes) : null],
  ];
  put(panel, h("div", { class: "columns" },
    h("section", {}, h("h2", {}, "Metrics"), own.length ? metricTable(own) : h("p", { class: "dim" }, "none yet"),
      h("p", { class: "dim" }, plural(run.metrics.length - own.length, "metric"), " measured by collectors: see Charts")),
    h("section", {}, h("h2", {}, "Params"), pairs(flatten(run.params)),
      Object.keys(run.tags).length ? [h("h2", {}, "Tags"), pairs(flatten(run.tags))] : null,
      run.notes ? [h("h2", {}, "Notes"), h("div", { class: "notes" }, markdown(run.notes))] : null,
      h("h2", {}, "About"), pairs(about.filter(([, value]) => value)),
      run.children.length ? [h("h2", {}, "Children"), h("ul", {}, run.children.map((id) => h("li", {}, h("a", { href: `/run/${encodeURIComponent(id)}` }, id))))] : null,
      run.edits.length ? h("details", {}, h("summary", {}, plural(run.edits.length, "change")), h("ul", {}, run.edits.map((one) => h("li", {}, `${formatTime(one.at)}: ${JSON.stringify(one.changes)}`)))) : null),
    facts.length ? h("section", {}, facts.map(([source, known]) => factsOf(source, known))) : null));
}

function metricTable(metrics) {
  return h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, ["metric", "last", "best", "min", "max", "points"].map((one, i) => h("th", { scope: "col", class: i ? "number" : "" }, one)))),
    h("tbody", {}, metrics.map((one) => h("tr", {}, h("th", { scope: "row" }, one.name),
      [one.last, one.best, one.min, one.max].map((value) => h("td", { class: "number" }, value === null || value === undefined ? "–" : formatNumber(value))),
      h("td", { class: "number" }, formatNumber(one.count), one.nans ? h("span", { class: "warn", title: "values that are not a number" }, ` ${one.nans} NaN`) : null)))));
}

/** Names and values as a list. */
export function pairs(entries) {
  if (!entries.length) return h("p", { class: "dim" }, "none");
  return h("dl", { class: "pairs" }, entries.map(([name, value]) => [h("dt", {}, name), h("dd", {}, formatValue(value))]));
}

/** Nested values as pairs with slashes between the parts of a name. */
export function flatten(values, prefix = "") {
  return Object.entries(values).flatMap(([name, value]) => {
    const isNested = value && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length;
    return isNested ? flatten(value, `${prefix}${name}/`) : [[prefix + name, value]];
  });
}

function factsOf(source, facts) {
  const entries = Object.entries(facts).map(([name, value]) => [name.startsWith(`${source}/`) ? name.slice(source.length + 1) : name, value]);
  const packages = entries.filter(([name]) => name.startsWith("packages/"));
  const others = entries.filter(([name]) => !name.startsWith("packages/"));
  return [h("h2", {}, source), pairs(others), packages.length ? h("details", {}, h("summary", {}, plural(packages.length, "package")), pairs(packages.map(([name, value]) => [name.slice(9), value]))) : null];
}

function describeProcesses(processes) {
  const hosts = new Set(processes.map((one) => one.host));
  const attempts = Math.max(...processes.map((one) => one.attempt));
  return `${processes.length} on ${plural(hosts.size, "host")}${attempts ? `, resumed ${attempts === 1 ? "once" : `${attempts} times`}` : ""}`;
}
