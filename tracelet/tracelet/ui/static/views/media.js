// Pictures, tables, histograms, curves and more, each with a slider over its steps.

import { get } from "../api.js";
import { exactText, fill, formatNumber, formatValue, glance, h, isNumber, longName, plural, put } from "../dom.js";
import { param, setParams } from "../state.js";
import { drawCurves, drawEmbedding, drawHistogram, drawMatrix } from "./media_drawings.js";
import { showLarge } from "./lightbox.js";
import { fileAddress, listFiles } from "./files.js";

const MOST_ROWS = 200; // of a table

/** Show everything that was logged as media. */
export async function showMedia(panel, run) {
  const groups = groupMedia(await listFiles(run));
  if (!groups.length) {
    put(panel, h("p", { class: "empty" }, run.outcome === "running" ? "no media so far: log_image, log_table, log_histogram and others record some" : "this run recorded no media: log_image, log_table, log_histogram and others do"));
    return;
  }
  put(panel, h("div", { class: "media" }, groups.map((group) => mediaCard(run, group))));
}

/** Media by name and kind, in the order of their steps. */
export function groupMedia(artifacts) {
  const groups = new Map();
  for (const one of artifacts) {
    if (!one.media) continue;
    const key = `${one.name}\n${one.kind}`;
    if (!groups.has(key)) groups.set(key, { name: one.name, kind: one.kind, items: [] });
    groups.get(key).items.push(one);
  }
  for (const group of groups.values()) group.items.sort((a, b) => (a.step ?? 0) - (b.step ?? 0));
  return [...groups.values()];
}

function mediaCard(run, group) {
  const { name, kind, items } = group;
  const body = h("div", { class: `medium ${kind}` });
  const at = h("output", { class: "dim" });
  const key = `m.${name}.${kind}`;
  const show = (place) => {
    const item = items[place];
    fill(at, item.step === null || item.step === undefined ? "" : `step ${formatNumber(item.step)}`);
    const enlarge = () => showLarge(items.filter(isPicture).map((one) => pictureOf(run, one)), items.filter(isPicture).indexOf(item), (at) => move(items.indexOf(items.filter(isPicture)[at])));
    drawMedium(body, run, item, items, enlarge).catch((error) => fill(body, h("p", { class: "error" }, error.message)));
  };
  const move = (place) => {
    if (!slider) return;
    slider.value = String(place);
    setParams({ [key]: slider.value });
    show(place);
  };
  const start = param(key) === "" ? items.length - 1 : Math.min(Number(param(key)), items.length - 1);
  const slider = items.length > 1 ? h("input", { type: "range", min: "0", max: String(items.length - 1), "aria-label": `Step of ${name}`, oninput: () => move(Number(slider.value)) }) : null;
  if (slider) slider.value = String(start);
  show(start);
  return h("section", { class: "card mediacard", "data-name": name, "data-kind": kind, "aria-label": `${kind} ${name}` },
    h("header", {}, longName(name, 60, "h2", { title: name }), h("span", { class: "dim" }, kind.replace("_", " "))), body,
    h("footer", {}, slider, at, h("span", { class: "grow" }), items.length > 1 ? h("span", { class: "dim" }, plural(items.length, "step")) : null));
}

const IMAGE = /\.(png|jpe?g|gif|webp|bmp|svg)$/i;
const pathOf = (item) => item.files[0]?.path ?? item.path;
const isPicture = (item) => IMAGE.test(pathOf(item));
const stepOf = (item) => (item.step === null || item.step === undefined ? "" : `, step ${formatNumber(item.step)}`);
const pictureOf = (run, item) => ({ source: fileAddress(run, pathOf(item), true), name: `${item.name}${stepOf(item)}` });

