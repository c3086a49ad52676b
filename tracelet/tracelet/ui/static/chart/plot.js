// A line chart on a canvas: axes, lines, marks for what is not a number, a cursor, and a range to zoom into.

import { formatDuration, formatNumber, formatTime, h } from "../dom.js";
import { Scale, ticks } from "./scales.js";
import { nearest, rangeOf } from "./smooth.js";

const LEFT = 54;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 24;
const shared = new Set(); // the mounted charts, which share a cursor

/** What an x is, in words. */
export function formatX(value, kind) {
  if (kind === "time") return formatTime(value);
  if (kind === "relative") return formatDuration(value);
  if (kind?.startsWith("metric:")) return `${kind.slice(7)} ${formatNumber(value)}`;
  return kind === "step" ? `step ${formatNumber(Math.round(value))}` : formatNumber(value);
}

/**
 * Draws lines: {label, color, x, y, under, dash, faint, marks, low, high, note}. `under` lines are drawn pale behind the
 * others and are left out of the tooltip. `low` and `high` are the edges of a band around a line, and `note(place)` what
 * the tooltip adds. Calls `onZoom(first, last)`, with null for all.
 */
export class Plot {
  constructor(host, { onZoom, label }) {
    this.base = h("canvas", { class: "lines" });
    this.top = h("canvas", {
      class: "cursor", tabindex: "0", role: "img", "aria-label": label,
      onpointermove: (event) => this.#move(event),
      onpointerleave: () => this.#leave(),
      onpointerdown: (event) => this.#press(event),
      onpointerup: (event) => this.#release(event),
      ondblclick: () => onZoom(null, null),
      onkeydown: (event) => this.#key(event),
      onblur: () => this.#leave(),
    });
    this.tip = h("div", { class: "tip", hidden: true });
    this.host = host;
    this.onZoom = onZoom;
    this.lines = [];
    this.options = { kind: "step" };
    this.pressed = null;
    host.append(this.base, this.top, this.tip);
    this.observer = new ResizeObserver(() => {
      const size = `${host.clientWidth} ${host.clientHeight}`;
      if (size !== this.drawnSize) this.draw();
    });
    this.observer.observe(host);
    shared.add(this);
  }

  destroy() {
    this.observer.disconnect();
    shared.delete(this);
    this.base.remove();
    this.top.remove();
    this.tip.remove();
  }

  /** Show lines. Options: kind, logX, logY, first, last, outliers. */
  set(lines, options) {
    this.lines = lines;
    this.options = options;
    this.draw();
  }

  get width() {
    return Math.max(80, this.host.clientWidth);
  }

  draw() {
    const width = this.width;
    const height = Math.max(80, this.host.clientHeight);
    this.drawnSize = `${this.host.clientWidth} ${this.host.clientHeight}`;
    this.scaled = this.#scales(width, height);
    const context = prepare(this.base, width, height);
    prepare(this.top, width, height);
    if (this.scaled === null) {
      this.#sayEmpty(context, width, height);
      return;
    }
    this.#axes(context, width, height);
    context.save();
    context.beginPath();
    context.rect(LEFT, TOP - 4, width - LEFT - RIGHT, height - TOP - BOTTOM + 8);
    context.clip();
    const ordered = [...this.lines].sort((a, b) => Boolean(b.under) - Boolean(a.under));
    for (const line of ordered) if (line.low) this.#area(context, line);
    for (const line of ordered) this.#line(context, line);
    context.restore();
    for (const line of ordered) this.#marks(context, line, height);
  }

