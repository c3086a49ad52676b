// Building elements, and the wording of numbers, times and sizes. Text from runs only ever becomes text nodes.

import { Whole } from "./exact_json.js";

/** Make an element: h("button", {class: "x", onclick: f, "aria-label": "y"}, child, ...). */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  put(element, ...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** Make an element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((one) => one !== null));
  return element;
}

/** A text beside an axis of a drawing. */
export const label = (x, y, text, anchor = "middle") => svg("text", { x, y, "text-anchor": anchor, class: "axis" }, text);

/** Append children: elements, texts, lists; nothing for null and false. */
export function put(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** Replace the children of an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  return put(element, ...children);
}

/** Numbers that JSON cannot hold arrive as "NaN", "Infinity" and "-Infinity". */
export function toNumber(value) {
  return value === null || value === undefined || value === "" ? NaN : Number(value);
}

/** A number to read at a glance; `exactText` has all its digits. */
export function formatNumber(value) {
  if (typeof value === "string" && !Number.isNaN(Number(value))) value = Number(value);
  if (typeof value !== "number") return String(value);
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString("en-US").replaceAll(",", " ");
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(3).replace("e+", "e");
  return String(Number(value.toPrecision(5)));
}

export function formatValue(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return formatNumber(value);
  if (["NaN", "Infinity", "-Infinity"].includes(value)) return formatNumber(Number(value));
  return exactText(value);
}

/** Whether a value of an answer is a number. */
export const isNumber = (value) => typeof value === "number" || value instanceof Whole;

/** A value with all its digits: the shortest text that gives the same number, as in Python. */
export function exactText(value) {
  if (value === null || value === undefined) return "–";
  if (Object.is(value, -0)) return "-0";
  return typeof value === "object" && !(value instanceof Whole) ? nestedText(value) : String(value);
}

function nestedText(value) {
  if (Array.isArray(value)) return `[${value.map(nestedText).join(", ")}]`;
  if (isNumber(value)) return exactText(value);
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${nestedText(one)}`).join(", ")}}`;
}

/** A number at a glance, with all its digits in the title if the glance lacks some. */
export function glance(value, tag = "span", props = {}) {
  const [short, exact] = [formatValue(value), exactText(value)];
  return h(tag, { ...props, title: isNumber(value) && exact !== short ? exact : null }, short);
}

/** A name that may be long: shortened in the middle, where names differ least, with the whole name in the title. */
export function longName(name, most = 48, tag = "span", props = {}) {
  const short = shortenMiddle(name, most);
  return h(tag, { ...props, title: short === name ? props.title : name }, short);
}

/** A text of at most so many characters: the middle is left out. Pairs of surrogates stay whole. */
export function shortenMiddle(text, most) {
  const all = [...String(text)];
  if (all.length <= most) return String(text);
  const head = Math.ceil((most - 1) * 0.6);
  return `${all.slice(0, head).join("")}…${all.slice(all.length - (most - 1 - head)).join("")}`;
}

export function formatDuration(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return "–";
  const sign = seconds < 0 ? "−" : "";
  const total = Math.abs(seconds);
  if (total < 1e-3 && total > 0) return `${sign}${Math.round(total * 1e6)} µs`;
  if (total < 1) return `${sign}${Math.round(total * 1e3)} ms`;
  if (total < 60) return `${sign}${Number(total.toFixed(total < 10 ? 2 : 1))} s`;
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = units.findIndex(([size]) => total >= size);
  const [size, unit] = units[at];
  const rest = at < 3 ? Math.floor((total % size) / units[at + 1][0]) : 0;
  return `${sign}${Math.floor(total / size)} ${unit}${rest ? ` ${rest} ${units[at + 1][1]}` : ""}`;
}

export function formatTime(seconds) {
  if (!seconds) return "–";
  const when = new Date(seconds * 1000);
  const two = (n) => String(n).padStart(2, "0");
  const day = `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
  return `${day} ${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
}

export function formatSize(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; bytes >= 1000 && at < 4; at++) bytes /= 1000;
  return `${at ? bytes.toFixed(bytes < 10 ? 1 : 0) : bytes} ${units[at]}`;
}

export function plural(count, word) {
  return `${formatNumber(count)} ${word}${count === 1 ? "" : "s"}`;
}

/** A colored word for how a run went. */
export function outcomeBadge(outcome) {
  const known = ["running", "finished", "failed", "killed", "unreadable"].includes(outcome) ? outcome : "other";
  return h("span", { class: `badge ${known}` }, outcome);
}

/** Call a function once things have been quiet for some milliseconds. */
export function debounce(action, wait) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), wait);
  };
}

/** Call a function at most once in some milliseconds, the last time after the last call. */
export function throttle(action, wait) {
  let timer = 0;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      action();
    }, wait);
  };
}

/** What is shown where something could not be read, with a button that tries again. */
export function failure(error, again) {
  return h("p", { class: "empty error", role: "alert" }, error.message, " ", h("button", { class: "again", onclick: again }, "Try again"));
}

/** Tell the user something, also by screen reader. */
export function notify(text, isError = false) {
  const notice = document.getElementById("notice");
  fill(notice, text);
  notice.className = isError ? "error shown" : "shown";
  clearTimeout(notify.timer);
  notify.timer = setTimeout(() => (notice.className = ""), isError ? 8000 : 2500);
}
