// One chart of one metric, of one or several runs: it loads what its width and range need, and takes live points.

import { debounce, fill, formatNumber, h, plural, shortenMiddle, throttle } from "../dom.js";
import { loadSeries } from "./loader.js";
import { lineColor, lineDash, swatch } from "./palette.js";
import { Plot } from "./plot.js";
import { ghostNote, groupKey, groupLabel, groupLine, hiddenNotes, runLines } from "./series_lines.js";

const MOST_APPENDED = 2000; // live points after which the series is loaded again, downsampled
const MOST_NAMED = 4; // runs in a legend
const AGAIN = 1500; // milliseconds between two looks at what cannot be appended to: groups, and x = another metric

export class Card {
  /**
   * `runs` are {id, label, place}; `view()` returns the options that all charts share. `on` has `zoom(first, last)`,
   * `set(name, option, value)` for what is chosen for one chart, and `choose(key, alone)` to hide or isolate a run.
   */
  constructor(name, runs, view, on, isLarge = false) {
    this.name = name;
    this.runs = runs;
    this.view = view;
    this.on = on;
    this.series = new Map(); // by run
    this.bands = []; // of groups of runs, if they are shown as groups
    this.groups = [];
    this.plotHost = h("div", { class: "plot" });
    this.legend = h("div", { class: "legend", tabindex: "-1" });
    this.logButton = h("button", { class: "quiet", title: "Logarithmic y axis", "aria-pressed": "false", onclick: () => this.#toggleLog() }, "log");
    this.wideButton = h("button", { class: "quiet", title: "Large", "aria-label": `Show ${name} large`, onclick: () => this.#toggleWide() }, "⤢");
    this.element = h(
      "section", { class: isLarge ? "card wide" : "card", "data-name": name, "aria-label": name },
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
    this.plot = new Plot(this.plotHost, { onZoom: this.on.zoom, label: `${this.name}: line chart` });
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
    const view = { x, from, to, by, pixels: Math.min(2000, Math.max(100, Math.round(this.plot.width))) * (by ? 2 : 1) };
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

  /** The logarithmic y axis of all charts, unless another was chosen for this one. */
  get isLog() {
    const { logY, log, linear } = this.view();
    return log.has(this.name) || (logY && !linear.has(this.name));
  }

  /** Draw what is loaded. */
  show() {
    if (!this.isMounted) return;
    const { x, from, to, smoothing, logX, outliers, by, band, shown } = this.view();
    const lines = by
      ? this.bands.filter((one) => shown(groupKey(this.groups[one.group]))).map((one) => groupLine(one, this.groups[one.group], band, smoothing))
      : this.runs.filter((run) => this.series.has(run.id) && shown(run.id)).flatMap((run) => runLines(this.series.get(run.id), run, smoothing));
    this.logButton.setAttribute("aria-pressed", String(this.isLog));
    this.plot.set(lines, { kind: x, logX, logY: this.isLog, outliers, first: from, last: to, empty: this.#sayEmpty(lines) });
    const { parts, texts } = by ? this.#describeGroups() : this.#describeRuns();
    const notes = hiddenNotes(this.plot.hidden);
    if (parts.some((part) => part.querySelector?.("b"))) parts.unshift(h("span", { class: "entry dim" }, lastWord(x, from, to)));
    parts.push(...notes.map((note) => h("span", { class: "entry warn" }, note)));
    if (this.failed) parts.push(h("span", { class: "warn" }, this.failed));
    this.#fillLegend(parts);
    const what = plural(texts.length, by ? "group" : "run");
    this.plot.top.setAttribute("aria-label", `${this.name}: line chart of ${what}. ${[...texts.slice(0, 10), ...notes].join("; ")}`);
  }

  /** Fill the legend; the button that has the focus keeps it. */
  #fillLegend(parts) {
    const key = this.legend.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
    fill(this.legend, parts);
    if (key !== undefined) [...this.legend.querySelectorAll("button")].find((one) => one.dataset.key === key)?.focus();
  }

  /** What a chart says that has nothing to draw. */
  #sayEmpty(lines) {
    const { x, from, to, by } = this.view();
    if (this.failed) return this.failed;
    if (!this.loaded) return "loading …";
    const known = by ? this.bands : [...this.series.values()];
    if (!lines.length && known.length) return `all ${by ? "groups" : "runs"} with this metric are hidden`;
    if (x.startsWith("metric:")) return `no points where ${x.slice(7)} has a value`;
    if (from !== null || to !== null) return "no points in this range";
    return known.length || this.runs.length < 2 ? "no points" : "none of the runs has this metric";
  }

  #describeRuns() {
    const { from, to, shown } = this.view();
    const parts = [];
    const texts = [];
    for (const run of this.runs) {
      const one = this.series.get(run.id);
      if (!one?.values.length) continue;
      const isShown = shown(run.id);
      const last = one.values[lastWithin(one.x, from, to)];
      if (this.runs.length <= MOST_NAMED) parts.push(this.#entry(run.id, run.place, this.runs.length > 1 ? run.label : "", last, isShown));
      if (!isShown) continue;
      const finite = one.values.filter(Number.isFinite);
      const odd = one.values.length - finite.length;
      const range = finite.length ? `, from ${formatNumber(min(finite))} to ${formatNumber(max(finite))}` : "";
      if (last === undefined) continue;
      texts.push(`${run.label}: last ${formatNumber(last)}${range}`);
      if (odd) parts.push(h("span", { class: "entry warn" }, `${one.means ? "at least " : ""}${formatNumber(odd)} not finite`));
      for (const ghost of one.ghosts) parts.push(ghostNote(ghost));
    }
    return { parts, texts };
  }

  #describeGroups() {
    const { from, to, shown } = this.view();
    const parts = [];
    const texts = [];
    for (const one of this.bands.filter((band) => band.x.length)) {
      const label = groupLabel(this.groups[one.group]);
      const key = groupKey(this.groups[one.group]);
      const at = lastWithin(one.x, from, to);
      if (this.bands.length <= MOST_NAMED) parts.push(this.#entry(key, one.group, label, one.mean[at], shown(key)));
      if (!shown(key) || at < 0) continue;
      texts.push(`${label}: mean ${formatNumber(one.mean[at])} of ${plural(one.runs[at], "run")}, from ${formatNumber(min(one.low))} to ${formatNumber(max(one.high))}`);
      if (one.not_finite) parts.push(h("span", { class: "entry warn" }, `${label}: ${formatNumber(one.not_finite)} not finite, left out`));
    }
    return { parts, texts };
  }

  /** A run or a group with its last value; a click hides or shows it in all charts. */
  #entry(key, place, label, value, isShown) {
    const inside = [swatch(lineColor(place), lineDash(place)), label ? h("span", { class: "label" }, shortenMiddle(label, 40)) : null, isShown ? h("b", {}, value === undefined ? "–" : formatNumber(value)) : null];
    if (!label || !this.on.choose) return h("span", { class: "entry" }, inside);
    return h("button", {
      class: "entry toggle", "data-key": key, title: label, "aria-pressed": String(isShown),
      onclick: (event) => this.on.choose(key, event.altKey), ondblclick: () => this.on.choose(key, true),
    }, inside);
  }

  #toggleLog() {
    const { logY } = this.view();
    const wanted = !this.isLog;
    this.on.set(this.name, "log", wanted && !logY);
    this.on.set(this.name, "linear", !wanted && logY);
    this.show();
  }

  #toggleWide() {
    this.on.set(this.name, "large", this.element.classList.toggle("wide"));
    this.refreshSoon();
  }
}

const min = (values) => values.reduce((a, b) => Math.min(a, b));
const max = (values) => values.reduce((a, b) => Math.max(a, b));

/** The place of the last x in a range, -1 if there is none. */
function lastWithin(x, from, to) {
  const at = to === null ? x.length - 1 : x.findLastIndex((one) => one <= to);
  return from === null || x[at] >= from ? at : -1;
}

/** What the numbers of a legend are. */
function lastWord(x, from, to) {
  if (x.startsWith("metric:")) return "rightmost";
  return from === null && to === null ? "last" : "last in the range";
}
