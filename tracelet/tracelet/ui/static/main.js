// The frame of the page: which view an address shows, the bar, the theme.

import { get, watchConnection } from "./api.js";
import { repaint } from "./chart/plot.js";
import { failure, fill, h } from "./dom.js";
import { catchLinks, current, onNavigate, recall, remember } from "./state.js";
import { showCharts } from "./views/charts.js";
import { showCompare } from "./views/compare.js";
import { showRun } from "./views/run.js";
import { showRuns } from "./views/runs.js";
import { showTrash } from "./views/trash.js";

const main = document.getElementById("main");
const bar = document.getElementById("bar");
const progress = document.getElementById("progress");
const lost = document.getElementById("lost");
const PATIENCE = 500; // ms before a view that is not there yet shows what it waits for
let leave = () => {}; // ends the view that is shown

const VIEWS = [
  [/^\/$/, showRuns],
  [/^\/charts$/, showCharts],
  [/^\/compare$/, showCompare],
  [/^\/trash$/, showTrash],
  [/^\/run\/([^/]+)$/, showRun],
];

async function show() {
  leave();
  leave = () => {};
  main.setAttribute("aria-busy", "true");
  const token = (show.token = {});
  const slow = setTimeout(() => showProgress(token), PATIENCE);
  try {
    await open(token);
  } finally {
    clearTimeout(slow);
    if (token === show.token) {
      main.removeAttribute("aria-busy");
      progress.hidden = true;
    }
  }
}

/** Show how far the list of runs has been read while a view waits for it: the first time, that can take a while. */
async function showProgress(token) {
  while (token === show.token && main.hasAttribute("aria-busy")) {
    const { done, total } = await get("/progress").catch(() => ({ total: null }));
    if (token !== show.token || !main.hasAttribute("aria-busy")) return;
    progress.hidden = total === null;
    if (total !== null) {
      const label = `Reading the runs: ${done.toLocaleString("en")} of ${total.toLocaleString("en")}`;
      fill(progress, h("span", {}, label), h("progress", { max: total, value: done, "aria-label": "Runs that have been read" }));
    }
    await new Promise((go) => setTimeout(go, PATIENCE));
  }
}

async function open(token) {
  const { path } = current();
  main.className = "";
  show.hasFailed = false;
  for (const [pattern, view] of VIEWS) {
    const match = pattern.exec(path);
    if (!match) continue;
    fill(main);
    try {
      const end = (await view(main, ...match.slice(1).map(decodeURIComponent))) ?? (() => {});
      if (token === show.token) leave = end;
      else end();
    } catch (error) {
      if (token !== show.token) return;
      fill(main, failure(error, show));
      show.hasFailed = true;
    }
    return;
  }
  fill(main, h("p", { class: "empty" }, "no such page; ", h("a", { href: "/" }, "all runs")));
}

/** Say that the server is gone. When it is back, a view that could not be read is read again. */
function showConnection(isLost) {
  lost.hidden = !isLost;
  fill(lost, isLost ? "Connection lost, trying again … Is 'tracelet ui' still running?" : "");
  if (!isLost && show.hasFailed) show();
}

/** Menus close by Escape, and when something else is clicked. */
function closeMenus(event) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (event.type === "keydown") {
      if (event.key !== "Escape") return;
      menu.open = false;
      menu.querySelector("summary").focus();
    } else if (!menu.contains(event.target)) menu.open = false;
  }
}

function applyTheme(theme) {
  document.documentElement.dataset.theme = theme;
  repaint();
}

function makeBar(about) {
  const themes = ["auto", "light", "dark"];
  const button = h("button", { class: "quiet", onclick: () => {
    const next = themes[(themes.indexOf(recall("theme", "auto")) + 1) % themes.length];
    remember("theme", next);
    applyTheme(next);
    label();
  } });
  const label = () => {
    const theme = recall("theme", "auto");
    fill(button, { auto: "◐", light: "☀", dark: "☾" }[theme]);
    button.title = `theme: ${theme}`;
    button.setAttribute("aria-label", `Theme: ${theme}. Change it.`);
  };
  label();
  fill(bar,
    h("a", { class: "brand", href: "/" }, h("img", { src: new URL("icon.svg", import.meta.url), alt: "", width: 22, height: 22 }), "tracelet"),
    h("span", { class: "folder dim", title: about.folder }, about.folder),
    about.read_only ? h("span", { class: "badge other" }, "read-only") : null,
    h("span", { class: "grow" }),
    h("button", { class: "quiet", "aria-label": "Keyboard shortcuts", title: "keyboard shortcuts (?)", onclick: showKeys }, "?"),
    button);
}

function showKeys() {
  const keys = [
    ["/", "go to the search"], ["↑ ↓", "move in the table"], ["space", "select a run or a group"], ["shift ↑ ↓", "select several runs"],
    ["a", "select all runs of the table, or none"], ["enter", "open a run, fold a group"],
    ["c", "charts of the selection"], ["v", "compare the selection"], ["e", "edit the selection"], ["← →", "move the cursor of a chart"],
    ["+ − 0", "zoom a chart in, out, reset"], ["alt enter", "on a name above the charts: show that run alone"], ["?", "this help"],
  ];
  const dialog = h("dialog", { class: "keys", "aria-label": "Keyboard shortcuts", onclose: () => dialog.remove() },
    h("h2", {}, "Keyboard"),
    h("dl", {}, keys.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])),
    h("button", { onclick: () => dialog.close() }, "Close"));
  document.body.append(dialog);
  dialog.showModal();
}

function onKey(event) {
  const isTyping = event.target.matches?.("input, textarea, select, [contenteditable]");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "/") {
    const search = main.querySelector("input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
  } else if (event.key === "?") showKeys();
}

applyTheme(recall("theme", "auto"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
document.addEventListener("keydown", onKey);
document.addEventListener("keydown", closeMenus);
document.addEventListener("pointerdown", closeMenus);
document.addEventListener("focusin", closeMenus);
watchConnection(showConnection);
catchLinks();
onNavigate(show);
const about = Object.freeze(JSON.parse(document.documentElement.dataset.about));
window.tracelet = Object.freeze({ about });
makeBar(about);
show();
