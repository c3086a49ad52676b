// The drawings of a comparison, and the choices that they have: fields, axes, colors, brushes. All of them are in the address.

import { lineColor } from "../chart/plot.js";
import { h, isNumber, longName, plural, put, shortenMiddle } from "../dom.js";
import { param, params, setParams } from "../state.js";
import { drawParallel, drawRamp, drawScatter, isInside, makeAxis, rampColor } from "./compare_drawings.js";

const FIRST_AXES = 8; // that are shown before somebody chooses
const MOST_AXES = 20;

/** The value by which a metric is compared: the best if it is known what is better, else the last. */
export const valueOf = (metric) => (metric ? Number(metric.best ?? metric.last) : NaN);

/** All fields that a drawing can show, as lists with a value for each run: params, then metrics. */
function fieldsOf(data) {
  const found = new Map(Object.entries(data.params).map(([name, values]) => [`params.${name}`, values]));
  for (const [name, several] of Object.entries(data.metrics)) {
    if (several.some((one) => one && one.type !== "system")) found.set(`metrics.${name}`, several.map((one) => (one ? valueOf(one) : null)));
  }
  return found;
}

const isNumeric = (values) => values.some(isNumber) && values.every((one) => one === null || isNumber(one));
const numbersOf = (values) => values.map((one) => (one === null ? NaN : Number(one)));
const canBeLog = (values) => isNumeric(values) && numbersOf(values).some((one) => one > 0);

/** Scatter and parallel coordinates. */
export function drawings(data, shown, draw) {
  const fields = fieldsOf(data);
  const numeric = [...fields.keys()].filter((name) => isNumeric(fields.get(name)));
  if (shown.length < 2 || !fields.size) return null;
  const isDiffering = (name) => new Set(fields.get(name).map(String)).size > 1;
  const differing = [...fields.keys()].filter(isDiffering);
  const metrics = differing.filter((name) => name.startsWith("metrics.") && numeric.includes(name));
  const metric = metrics.find((name) => data.metrics[name.slice(8)].some((one) => one?.goal)) ?? metrics[0] ?? numeric.at(-1);
  const state = { data, shown, draw, fields, numeric, metric, differing: differing.length ? differing : [...fields.keys()] };
  const parallel = parallelOf(state);
  return h("div", { class: "drawings" }, parallelCard(state, parallel), numeric.length > 1 ? scatterCard(state, parallel.isShown) : null);
}

function choice(names, value, label, change) {
  const select = h("select", { "aria-label": label, onchange: () => change(select.value) }, names.map(([name, text]) => h("option", { value: name, title: name }, shortenMiddle(text, 44))));
  select.value = value;
  return select;
}

function box(label, isChecked, isEnabled, change) {
  const input = h("input", { type: "checkbox", disabled: !isEnabled, onchange: () => change(input.checked) });
  input.checked = isChecked;
  return h("label", {}, input, label);
}

// --- scatter ------------------------------------------------------------------------------------------

function scatterCard({ shown, draw, fields, numeric, metric, differing }, isShown) {
  const x = numeric.includes(param("sx")) ? param("sx") : differing.find((name) => numeric.includes(name)) ?? numeric[0];
  const y = numeric.includes(param("sy")) ? param("sy") : metric;
  const change = (key) => (value) => { setParams({ [key]: value }); draw(); };
  const [xs, ys] = [x, y].map((name) => numbersOf(fields.get(name)));
  const logs = { x: param("slx") === "1" && canBeLog(fields.get(x)), y: param("sly") === "1" && canBeLog(fields.get(y)) };
  const names = numeric.map((name) => [name, name]);
  const isLeft = shown.filter((_, i) => (logs.x && xs[i] <= 0) || (logs.y && ys[i] <= 0)).length;
  return h("section", { class: "card drawing scatter", "aria-label": "Scatter" }, h("header", {}, h("h2", {}, "scatter")),
    h("div", { class: "controls" },
      h("div", { class: "row" }, choice(names, x, "Horizontal", change("sx")), box("log x", logs.x, canBeLog(fields.get(x)), (on) => change("slx")(on ? "1" : null))),
      h("div", { class: "row" }, choice(names, y, "Vertical", change("sy")), box("log y", logs.y, canBeLog(fields.get(y)), (on) => change("sly")(on ? "1" : null)))),
    drawScatter(shown, x, xs, y, ys, logs, isShown), isLeft ? h("p", { class: "warn" }, `${plural(isLeft, "run")} without a value above 0: a log axis cannot show them`) : null);
}

// --- parallel coordinates -----------------------------------------------------------------------------

