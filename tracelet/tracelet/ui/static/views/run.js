// One run: overview, charts, media, console, code, files, plugins.

import { follow, get, whenQuiet } from "../api.js";
import { ChartGrid } from "../chart/grid.js";
import { failure, fill, formatDuration, formatTime, h, outcomeBadge, put, shortenMiddle } from "../dom.js";
import { param, runsAddress, setParams } from "../state.js";
import { showConsole } from "./console.js";
import { damageNotice } from "./damage.js";
import { editButton } from "./edit.js";
import { showCode, showFiles } from "./files.js";
import { showMedia } from "./media.js";
import { drawOverview } from "./overview.js";
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

const DAMAGE_AFTER = 300; // ms after everything else was answered: the check reads the whole journal
const SHARE = 3; // reading a run again takes at most one part in so many of the time

/** Show a run. Returns a function that ends it. */
export async function showRun(main, id) {
  const path = `/runs/${encodeURIComponent(id)}`;
  let run = await get(path);
  document.title = `${run.name} · tracelet`;
  const head = h("div", { class: "runhead" });
  const damage = h("div");
  const panel = h("div", { class: "panel", role: "tabpanel", id: "panel", tabindex: "-1" });
  const tabs = h("div", { class: "tabs", role: "tablist", "aria-label": "Parts of the run", onkeydown: (event) => onKey(event, tabs) });
  let leave = () => {};
  let isStale = false; // whether there are newer points than `run` has
  const overview = {}; // how to draw it again, while it is shown

  const refresh = async () => {
    isStale = false;
    run = await get(path);
    drawHead();
    overview.update?.(run);
  };

  const since = h("span", { class: "dim" });
  let drawn = "";
  const drawHead = () => {
    fill(since, `${formatTime(run.started_at)} · ${formatDuration(run.duration)}`);
    const key = JSON.stringify([run.name, run.outcome, run.error, run.problem, run.notes, run.tags, run.group, run.parent, run.job_type, run.archived]);
    if (key !== drawn) fill(head, headOf(run, since, () => refresh()));
    drawn = key;
  };

  const showTab = async () => {
    leave();
    leave = () => {};
    const chosen = TABS.find(([name]) => name === param("tab", "overview")) ?? TABS[0];
    for (const tab of tabs.children) {
      const isChosen = tab.dataset.tab === chosen[0];
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
      if (isChosen) tab.scrollIntoView({ block: "nearest", inline: "nearest" }); // a phone shows only some of them
    }
    fill(panel);
    panel.setAttribute("aria-labelledby", `tab-${chosen[0]}`);
    panel.removeAttribute("data-ready");
    const token = (showTab.token = {});
    const inside = h("div");
    panel.append(inside);
    try {
      const end = (await chosen[2](inside, run, overview)) ?? (() => {});
      if (token === showTab.token) leave = end;
      else end();
    } catch (error) {
      put(inside, failure(error, showTab));
    }
    if (token === showTab.token) panel.setAttribute("data-ready", "");
    if (token === showTab.token && overview.update && isStale) await refresh();
  };
  for (const [name, label] of TABS) {
    tabs.append(h("button", { role: "tab", id: `tab-${name}`, "data-tab": name, "aria-controls": "panel", onclick: () => { setParams({ tab: name === "overview" ? null : name }); showTab(); } }, label));
  }
  drawHead();
  put(main, head, damage, tabs, panel);
  await showTab();
  let isLeft = false;
  whenQuiet(DAMAGE_AFTER).then(() => isLeft || showDamage(damage, run));

  const follower = run.outcome === "running" ? followRun(id, refresh, () => { isStale = true; return Boolean(overview.update); }) : () => {};
  const clock = run.outcome === "running" ? setInterval(() => { if (run.outcome === "running") { run.duration += 1; drawHead(); } }, 1000) : 0;
  return () => {
    leave();
    follower();
    isLeft = true;
    clearInterval(clock);
  };
}

/** Say what was lost and damaged, once the whole journal has been checked. */
async function showDamage(host, run) {
  const found = await get(`/runs/${encodeURIComponent(run.id)}/losses`).catch(() => null);
  if (found) fill(host, damageNotice(run, found));
}

/**
 * Call a function when there is something new of a run, but never spend more than a part of the time on it. If there are
 * only new points, `wantsPoints` is asked first.
 */
function followRun(id, refresh, wantsPoints) {
  let isBusy = false;
  let isDue = false;
  let isOver = false;
  let known = null;
  const again = async () => {
    isDue = true;
    if (isBusy) return;
    isBusy = true;
    while (isDue && !isOver) {
      isDue = false;
      const began = performance.now();
      await refresh().catch(() => {});
      await new Promise((go) => setTimeout(go, (performance.now() - began) * SHARE));
    }
    isBusy = false;
  };
  const take = (data) => {
    const rest = JSON.stringify({ ...data, points: null, duration: null });
    const isFirst = known === null;
    const hasOnlyPoints = known === rest;
    known = rest;
    if (!isFirst && (!hasOnlyPoints || wantsPoints())) again();
  };
  const stop = follow({ cursors: { [id]: {} }, on: { run: take } });
  return () => {
    isOver = true;
    stop();
  };
}

function headOf(run, since, refresh) {
  return [h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: runsAddress() }, "runs"), " › ", h("span", { title: run.name }, shortenMiddle(run.name, 60))),
    h("div", { class: "row" }, h("h1", { title: run.name }, shortenMiddle(run.name, 160)), outcomeBadge(run.outcome), since, h("span", { class: "grow" }), h("span", { class: "dim long" }, run.id), editButton(run, refresh)),
    run.error ? h("p", { class: "error long" }, run.error) : null, run.problem ? h("p", { class: "error long" }, run.problem) : null];
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

function showOverview(panel, run, shown) {
  shown.update = drawOverview(panel, run);
  return () => { shown.update = undefined; };
}