  #scales(width, height) {
    const { kind, logX, logY, outliers } = this.options;
    let { first, last } = this.options;
    const shown = this.lines.filter((line) => line.x.length);
    if (!shown.length) return null;
    const positive = (x) => (logX ? x.find((one) => one > 0) ?? 1 : x[0]);
    first ??= Math.min(...shown.map((line) => positive(line.x)));
    last ??= Math.max(...shown.map((line) => line.x[line.x.length - 1]));
    if (logX && first <= 0) first = Math.min(1, last);
    const edges = shown.filter((line) => line.low).flatMap(({ x, low, high }) => [{ x, y: low }, { x, y: high }]);
    const range = rangeOf([...shown, ...edges], first, last, logY, outliers) ?? (logY ? [0.1, 1] : [0, 1]);
    let [low, high] = range;
    if (logY) [low, high] = [low / 1.15, high * 1.15];
    else {
      const pad = (high - low) * 0.06;
      [low, high] = [low - pad, high + pad];
    }
    return {
      kind,
      x: new Scale(first, last, LEFT, width - RIGHT, logX),
      y: new Scale(low, high, height - BOTTOM, TOP, logY),
    };
  }

  #sayEmpty(context, width, height) {
    context.fillStyle = color("--dim");
    context.textAlign = "center";
    context.fillText(this.options.loading ? "loading …" : "no points", width / 2, height / 2);
  }

  #axes(context, width, height) {
    const { x, y, kind } = this.scaled;
    context.strokeStyle = color("--grid");
    context.fillStyle = color("--dim");
    context.lineWidth = 1;
    context.beginPath();
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const { at, label } of ticks(y, "value", 38)) {
      const place = Math.round(y.at(at)) + 0.5;
      context.moveTo(LEFT, place);
      context.lineTo(width - RIGHT, place);
      context.fillText(label, LEFT - 6, place);
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    for (const { at, label } of ticks(x, kind, 76)) {
      const place = Math.round(x.at(at)) + 0.5;
      context.moveTo(place, TOP);
      context.lineTo(place, height - BOTTOM);
      const half = context.measureText(label).width / 2;
      context.fillText(label, Math.min(place, width - half - 1), height - BOTTOM + 7);
    }
    context.stroke();
  }

  #line(context, { x, y, color: stroke, under, dash, faint, dots }) {
    const { x: sx, y: sy } = this.scaled;
    context.strokeStyle = context.fillStyle = stroke;
    context.globalAlpha = under ? 0.28 : faint ? 0.55 : 1;
    context.lineWidth = under ? 1 : 1.5;
    context.lineJoin = "bevel"; // round joins take several times as long without a graphics card
    context.setLineDash(dash ? [5, 4] : []);
    context.beginPath();
    const isDense = x.length > 2.2 * this.width;
    const path = dots ? new Dots(context) : isDense ? new ColumnPath(context) : new PlainPath(context);
    const [from, to] = [Math.max(0, nearest(x, sx.low) - 1), Math.min(x.length, nearest(x, sx.high) + 2)];
    for (let i = from; i < to; i++) {
      const value = y[i];
      if (!Number.isFinite(value) || (sy.isLog && value <= 0) || (sx.isLog && x[i] <= 0)) path.end();
      else path.add(sx.at(x[i]), sy.at(value));
    }
    path.end();
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  /** Fill the band around a line. */
  #area(context, { x, low, high, color: fill }) {
    const { x: sx, y: sy } = this.scaled;
    const height = (value) => sy.at(sy.isLog ? Math.max(value, sy.low) : value);
    const places = [...x.keys()].filter((i) => !(sx.isLog && x[i] <= 0));
    if (places.length < 2) return;
    context.fillStyle = fill;
    context.globalAlpha = 0.16;
    context.beginPath();
    for (const i of places) context.lineTo(sx.at(x[i]), height(high[i]));
    for (const i of places.reverse()) context.lineTo(sx.at(x[i]), height(low[i]));
    context.fill();
    context.globalAlpha = 1;
  }

  /** Mark NaN with a cross at the bottom, and infinities with an arrow at their end of the axis. */
  #marks(context, { x, y, color: stroke, marks }, height) {
    if (!marks) return;
    const { x: sx } = this.scaled;
    context.strokeStyle = context.fillStyle = stroke;
    context.lineWidth = 1.5;
    for (let i = 0; i < x.length; i++) {
      const value = y[i];
      if (Number.isFinite(value) || x[i] < sx.low || x[i] > sx.high) continue;
      const at = sx.at(x[i]);
      context.beginPath();
      if (Number.isNaN(value)) {
        const bottom = height - BOTTOM - 5;
        context.moveTo(at - 3, bottom - 3);
        context.lineTo(at + 3, bottom + 3);
        context.moveTo(at + 3, bottom - 3);
        context.lineTo(at - 3, bottom + 3);
        context.stroke();
      } else {
        const [tip, foot] = value > 0 ? [TOP - 4, TOP + 3] : [height - BOTTOM + 4, height - BOTTOM - 3];
        context.moveTo(at, tip);
        context.lineTo(at - 4, foot);
        context.lineTo(at + 4, foot);
        context.fill();
      }
    }
  }

  // --- cursor and zoom -----------------------------------------------------------------------------------

  #move(event) {
    if (this.scaled === null) return;
    const place = event.offsetX;
    this.place = Math.min(Math.max(place, LEFT), this.width - RIGHT);
    this.#share(this.scaled.x.invert(this.place), event.offsetY);
    if (this.pressed !== null) this.#band(this.pressed, this.place);
  }

  #share(value, height) {
    for (const plot of shared) {
      if (plot.scaled && plot.options.kind === this.options.kind) plot.point(value, plot === this, height);
    }
  }

  #leave() {
    this.pressed = null;
    for (const plot of shared) plot.point(null);
  }

  #press(event) {
    if (event.button || this.scaled === null) return;
    this.pressed = Math.min(Math.max(event.offsetX, LEFT), this.width - RIGHT);
    this.top.setPointerCapture(event.pointerId);
  }

  #release(event) {
    const from = this.pressed;
    this.pressed = null;
    if (from === null || this.scaled === null) return;
    const to = Math.min(Math.max(event.offsetX, LEFT), this.width - RIGHT);
    if (Math.abs(to - from) < 6) return;
    const { x } = this.scaled;
    this.onZoom(x.invert(Math.min(from, to)), x.invert(Math.max(from, to)));
  }

  #key(event) {
    if (this.scaled === null) return;
    const { x } = this.scaled;
    const width = this.width - LEFT - RIGHT;
    this.place ??= LEFT + width / 2;
    const middle = x.invert(this.place);
    const zoom = (factor) => {
      const from = x.invert(this.place - (this.place - LEFT) * factor);
      this.onZoom(from, x.invert(this.place + (this.width - RIGHT - this.place) * factor));
    };
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key in steps) {
      const by = (steps[event.key] * width) / (event.shiftKey ? 10 : 100);
      this.place = Math.min(Math.max(this.place + by, LEFT), this.width - RIGHT);
      this.#share(x.invert(this.place), TOP);
    } else if (event.key === "+" || event.key === "=") zoom(0.5);
    else if (event.key === "-") zoom(2);
    else if (event.key === "0" || event.key === "Escape") this.onZoom(null, null);
    else return;
    event.preventDefault();
    this.middle = middle;
  }

  #band(from, to) {
    const context = this.top.getContext("2d");
    context.fillStyle = color("--band");
    context.fillRect(Math.min(from, to), TOP, Math.abs(to - from), this.top.clientHeight - TOP - BOTTOM);
  }

  /** Show the cursor at an x; only the chart under the pointer has a tooltip. */
  point(value, isHere = false, height = 0) {
    const context = prepare(this.top, this.width, Math.max(80, this.host.clientHeight));
    if (value === null || !this.scaled || value < this.scaled.x.low || value > this.scaled.x.high) {
      this.tip.hidden = true;
      return;
    }
    const { x, y } = this.scaled;
    const found = [];
    for (const line of this.lines) {
      if (line.under || !line.x.length) continue;
      const at = nearest(line.x, value);
      found.push({ line, x: line.x[at], y: line.y[at], note: line.note?.(at) });
    }
    const place = Math.round(x.at(value)) + 0.5;
    context.strokeStyle = color("--dim");
    context.beginPath();
    context.moveTo(place, TOP);
    context.lineTo(place, this.host.clientHeight - BOTTOM);
    context.stroke();
    for (const one of found) {
      if (!Number.isFinite(one.y) || (y.isLog && one.y <= 0)) continue;
      context.fillStyle = one.line.color;
      context.beginPath();
      context.arc(x.at(one.x), y.at(one.y), 3.2, 0, 7);
      context.fill();
    }
    if (isHere) this.#tell(found, value, place, height);
    else this.tip.hidden = true;
  }

  #tell(found, value, place, height) {
    const away = (one) => (Number.isFinite(one.y) ? Math.abs(this.scaled.y.at(one.y) - height) : 1e9);
    const near = [...found].sort((a, b) => away(a) - away(b)).slice(0, 8);
    const rows = near.map((one) => {
      const swatch = h("span", { class: "swatch" });
      swatch.style.background = one.line.color;
      return h("div", {}, swatch, h("b", {}, formatNumber(one.y)), " ", one.line.label, one.note ? h("span", { class: "dim" }, ` ${one.note}`) : null);
    });
    const head = near.length ? near[0].x : value;
    this.tip.replaceChildren(h("div", { class: "dim" }, formatX(head, this.scaled.kind)), ...rows);
    if (found.length > near.length) this.tip.append(h("div", { class: "dim" }, `and ${found.length - near.length} more`));
    this.tip.hidden = false;
    this.tip.style.left = "0px"; // its width does not depend on its place
    const wide = this.tip.offsetWidth;
    const [after, before] = [place + 12, place - 12 - wide];
    const left = after + wide <= this.width ? after : before >= 0 ? before : Math.max(0, this.width - wide);
    this.tip.style.left = `${left}px`;
  }
}