function parallelOf({ shown, fields, differing }) {
  const wanted = params("axis").filter((name) => fields.has(name)).slice(0, MOST_AXES);
  const names = wanted.length ? wanted : differing.slice(0, FIRST_AXES);
  const logs = new Set(params("axislog").filter((name) => fields.has(name) && canBeLog(fields.get(name))));
  const values = names.map((name) => fields.get(name));
  const axes = names.map((name, i) => makeAxis(name, values[i], logs.has(name)));
  const brushes = Object.fromEntries(params("brush").map(parseBrush).filter((one) => one && names.includes(one[0])));
  return { names, logs, values, axes, brushes, isShown: shown.map((_, row) => isInside(axes, values, row, brushes)) };
}

/** A brush in the address: the name of an axis, and a range of it. */
function parseBrush(text) {
  const found = /^(.*):(\d+):(\d+)$/.exec(text);
  return found && [found[1], [Number(found[2]), Number(found[3])]];
}

function writeBrushes(brushes) {
  setParams({ brush: Object.entries(brushes).map(([name, [from, to]]) => `${name}:${from}:${to}`) });
}

function parallelCard(state, { names, logs, values, axes, brushes, isShown }) {
  const { shown, draw, fields, numeric, metric } = state;
  const by = numeric.includes(param("color")) || param("color") === "run" ? param("color") : metric ?? "run";
  const { colors, legend } = colorsOf(by, shown, fields);
  const change = (key) => (value) => { setParams({ [key]: value }); draw(); };
  const setBrush = (name, range) => {
    const { [name]: _, ...others } = brushes;
    writeBrushes(range ? { ...others, [name]: range } : others);
    draw();
  };
  const room = Math.max(320, (document.getElementById("main")?.clientWidth ?? 1000) - 60);
  return h("section", { class: "card drawing", "aria-label": "Parallel coordinates" }, h("header", {}, h("h2", {}, "parallel coordinates")),
    h("div", { class: "controls" }, axesMenu(state, names, logs, brushes), h("label", {}, "color ", choice([["run", "run"], ...numeric.map((name) => [name, name])], by, "Color of the lines", change("color"))), legend),
    h("div", { class: "scroll", tabindex: "0" }, drawParallel(shown, axes, values, colors, isShown, brushes, setBrush, room)),
    statusOf(shown, isShown, brushes, draw));
}

function colorsOf(by, shown, fields) {
  if (by === "run") return { colors: shown.map((run) => lineColor(run.place)), legend: null };
  const values = numbersOf(fields.get(by));
  const finite = values.filter(Number.isFinite);
  if (!finite.length) return { colors: shown.map(() => "var(--dim)"), legend: null };
  const [low, high] = [Math.min(...finite), Math.max(...finite)];
  const colors = values.map((value) => (Number.isFinite(value) ? rampColor(value, low, high) : "var(--dim)"));
  return { colors, legend: drawRamp(by, low, high) };
}

function axesMenu({ fields, draw }, names, logs, brushes) {
  const write = (shown, log) => {
    const { ...kept } = brushes;
    for (const name of Object.keys(kept)) if (!shown.includes(name) || log.has(name) !== logs.has(name)) delete kept[name];
    writeBrushes(kept);
    setParams({ axis: shown, axislog: [...log], axes: "1" });
    draw();
  };
  const row = (name) => {
    const isOn = names.includes(name);
    const toggleLog = (on) => write(names, new Set(on ? [...logs, name] : [...logs].filter((one) => one !== name)));
    const toggle = (on) => write(on ? [...names, name] : names.filter((one) => one !== name), logs);
    return h("div", { class: "axisrow" }, box(longName(name, 44), isOn, isOn ? names.length > 1 : names.length < MOST_AXES, toggle), canBeLog(fields.get(name)) ? box("log", logs.has(name), isOn, toggleLog) : null);
  };
  const menu = h("details", { class: "axes", open: param("axes") === "1" }, h("summary", {}, `axes: ${names.length} of ${fields.size}`), h("div", {}, [...fields.keys()].map(row)));
  menu.addEventListener("toggle", () => setParams({ axes: menu.open ? "1" : null }));
  return menu;
}

function statusOf(shown, isShown, brushes, draw) {
  const status = h("p", { class: "dim", role: "status" });
  if (!Object.keys(brushes).length) return put(status, "Drag along an axis to choose a range of it.");
  const inside = shown.filter((_, i) => isShown[i]);
  const names = inside.slice(0, 12).flatMap((run, i) => [i ? ", " : ": ", h("a", { href: `/run/${encodeURIComponent(run.id)}`, title: run.label }, shortenMiddle(run.label, 30))]);
  return put(status, `${inside.length} of ${plural(shown.length, "run")} inside the chosen ranges`, names, inside.length > 12 ? ` and ${inside.length - 12} more` : "", " ",
    inside.length && inside.length < shown.length ? h("a", { class: "button small", href: `/compare?${new URLSearchParams(inside.map((run) => ["run", run.id]))}` }, "compare only these") : null, " ",
    h("button", { class: "quiet", onclick: () => { writeBrushes({}); draw(); } }, "clear"));
}
