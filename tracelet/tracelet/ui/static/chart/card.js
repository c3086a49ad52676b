// One chart of one metric, of one or several runs: it loads what its width and range need, and takes live points.

import { debounce, formatNumber, h, fill, plural } from "../dom.js";
import { loadSeries } from "./loader.js";
import { Plot, lineColor } from "./plot.js";
import { smooth } from "./smooth.js";

const MOST_APPENDED = 2000; // live points after which the series is loaded again, downsampled
const MOST_NAMED = 4; // runs in a legend

export class Card {
  /** `runs` are {id, label, place}; `view()` returns the options that all charts share; `onZoom(first, last)`. */
  constructor(name, runs, view, onZoom) {
    this.name = name;
    this.runs = runs;
    this.view = view;
    this.onZoom = onZoom;
    this.logY = null; // as all charts, unless chosen here
    this.series = new Map();
    this.plotHost = h("div", { class: "plot" });
    this.legend = h("div", { class: "legend" });
    this.logButton = h("button", { class: "quiet", title: "Logarithmic y axis", "aria-pressed": "false", onclick: () => this.#toggleLog() }, "log");
    this.wideButton = h("button", { class: "quiet", title: "Large", "aria-label": `Show ${name} large`, onclick: () => this.#toggleWide() }, "⤢");
    this.element = h(
      "section", { class: "card", "data-name": name, "aria-label": name },
      h("header", {}, h("h3", { title: name }, name), this.logButton, this.wideButton),
      this.plotHost, this.legend,
    );
    this.refreshSoon = debounce(() => this.load(), 80);
    this.queued = false;
  }

  get isMounted() {
    return this.plot !== undefined;
  }

  /** Draw it; called when it comes near the visible part of the page. */
  mount() {
    if (this.isMounted) return;
    this.plot = new Plot(this.plotHost, { onZoom: this.onZoom, label: `${this.name}: line chart` });
    this.plot.repaint = () => this.show();
    this.load();
  }

  /** Let go of everything but the frame. */
  unmount() {
    if (!this.isMounted) return;
    this.plot.destroy();
    this.plot = undefined;
    this.series.clear();
    this.request = null;
    this.element.removeAttribute("data-ready");
  }

  /** Load what the current range needs. */
  async load() {
    if (!this.isMounted) return;
    const { x, from, to } = this.view();
    const view = { x, from, to, pixels: Math.min(2000, Math.max(100, Math.round(this.plot.width))) };
    const request = (this.request = {});
    this.show();
    try {
      const found = await loadSeries(this.runs.map((run) => run.id), this.name, view);
      if (request !== this.request || !this.isMounted) return; // there is a newer one
      this.series = new Map(found.map((one) => [one.run, { ...one, appended: 0, kind: x }]));
      this.loaded = true;
      this.failed = null;
      this.element.setAttribute("data-ready", "");
      this.onLoad?.();
    } catch (error) {
      this.failed = error.message;
    }
    this.show();
  }

  /** Take points that were just recorded. */
  append(run, { steps, values, times, relative, lost, cursor }) {
    const known = this.series.get(run);
    if (lost || !known || known.appended > MOST_APPENDED) {
      this.refreshSoon();
      return;
    }
    const xs = { step: steps, time: times, relative }[known.kind];
    const isBehind = known.x.length && xs[0] < known.x.at(-1);
    values.forEach((value, i) => {
      known.x.push(xs[i]);
      known.values.push(Number(value));
      known.means?.x.push(xs[i]);
      known.means?.values.push(Number(value));
    });
    known.appended += values.length;
    known.count += values.length;
    known.cursor = cursor;
    if (isBehind) this.refreshSoon();
    this.#showSoon();
  }

  #showSoon() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      this.show();
    });
  }

  /** Draw what is loaded. */
  show() {
    if (!this.isMounted) return;
    const { x, from, to, smoothing, logX, logY, outliers } = this.view();
    const lines = [];
    for (const run of this.runs) {
      const one = this.series.get(run.id);
      if (one) lines.push(...linesOf(one, run, smoothing));
    }
    const isLog = this.logY ?? logY;
    this.logButton.setAttribute("aria-pressed", String(isLog));
    this.plot.set(lines, { kind: x, logX, logY: isLog, outliers, first: from, last: to, loading: !this.loaded });
    this.#describe();
  }

  #describe() {
    const parts = [];
    const texts = [];
    for (const run of this.runs) {
      const one = this.series.get(run.id);
      if (!one?.values.length) continue;
      const finite = one.values.filter(Number.isFinite);
      const last = one.values.at(-1);
      const odd = one.values.length - finite.length;
      const range = finite.length ? `, from ${formatNumber(min(finite))} to ${formatNumber(max(finite))}` : "";
      texts.push(`${run.label}: last ${formatNumber(last)}${range}`);
      if (this.runs.length <= MOST_NAMED) {
        const swatch = h("span", { class: "swatch" });
        swatch.style.background = lineColor(run.place);
        parts.push(h("span", { class: "entry" }, swatch, this.runs.length > 1 ? `${run.label} ` : "", h("b", {}, formatNumber(last))));
      }
      if (odd) parts.push(h("span", { class: "entry warn" }, `${formatNumber(odd)} not finite`));
      for (const ghost of one.ghosts) parts.push(ghostNote(ghost));
    }
    if (this.failed) parts.push(h("span", { class: "warn" }, this.failed));
    fill(this.legend, parts);
    const runs = plural(texts.length, "run");
    this.plot.top.setAttribute("aria-label", `${this.name}: line chart of ${runs}. ${texts.slice(0, 10).join("; ")}`);
  }

  #toggleLog() {
    this.logY = !(this.logY ?? this.view().logY);
    this.show();
  }

  #toggleWide() {
    this.element.classList.toggle("wide");
    this.refreshSoon();
  }
}

const min = (values) => values.reduce((a, b) => Math.min(a, b));
const max = (values) => values.reduce((a, b) => Math.max(a, b));

function linesOf(one, run, smoothing) {
  const color = lineColor(run.place);
  const raw = { label: run.label, color, x: one.x, y: one.values, marks: true };
  const ghosts = one.ghosts.map((ghost) => ({
    label: `${run.label}, attempt ${ghost.attempt}, recomputed`, color, x: ghost.x, y: ghost.values, dash: true, faint: true,
  }));
  if (!(smoothing > 0)) return [...ghosts, raw];
  const base = one.means ?? { x: one.x, values: one.values };
  return [...ghosts, { ...raw, under: true }, { label: run.label, color, x: base.x, y: smooth(base.x, base.values, smoothing) }];
}

/** What a resumed run computed twice, and how far the two differ. */
function ghostNote(ghost) {
  const steps = plural(ghost.shared_steps, "step");
  const apart = Number(ghost.deviation);
  if (Number.isNaN(apart)) return h("span", { class: "entry ghost" }, `attempt ${ghost.attempt}: replaced`);
  const text = apart === 0 ? "identical" : `differ by up to ${formatNumber(apart)} (step ${formatNumber(ghost.at_step)})`;
  return h("span", { class: "entry ghost" }, `${steps} recomputed: ${text}`);
}
