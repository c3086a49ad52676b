// A line chart on a canvas: axes, lines, marks for what is not a number, a cursor, and a range to zoom into.

import { h } from "../dom.js";
import { layOut } from "./layout.js";
import { paintAxes, paintLines, paintText, prepare } from "./painting.js";
import { color, forgetColors, lineColor } from "./palette.js";
import { fillTooltip, findPoints } from "./tooltip.js";

export { lineColor };

const shared = new Set(); // the mounted charts, which share a cursor

/**
 * Draws lines: {label, color, x, y, under, dash, faint, marks, low, high, note, span, raw}. `under` lines are drawn pale
 * behind the others and are left out of the tooltip. `marks` lines have marks for what is not finite, or has no place on
 * a log axis. `low` and `high` are the edges of a band around a line. The tooltip adds `note(place)`, the range of x
 * `span(place)` that a mean is of, and the points `raw` that a smoothed line is made of.
 * Calls `onZoom(first, last)`, with null for all.
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
    this.scaled = null;
    this.pressed = null;
    this.hover = null; // where the cursor is: {place, height}
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

  /** Show lines. Options: kind, logX, logY, first, last, outliers, empty (what to say without points). */
  set(lines, options) {
    this.lines = lines;
    this.options = options;
    this.draw();
  }

  get width() {
    return Math.max(80, this.host.clientWidth);
  }

  get height() {
    return Math.max(80, this.host.clientHeight);
  }

  /** How many points have no place on a log axis: {x, y, isAtLeast, isAll}. */
  get hidden() {
    return this.scaled?.hidden ?? { x: 0, y: 0, isAtLeast: false, isAll: false };
  }

  draw() {
    const { width, height } = this;
    this.drawnSize = `${this.host.clientWidth} ${this.host.clientHeight}`;
    const context = prepare(this.base, width, height);
    prepare(this.top, width, height);
    this.scaled = layOut(this.lines, this.options, width, height, (text) => context.measureText(text).width);
    if (this.scaled === null) paintText(context, this.options.empty ?? "no points", width, height);
    else {
      paintAxes(context, this.scaled);
      paintLines(context, this.lines, this.scaled, width);
      if (this.scaled.isEmpty) paintText(context, "no points in this range", width, height);
      if (this.hidden.isAll) paintText(context, "a log axis has no place for values at or below 0", width, height);
    }
    this.#pointAgain();
  }

  // --- cursor and zoom -----------------------------------------------------------------------------------

  /** A pixel inside the axes. */
  #inside(pixel) {
    return Math.min(Math.max(pixel, this.scaled.left), this.scaled.right);
  }

  #move(event) {
    if (this.scaled === null) return;
    this.place = this.#inside(event.offsetX);
    this.#hoverAt(this.place, event.offsetY);
    if (this.pressed !== null) this.#band(this.pressed, this.place);
  }

  #hoverAt(place, height) {
    for (const plot of shared) plot.hover = null;
    this.hover = { place, height };
    const { x } = this.scaled;
    const value = Math.min(x.high, Math.max(x.low, x.invert(place)));
    for (const plot of shared) {
      if (plot.scaled && plot.options.kind === this.options.kind) plot.point(value, plot === this, height);
    }
  }

  #leave() {
    this.pressed = null;
    for (const plot of shared) {
      plot.hover = null;
      plot.point(null);
    }
  }

  /** After drawing, what the cursor says is that of the new lines and the new range. */
  #pointAgain() {
    if (this.hover && this.scaled) this.point(this.scaled.x.invert(this.#inside(this.hover.place)), true, this.hover.height);
    else this.tip.hidden = true;
  }

  #press(event) {
    if (event.button || this.scaled === null) return;
    this.pressed = this.#inside(event.offsetX);
    this.top.setPointerCapture(event.pointerId);
  }

  #release(event) {
    const from = this.pressed;
    this.pressed = null;
    if (from === null || this.scaled === null) return;
    const to = this.#inside(event.offsetX);
    if (Math.abs(to - from) < 6) return;
    const { x } = this.scaled;
    this.onZoom(x.invert(Math.min(from, to)), x.invert(Math.max(from, to)));
  }

  #key(event) {
    if (this.scaled === null) return;
    const { x, left, right, top } = this.scaled;
    const width = right - left;
    this.place ??= left + width / 2;
    const zoom = (factor) => {
      const from = x.invert(this.place - (this.place - left) * factor);
      this.onZoom(from, x.invert(this.place + (right - this.place) * factor));
    };
    const steps = { ArrowLeft: -1, ArrowRight: 1 };
    if (event.key in steps) {
      const by = (steps[event.key] * width) / (event.shiftKey ? 10 : 100);
      this.place = this.#inside(this.place + by);
      this.#hoverAt(this.place, top);
    } else if (event.key === "+" || event.key === "=") zoom(0.5);
    else if (event.key === "-") zoom(2);
    else if (event.key === "0" || event.key === "Escape") this.onZoom(null, null);
    else return;
    event.preventDefault();
  }

  #band(from, to) {
    const { top, bottom } = this.scaled;
    const context = this.top.getContext("2d");
    context.fillStyle = color("--band");
    context.fillRect(Math.min(from, to), top, Math.abs(to - from), bottom - top);
  }

  /** Show the cursor at an x; only the chart under the pointer has a tooltip. */
  point(value, isHere = false, height = 0) {
    const context = prepare(this.top, this.width, this.height);
    this.tip.hidden = true;
    if (value === null || !this.scaled || value < this.scaled.x.low || value > this.scaled.x.high) return;
    const { x, y, top, bottom } = this.scaled;
    const found = findPoints(this.lines, value, this.scaled);
    const place = Math.round(x.at(value)) + 0.5;
    context.strokeStyle = color("--dim");
    context.beginPath();
    context.moveTo(place, top);
    context.lineTo(place, bottom);
    context.stroke();
    for (const one of found) {
      if (!Number.isFinite(one.y) || (y.isLog && one.y <= 0) || (x.isLog && one.x <= 0)) continue;
      context.fillStyle = one.line.color;
      context.beginPath();
      context.arc(x.at(one.x), y.at(one.y), 3.2, 0, 7);
      context.fill();
    }
    if (isHere) this.#tell(found, value, place, height);
  }

  #tell(found, value, place, height) {
    const below = window.innerHeight - this.host.getBoundingClientRect().top - 16;
    fillTooltip(this.tip, found, value, height, this.scaled, Math.max(this.height, below));
    this.tip.hidden = false;
    this.tip.style.left = "0px"; // its width does not depend on its place
    const wide = this.tip.offsetWidth;
    const [after, before] = [place + 12, place - 12 - wide];
    const left = after + wide <= this.width ? after : before >= 0 ? before : Math.max(0, this.width - wide);
    this.tip.style.left = `${left}px`;
  }
}

/** Draw all charts again in the colors of another theme. */
export function repaint() {
  forgetColors();
  for (const plot of shared) plot.repaint?.() ?? plot.draw();
}
