// What each plugin did and cost, what each backend has, and what was lost.

import { get } from "../api.js";
import { describeDamage, describeDropped } from "./damage.js";
import { drawPanel } from "./panels.js";
import { fill, formatDuration, formatNumber, h, put } from "../dom.js";

/** Show plugins, delivery, losses and damage, and what plugins add to the page. */
export function showPlugins(panel, run) {
  const added = h("div", { class: "media" });
  const plugins = Object.entries(run.plugins);
  const backends = Object.entries(run.delivery);
  put(panel, h("div", { class: "columns" },
    h("section", {}, h("h2", {}, "Plugins"), plugins.length ? pluginTable(plugins) : h("p", { class: "dim" }, noPlugins(run)), overhead(run.overhead)),
    h("section", {}, h("h2", {}, "Delivery"), backends.length ? deliveryTable(backends) : h("p", { class: "dim" }, "the run has no backends: the journal has everything"),
      h("h2", {}, "Losses and damage"), losses(run))), added);
  return get(`/runs/${encodeURIComponent(run.id)}/panels`).then(({ panels }) => fill(added, panels.map(drawPanel))).then(() => undefined);
}

function noPlugins(run) {
  if (run.outcome === "running") return "their costs are recorded when the run ends";
  return run.outcome === "killed" ? "the run was killed before the costs of its plugins were recorded" : "no plugins ran";
}

function pluginTable(plugins) {
  return h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, ["plugin", "state", "calls", "errors", "wall", "CPU"].map((one, i) => h("th", { scope: "col", class: i > 1 ? "number" : "" }, one)))),
    h("tbody", {}, plugins.map(([name, one]) => [h("tr", {}, h("th", { scope: "row" }, name, " ", h("span", { class: "dim" }, one.version ?? "")), h("td", {}, h("span", { class: `badge ${one.state === "error" ? "failed" : "other"}` }, one.state ?? "ok")),
      h("td", { class: "number" }, formatNumber(one.calls)), h("td", { class: "number" }, formatNumber(one.errors)), h("td", { class: "number" }, formatDuration(one.wall_s)), h("td", { class: "number" }, formatDuration(one.cpu_s))),
      one.error ? h("tr", {}, h("td", { colSpan: 6, class: "error" }, one.error)) : null])));
}

function overhead(one) {
  if (!one || one.share === undefined) return null;
  return h("p", { class: "dim" }, `tracelet took ${formatNumber(one.share * 100)} % of the program's time`);
}

function deliveryTable(backends) {
  return h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, ["backend", "delivered", "pending", "state"].map((one, i) => h("th", { scope: "col", class: i === 1 || i === 2 ? "number" : "" }, one)))),
    h("tbody", {}, backends.map(([name, one]) => [h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "number" }, formatNumber(one.delivered ?? 0)), h("td", { class: "number" }, formatNumber(one.pending ?? 0)), h("td", {}, stateOf(one))),
      one.error ? h("tr", {}, h("td", { colSpan: 4, class: "error" }, one.error)) : null])));
}

function stateOf(one) {
  if (one.error) return h("span", { class: "badge failed" }, "paused after an error");
  return one.pending ? h("span", { class: "badge running" }, "catching up") : h("span", { class: "badge finished" }, "has everything");
}

function losses(run) {
  const host = h("div", {}, h("p", { class: "dim" }, "checking the journal …"));
  get(`/runs/${encodeURIComponent(run.id)}/losses`).then((found) => {
    const lost = [...describeDamage(found.damage), ...describeDropped(found.dropped)];
    fill(host, found.problem ? h("p", { class: "error" }, found.problem) : null,
      lost.length ? [h("ul", { class: "long" }, lost.map((one) => h("li", {}, one))), h("p", { class: "dim" }, "Details: ", h("code", {}, `tracelet verify ${run.id}`))] : null,
      lost.length || found.problem ? null : h("p", {}, "nothing was lost, and every record is intact"));
  }).catch((error) => fill(host, h("p", { class: "error" }, error.message)));
  return host;
}
