// One chart of one metric, of one or several runs: it loads what its width and range need, and takes live points.

import { debounce, fill, formatNumber, h, plural, throttle } from "../dom.js";
import { loadSeries } from "./loader.js";
import { Plot, lineColor } from "./plot.js";
import { ghostNote, groupLabel, groupLine, runLines } from "./series_lines.js";

const MOST_APPENDED = 2000; // live points after which the series is loaded again, downsampled
const MOST_NAMED = 4; // runs in a legend
const AGAIN = 1500; // milliseconds between two looks at what cannot be appended to: groups, and x = another metric

export class Card {
  /** `runs` are {id, label, place}; `view()` returns the options that all charts share; `onZoom(first, last)`. */
  constructor(name, runs, view, onZoom) {
    this.name = name;
    this.runs = runs;
    this.view = view;
    this.onZoom = onZoom;
    this.logY = null; // as all charts, unless chosen here
    this.series = new Map(); // by run
    this.bands = []; // of groups of runs, if they are shown as groups
    this.groups = [];
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
    this.refreshLater = throttle(() => this.load(), AGAIN);
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
    this.bands = [];
    this.request = null;
    this.element.removeAttribute("data-ready");
  }

  /** Load what the current range needs. */
  async load() {
    if (!this.isMounted) return;
    const { x, from, to, by } = this.view();
    const view = { x, from, to, by, pixels: Math.min(2000, Math.max(100, Math.round(this.plot.width))) };
    const request = (this.request = {});
    this.show();
    try {
      const { series, groups } = await loadSeries(this.runs.map((run) => run.id), this.name, view);
      if (request !== this.request || !this.isMounted) return; // there is a newer one
      this.series = new Map(by ? [] : series.map((one) => [one.run, { ...one, appended: 0, kind: x }]));
      this.bands = by ? series : [];
      this.groups = groups;
      this.loaded = true;
      this.failed = null;
      this.element.setAttribute("data-ready", "");
      this.onLoad?.();
    } catch (error) {
      this.failed = error.message;
    }
    this.show();
  }

  /** By run, the cursor behind what is loaded. */
  get cursors() {
    const own = [...this.series].map(([run, one]) => [run, one.cursor]);
    return Object.fromEntries([...own, ...this.bands.flatMap((band) => Object.entries(band.cursors))]);
  }

  /** Take points that were just recorded. */
  append(run, { steps, values, times, relative, lost, cursor }) {
    const { x, by } = this.view();
    if (by || x.startsWith("metric:")) {
      this.refreshLater();
      return;
    }
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
    const { x, from, to, smoothing, logX, logY, outliers, by, band } = this.view();
    const isShown = (run) => this.series.has(run.id);
    const lines = by
      ? this.bands.map((one) => groupLine(one, this.groups[one.group], band, smoothing))
      : this.runs.filter(isShown).flatMap((run) => runLines(this.series.get(run.id), run, smoothing));
    const isLog = this.logY ?? logY;
    this.logButton.setAttribute("aria-pressed", String(isLog));
    this.plot.set(lines, { kind: x, logX, logY: isLog, outliers, first: from, last: to, loading: !this.loaded });
    const { parts, texts } = by ? this.#describeGroups() : this.#describeRuns();
    if (this.failed) parts.push(h("span", { class: "warn" }, this.failed));
    fill(this.legend, parts);
    const what = plural(texts.length, by ? "group" : "run");
    this.plot.top.setAttribute("aria-label", `${this.name}: line chart of ${what}. ${texts.slice(0, 10).join("; ")}`);
  }

  #describeRuns() {
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
      if (this.runs.length <= MOST_NAMED) parts.push(entry(lineColor(run.place), this.runs.length > 1 ? run.label : "", last));
      if (odd) parts.push(h("span", { class: "entry warn" }, `${formatNumber(odd)} not finite`));
      for (const ghost of one.ghosts) parts.push(ghostNote(ghost));
    }
    return { parts, texts };
  }

  #describeGroups() {
    const parts = [];
    const texts = [];
    for (const one of this.bands.filter((band) => band.x.length)) {
      const label = groupLabel(this.groups[one.group]);
      const last = one.mean.at(-1);
      texts.push(`${label}: mean ${formatNumber(last)} of ${plural(one.runs.at(-1), "run")}, from ${formatNumber(min(one.low))} to ${formatNumber(max(one.high))}`);
      if (this.bands.length <= MOST_NAMED) parts.push(entry(lineColor(one.group), label, last));
      if (one.not_finite) parts.push(h("span", { class: "entry warn" }, `${label}: ${formatNumber(one.not_finite)} not finite, left out`));
    }
    return { parts, texts };
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

function entry(color, label, value) {
  const swatch = h("span", { class: "swatch" });
  swatch.style.background = color;
  return h("span", { class: "entry" }, swatch, label ? h("span", {}, label) : null, h("b", {}, formatNumber(value)));
}
