// The overview of a run: metrics, params, tags, notes, what it says of itself, its parent and children, facts.

import { fill, formatDuration, formatNumber, formatTime, exactText, glance, h, longName, plural, put, shortenMiddle } from "../dom.js";
import { markdown } from "./markdown.js";

const MOST_CHILDREN = 50; // that are listed

/** Show the overview. Returns a function that draws a newer state of the run. */
export function drawOverview(panel, run) {
  const metrics = h("section", { class: "metrics" });
  const about = h("section");
  const facts = h("section");
  let known = "";
  const update = (fresh) => {
    fill(metrics, metricSection(fresh));
    const { metrics: _, duration, ended_at, plugins, overhead, delivery, processes, ...rest } = fresh;
    const key = JSON.stringify([rest, processes.length]);
    if (key !== known) drawRest(fresh, about, facts);
    known = key;
    const took = about.querySelector("[data-took]");
    if (took) fill(took, formatDuration(fresh.duration));
  };
  put(panel, h("div", { class: "columns overview" }, metrics, about, facts));
  update(run);
  return update;
}

function drawRest(run, about, facts) {
  const known = Object.entries(run.facts).filter(([, several]) => Object.keys(several).length);
  fill(about, h("h2", {}, "Params"), pairTree(flatten(run.params)),
    Object.keys(run.tags).length ? [h("h2", {}, "Tags"), pairs(flatten(run.tags))] : null,
    run.notes ? [h("h2", {}, "Notes"), h("div", { class: "notes" }, markdown(run.notes))] : null,
    h("h2", {}, "About"), aboutOf(run), childrenOf(run),
    run.edits.length ? h("details", {}, h("summary", {}, plural(run.edits.length, "change")), h("ul", { class: "long" }, run.edits.map((one) => h("li", {}, `${formatTime(one.at)}: ${JSON.stringify(one.changes)}`)))) : null);
  fill(facts, known.map(([source, several]) => factsOf(source, several)));
  facts.hidden = !known.length;
}

// --- metrics -------------------------------------------------------------------------------------------

function metricSection(run) {
  const own = run.metrics.filter((one) => one.type !== "system");
  const measured = run.metrics.length - own.length;
  const none = run.outcome === "running" ? "none so far" : "this run recorded no metrics";
  return [h("h2", {}, "Metrics"), own.length ? h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Metrics" }, metricTable(own)) : h("p", { class: "dim" }, none),
    measured ? h("p", { class: "dim" }, `${plural(measured, "metric")} measured by collectors: see Charts`) : null];
}

function metricTable(metrics) {
  return h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, ["metric", "last", "best", "min", "max", "points"].map((one, i) => h("th", { scope: "col", class: i ? "number" : "" }, one)))),
    h("tbody", {}, metrics.map((one) => h("tr", {}, longName(one.name, 60, "th", { scope: "row", class: "long" }),
      [one.last, one.best, one.min, one.max].map((value) => glance(value, "td", { class: "number" })),
      h("td", { class: "number" }, formatNumber(one.count), one.nans ? h("span", { class: "warn", title: "values that are not a number" }, ` ${one.nans} NaN`) : null)))));
}

// --- names and values ----------------------------------------------------------------------------------

/** Names and values as a list; the values have all their digits. */
export function pairs(entries) {
  if (!entries.length) return h("p", { class: "dim" }, "none");
  return h("dl", { class: "pairs" }, entries.map(([name, value]) => [longName(name, 80, "dt"), h("dd", {}, value instanceof Node ? value : exactText(value))]));
}

/** The same, with names that share a part before a slash in one branch that can be folded. */
export function pairTree(entries) {
  const branches = new Map();
  for (const [name, value] of entries) {
    const branch = branchOf(name);
    if (branch === null) continue;
    if (!branches.has(branch)) branches.set(branch, []);
    branches.get(branch).push([name.slice(branch.length + 1), value]);
  }
  const isInTree = ([name]) => branches.get(branchOf(name))?.length > 1;
  const flat = entries.filter((entry) => !isInTree(entry));
  const folds = [...branches].filter(([, several]) => several.length > 1);
  return [flat.length || !folds.length ? pairs(flat) : null, folds.map(([name, several]) => h("details", { class: "tree", open: true },
    h("summary", { title: name }, shortenMiddle(name, 60), h("span", { class: "dim" }, ` ${several.length}`)), pairTree(several)))];
}

/** The part of a name before its first slash; null if there is nothing on one side of it. */
function branchOf(name) {
  const at = name.indexOf("/", 1);
  return at > 0 && at < name.length - 1 ? name.slice(0, at) : null;
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

// --- about ---------------------------------------------------------------------------------------------

function aboutOf(run) {
  return pairs([
    ["project", run.project], ["group", run.group], ["job type", run.job_type], ["parent", run.parent && (relative(run, run.parent) ?? `${run.parent} (not in this folder)`)], ["host", run.host],
    ["started", formatTime(run.started_at)], ["took", h("span", { "data-took": "" }, formatDuration(run.duration))], ["folder", run.dir],
    ["archived", run.archived ? "yes: lists leave it out" : null],
    ["processes", run.processes.length > 1 ? describeProcesses(run.processes) : null],
  ].filter(([, value]) => value));
}

function childrenOf(run) {
  const all = run.children.length;
  if (!all) return null;
  const query = new URLSearchParams({ where: `parent == ${JSON.stringify(run.id)}` });
  return [h("h2", {}, "Children"), h("ul", { class: "long" }, run.children.slice(0, MOST_CHILDREN).map((id) => h("li", {}, relative(run, id) ?? h("a", { href: `/run/${encodeURIComponent(id)}` }, id)))),
    h("p", {}, h("a", { href: `/?${query}` }, all > MOST_CHILDREN ? `all ${formatNumber(all)} in the table` : "show them in the table"))];
}

/** A parent or child by its name; null for a run that is not known. */
function relative(run, id) {
  const known = run.relatives?.[id];
  if (!known) return null;
  return h("span", {}, h("a", { href: `/run/${encodeURIComponent(id)}`, title: id }, shortenMiddle(known.name, 60)), " ", h("span", { class: "dim" }, known.outcome));
}

function describeProcesses(processes) {
  const hosts = new Set(processes.map((one) => one.host));
  const attempts = Math.max(...processes.map((one) => one.attempt));
  return `${processes.length} on ${plural(hosts.size, "host")}${attempts ? `, resumed ${attempts === 1 ? "once" : `${attempts} times`}` : ""}`;
}