async function drawMedium(body, run, item, items, enlarge) {
  const path = pathOf(item);
  const source = fileAddress(run, path, true);
  const token = (body.token = {});
  const content = () => get(`/runs/${encodeURIComponent(run.id)}/content`, { path });
  const put = (...children) => { if (token === body.token) fill(body, children); };
  switch (item.kind) {
    case "image": case "figure": case "video": case "audio": return put(drawFile(run, item, path, source, enlarge));
    case "html": return put(h("iframe", { src: source, sandbox: "allow-scripts", title: item.name }));
    case "text": return put(h("pre", { class: "source", tabindex: "0" }, (await get(`/runs/${encodeURIComponent(run.id)}/text`, { path })).text));
    case "table": return put(drawTable(await content()));
    case "histogram": return put(drawHistogram(await content(), item.name), await overSteps(run, items));
    case "confusion_matrix": return put(drawMatrix(await content(), item.name));
    case "pr_curve": case "roc_curve": return put(drawCurves(await content(), item.kind, item.name));
    case "embedding": return put(drawEmbedding(await content(), item.name), download(run, path));
    case "mesh": return put(h("p", { class: "dim" }, `The page does not draw meshes. Open the file in a viewer of ${path.split(".").at(-1).toUpperCase()} files, such as Blender or MeshLab.`), download(run, path));
    default: return put(download(run, path));
  }
}

const download = (run, path) => h("a", { href: fileAddress(run, path), download: "" }, `download ${path.split("/").at(-1)}`);

/** Why the page draws no figures of libraries that draw in the browser, and what to do. */
const LIBRARIES = [
  [/\.plotly\.json$/i, "The page does not ship Plotly's JavaScript. Open the figure with plotly.io.read_json(PATH).show(), or record it with log_html(NAME, figure.to_html()) to see it here."],
  [/\.vega\.json$/i, "The page does not ship Vega's JavaScript. Open the figure with altair.Chart.from_json(TEXT), or in the Vega editor."],
];

function drawFile(run, item, path, source, enlarge) {
  if (/\.(mp4|webm)$/i.test(path)) return h("video", { src: source, controls: true, preload: "metadata" });
  if (/\.(wav|mp3|ogg|flac)$/i.test(path)) return h("audio", { src: source, controls: true, preload: "metadata" });
  if (IMAGE.test(path)) return h("button", { class: "open", "aria-label": `Open ${item.name} large`, title: "open it large", onclick: enlarge }, h("img", { src: source, alt: `${item.name}, step ${item.step ?? "none"}`, loading: "lazy" }));
  const note = LIBRARIES.find(([pattern]) => pattern.test(path));
  return [note ? h("p", { class: "dim" }, note[1]) : null, download(run, path)];
}

/** Several histograms of one name as a heat map: a column per step. */
async function overSteps(run, items) {
  if (items.length < 2) return null;
  const few = items.length > 60 ? items.filter((_, i) => i % Math.ceil(items.length / 60) === 0) : items;
  const all = await Promise.all(few.map((one) => get(`/runs/${encodeURIComponent(run.id)}/content`, { path: one.files[0].path })));
  const { drawRidge } = await import("./media_drawings.js");
  return drawRidge(few.map((one, i) => ({ step: one.step, ...all[i] })));
}

/** A table whose columns can be sorted and whose rows can be searched. */
export function drawTable({ columns, rows }) {
  let order = null;
  const search = h("input", { type: "search", placeholder: "search", "aria-label": "Search the table", oninput: () => show() });
  const body = h("tbody");
  const status = h("span", { class: "dim" });
  const head = h("tr");
  const show = () => {
    const wanted = search.value.toLowerCase();
    let found = wanted ? rows.filter((row) => row.some((cell) => `${formatValue(cell)}\n${exactText(cell)}`.toLowerCase().includes(wanted))) : [...rows];
    if (order) found.sort((a, b) => compare(a[order.column], b[order.column]) * order.sign);
    fill(head, columns.map((column, i) => h("th", { scope: "col", class: rows.every((row) => isNumber(row[i])) ? "number" : "", "aria-sort": order?.column === i ? (order.sign > 0 ? "ascending" : "descending") : "none" },
      h("button", { class: "quiet", onclick: () => { order = { column: i, sign: order?.column === i ? -order.sign : 1 }; show(); } }, column))));
    fill(status, found.length > MOST_ROWS ? `the first ${MOST_ROWS} of ${formatNumber(found.length)} rows` : plural(found.length, "row"));
    fill(body, found.slice(0, MOST_ROWS).map((row) => h("tr", {}, row.map((cell) => glance(cell, "td", { class: isNumber(cell) ? "number" : "" })))));
  };
  show();
  return h("div", {}, rows.length > 8 ? h("div", { class: "row" }, search, status) : null, h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain" }, h("thead", {}, head), body)));
}

function compare(a, b) {
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : Number(a > b);
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}
