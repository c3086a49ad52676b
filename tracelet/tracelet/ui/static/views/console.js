// What the program printed.

import { get } from "../api.js";
import { debounce, fill, formatNumber, formatTime, h, plural, put } from "../dom.js";
import { param, setParams } from "../state.js";

const LIVE = 2000; // milliseconds between two looks at a run that is going on

/** Show the console of a run, with a search. */
export async function showConsole(panel, run) {
  const path = `/runs/${encodeURIComponent(run.id)}/console`;
  const search = h("input", { type: "search", class: "grow", placeholder: "search", "aria-label": "Search the console", oninput: debounce(() => { setParams({ q: search.value }); load(); }, 150) });
  search.value = param("q");
  const status = h("span", { class: "dim", role: "status" });
  const lines = h("div", { class: "console", tabindex: "0", role: "log", "aria-label": "Console output" });
  const load = async () => {
    const data = await get(path, { search: search.value });
    const isAtEnd = lines.scrollTop + lines.clientHeight >= lines.scrollHeight - 4;
    const found = search.value ? `${formatNumber(data.found)} of ` : "";
    fill(status, `${found}${plural(data.total, "line")}${data.missing ? `, ${formatNumber(data.missing)} left out` : ""}`);
    fill(lines, data.offset ? h("p", { class: "dim" }, `${formatNumber(data.offset)} earlier lines are not shown; search for them`) : null, data.lines.map((line) => drawLine(line, search.value)));
    if (!data.total) put(lines, h("p", { class: "empty" }, run.outcome === "running" ? "no output so far; 'tracelet run' records it by default" : "no output was recorded; 'tracelet run' records it by default"));
    if (isAtEnd) lines.scrollTop = lines.scrollHeight;
  };
  put(panel, h("div", { class: "controls" }, search, status), lines);
  await load();
  if (run.outcome !== "running") return undefined;
  const timer = setInterval(() => load().catch(() => {}), LIVE);
  return () => clearInterval(timer);
}

function drawLine(line, search) {
  return h("div", { class: `line ${line.stream}`, title: `${formatTime(line.time)} ${line.stream} ${line.process}` }, h("span", { class: "no" }, String(line.number)), h("span", { class: "text" }, highlight(line.text, search)));
}

function highlight(text, search) {
  if (!search) return [text];
  const parts = [];
  const folded = text.toLowerCase();
  const wanted = search.toLowerCase();
  let from = 0;
  for (let at = folded.indexOf(wanted); at >= 0; at = folded.indexOf(wanted, from)) {
    parts.push(text.slice(from, at), h("mark", {}, text.slice(at, at + wanted.length)));
    from = at + wanted.length;
  }
  return [...parts, text.slice(from)];
}