/** A path through every point; a point without neighbors becomes a dot. */
class PlainPath {
  constructor(context) {
    this.context = context;
    this.count = 0;
  }

  add(x, y) {
    if (this.count++) this.context.lineTo(x, y);
    else this.context.moveTo(x, y);
    this.x = x;
    this.y = y;
  }

  end() {
    if (this.count === 1) this.context.rect(this.x - 1.5, this.y - 1.5, 3, 3);
    this.count = 0;
  }
}

/** A dot for each point. */
class Dots {
  constructor(context) {
    this.context = context;
  }

  add(x, y) {
    this.context.moveTo(x + 2.5, y);
    this.context.arc(x, y, 2.5, 0, 7);
  }

  end() {}
}

/** A path for more points than pixels: of each column of pixels, it goes through the first, least, greatest and last. */
class ColumnPath extends PlainPath {
  constructor(context) {
    super(context);
    this.column = null;
  }

  add(x, y) {
    const column = Math.round(x);
    if (column === this.column) {
      if (y < this.low) this.low = y;
      if (y > this.high) this.high = y;
      this.last = y;
      return;
    }
    this.flush();
    this.column = column;
    this.first = this.low = this.high = this.last = y;
  }

  flush() {
    if (this.column === null) return;
    super.add(this.column, this.first);
    if (this.low < this.first) super.add(this.column, this.low);
    if (this.high > this.low) super.add(this.column, this.high);
    if (this.last !== this.high) super.add(this.column, this.last);
    this.column = null;
  }

  end() {
    this.flush();
    super.end();
  }
}

/** Clear a canvas at the size and density of the screen, and return its context. */
function prepare(canvas, width, height) {
  const density = window.devicePixelRatio || 1;
  const [wide, tall] = [Math.round(width * density), Math.round(height * density)];
  if (canvas.width !== wide || canvas.height !== tall) [canvas.width, canvas.height] = [wide, tall];
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  return context;
}

const known = new Map();

/** A color of the theme. */
export function color(name) {
  if (!known.has(name)) known.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return known.get(name);
}

/** Draw all charts again in the colors of another theme. */
export function repaint() {
  known.clear();
  for (const plot of shared) plot.repaint?.() ?? plot.draw();
}

/** The color of the n-th line. */
export function lineColor(place) {
  return color(`--line-${place % 10}`);
}
