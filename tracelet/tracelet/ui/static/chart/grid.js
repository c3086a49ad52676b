// All charts of some runs: grouped by the first part of the name, drawn only near the visible part of the page.

import { follow } from "../api.js";
import { debounce, formatNumber, h, fill } from "../dom.js";
import { param, params, setParams } from "../state.js";
import { Card } from "./card.js";
import { groupKey } from "./series_lines.js";
import { choose, readShown, writeShown } from "./visibility.js";

const NEAR = "300px"; // around the visible part
const OPEN_GROUPS = 12; // groups that are open from the beginning
const AT_ONCE = 40; // cards that are made together: the first are drawn before the last of thousands are made

export class ChartGrid {
  /**
   * `runs` are {id, label, place, running}; `names` the metrics; `measured` those that collectors recorded; `fields` what
   * the runs can be grouped by, as [field, label].
   */
  constructor(runs, names, measured = new Set(), fields = []) {
    this.runs = runs;
    this.fields = fields;
    this.measured = measured;
    this.names = names;
    this.keys = runs.map((run) => run.id); // what can be hidden: the runs, or their groups
    this.cards = new Map();
    this.body = h("div", { class: "groups" });
    this.count = h("span", { class: "dim", role: "status" });
    this.controls = h("div", { class: "controls" });
    this.element = h("div", { class: "charts" }, this.controls, this.body);
    this.observer = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: NEAR });
    this.listenSoon = debounce(() => this.#listen(), 250);
    this.#makeControls();
    this.arrange();
  }

  destroy() {
    clearTimeout(this.placing);
    this.observer.disconnect();
    this.stop?.();
    for (const card of this.cards.values()) card.unmount();
  }

  /** The options that all charts share, from the address. */
  view = () => {
    const number = (name) => (param(name) === "" ? null : Number(param(name)));
    return {
      x: param("x", "step"),
      from: number("from"),
      to: number("to"),
      smoothing: Number(param("smooth", "0")),
      logX: param("logx") === "1",
      logY: param("logy") === "1",
      outliers: param("outliers") === "1",
      by: this.fields.length ? param("by") || null : null,
      band: param("band", "range"),
      shown: readShown(),
      log: new Set(params("log")), // charts for which something else than for all was chosen
      linear: new Set(params("linear")),
    };
  };

  /** The same for what collectors measured: their steps are ticks of a clock, so time takes the place of anything else. */
  viewByTime = () => {
    const view = this.view();
    return view.x === "step" || view.x.startsWith("metric:") ? { ...view, x: "relative", from: null, to: null, logX: false } : view;
  };

  #makeControls() {
    const search = h("input", {
      type: "search", class: "grow", placeholder: "search metrics (regular expression)", "aria-label": "Search metrics by regular expression",
      value: param("search"), oninput: debounce((event) => { setParams({ search: event.target.value }); this.arrange(); }, 120),
    });
    search.value = param("search");
    this.search = search;
    const axis = h("select", { class: "axis", "aria-label": "Horizontal axis", onchange: () => { setParams({ x: axis.value === "step" ? null : axis.value, from: null, to: null }); axis.title = titleOf(axis); this.#showReset(); this.reload(); } },
      [["step", "step"], ["relative", "relative time"], ["time", "wall time"]].map(([value, label]) => h("option", { value }, label)));
    this.axis = axis;
    this.#offerMetrics();
    const shown = h("output", {}, param("smooth", "0"));
    const smoothing = h("input", {
      type: "range", min: "0", max: "0.999", step: "0.001", "aria-label": "Smoothing",
      oninput: () => { fill(shown, smoothing.value); setParams({ smooth: Number(smoothing.value) || null }); this.redraw(); },
    });
    smoothing.value = param("smooth", "0");
    this.reset = h("button", { onclick: () => this.zoom(null, null) }, "reset zoom");
    fill(this.controls, search,
      h("label", {}, "x ", axis), this.#grouping(), h("label", {}, "smooth ", smoothing, shown),
      this.#toggle("logx", "log x"), this.#toggle("logy", "log y"), this.#toggle("outliers", "ignore outliers"),
      this.reset, this.count);
    this.#showReset();
  }

  /** Let x be any metric of the program. */
  #offerMetrics() {
    this.axis.querySelector("optgroup")?.remove();
    const own = this.names.filter((name) => !this.measured.has(name));
    if (own.length) this.axis.append(h("optgroup", { label: "a metric" }, own.map((name) => h("option", { value: `metric:${name}` }, name))));
    this.axis.value = param("x", "step");
    if (this.axis.selectedIndex < 0) this.axis.append(h("option", { value: param("x") }, param("x").replace(/^metric:/, "")));
    this.axis.value = param("x", "step");
    this.axis.title = titleOf(this.axis);
  }

  /** Show runs with the same value of a field as one curve with a band. */
  #grouping() {
    if (!this.fields.length) return null;
    const change = () => { setParams({ hide: null, only: null }); this.keys = this.runs.map((run) => run.id); this.onGroups?.([]); this.reload(); showBand(); by.title = titleOf(by); };
    const by = h("select", { class: "axis", "aria-label": "Group runs by", onchange: () => { setParams({ by: by.value || null }); change(); } },
      [["", "no groups"], ...this.fields].map(([value, label]) => h("option", { value }, label)));
    by.value = param("by");
    by.title = titleOf(by);
    const band = h("select", { "aria-label": "Band of a group", onchange: () => { setParams({ band: band.value === "range" ? null : band.value }); this.redraw(); } },
      [["range", "least to greatest"], ["std", "± standard deviation"]].map(([value, label]) => h("option", { value }, label)));
    band.value = param("band", "range");
    const showBand = () => (band.hidden = !by.value);
    showBand();
    return h("label", {}, "group by ", by, band);
  }

  #toggle(name, label) {
    const box = h("input", { type: "checkbox", onchange: () => { setParams({ [name]: box.checked ? "1" : null }); this.redraw(); } });
    box.checked = param(name) === "1";
    return h("label", {}, box, label);
  }

  #showReset() {
    this.reset.hidden = param("from") === "" && param("to") === "";
  }

  zoom = (first, last) => {
    setParams({ from: first, to: last });
    this.#showReset();
    this.reload();
  };

  /** Choose something for one chart; the address has a list of names for each option. */
  setOption = (name, option, isOn) => {
    const others = params(option).filter((one) => one !== name);
    setParams({ [option]: isOn ? [...others, name] : others });
  };

  /** Hide or show a run or a group in all charts, or show it alone. */
  choose = (key, alone) => {
    this.showOnly(choose(this.keys, readShown(), key, alone));
  };

  showAll = () => this.showOnly(this.keys);

  showOnly(wanted) {
    writeShown(this.keys, wanted);
    this.redraw();
    this.onShown?.(readShown());
  }

  redraw() {
    for (const card of this.cards.values()) card.show();
  }

  reload() {
    for (const card of this.cards.values()) card.load();
  }

  /** Lay the charts out again, after a search or with new metrics. */
  arrange() {
    let matches;
    try {
      const pattern = new RegExp(param("search"), "i");
      matches = this.names.filter((name) => pattern.test(name));
      this.search?.removeAttribute("aria-invalid");
    } catch (error) {
      this.search.setAttribute("aria-invalid", "true");
      fill(this.count, `not a regular expression: ${error.message.split(": ").at(-1)}`);
      return;
    }
    matches.sort((a, b) => this.measured.has(a) - this.measured.has(b)); // stable: the program's own come first
    const groups = Map.groupBy ? Map.groupBy(matches, prefix) : groupBy(matches, prefix);
    const closed = new Set(params("fold"));
    const wanted = new Set(matches);
    for (const [name, card] of this.cards) if (!wanted.has(name)) card.unmount();
    this.due = []; // {inside, names}: cards that are still to be made
    const sections = [...groups].map(([group, names], at) => this.#section(group, names, closed, at));
    fill(this.body, sections.length ? sections : h("p", { class: "empty" }, this.names.length ? "no metric matches" : this.runs.some((run) => run.running) ? "no metrics yet" : "no metrics were logged"));
    fill(this.count, `${formatNumber(matches.length)} of ${formatNumber(this.names.length)} charts`);
    this.#placeSome();
  }

  /** Make some of the cards that are due, and the others after the browser had time to draw. */
  #placeSome() {
    clearTimeout(this.placing);
    let left = AT_ONCE;
    for (; this.due.length; this.due.shift()) {
      const { inside, names } = this.due[0];
      while (names.length && (left > 0 || this.cards.has(names[0]))) { // those that were there are put back at once
        const name = names.shift();
        left -= !this.cards.has(name);
        const card = this.#card(name);
        inside.append(card.element);
        this.observer.observe(card.element);
      }
      if (names.length) break;
    }
    if (this.due.length) this.placing = setTimeout(() => this.#placeSome(), 0);
  }

  #section(group, names, closed, at) {
    const isUsual = at < OPEN_GROUPS || param("search") !== "";
    const isOpen = !closed.has(group) && (isUsual || params("unfold").includes(group));
    const inside = h("div", { class: "cards" });
    const section = h("details", { class: "group", open: isOpen, ontoggle: () => toggled() },
      h("summary", {}, h("h2", { title: group }, group), h("span", { class: "dim" }, formatNumber(names.length))), inside);
    let wasOpen = isOpen; // the event also comes for what is open from the beginning
    const toggled = () => {
      if (section.open === wasOpen) return;
      wasOpen = section.open;
      this.setOption(group, "fold", !section.open && isUsual);
      this.setOption(group, "unfold", section.open && !isUsual);
      if (!section.open || isPlaced) return;
      place();
      this.#placeSome();
    };
    let isPlaced = false;
    const place = () => {
      isPlaced = true;
      this.due.push({ inside, names: [...names] });
    };
    if (isOpen) place();
    return section;
  }

  #card(name) {
    if (!this.cards.has(name)) {
      const isMeasured = this.measured.has(name);
      const card = new Card(name, this.runs, isMeasured ? this.viewByTime : this.view, { zoom: this.zoom, set: this.setOption, choose: this.choose }, params("large").includes(name));
      card.element.card = card;
      card.onLoad = () => this.#loaded(card);
      this.cards.set(name, card);
    }
    return this.cards.get(name);
  }

  #loaded({ groups }) {
    this.listenSoon();
    if (groups.length) this.keys = groups.map(groupKey);
    this.onGroups?.(groups);
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) target.card.mount();
      else target.card.unmount();
    }
    this.listenSoon();
  }

  // --- live -------------------------------------------------------------------------------------------

  /** Follow the visible charts of the runs that are still recording. */
  #listen() {
    this.stop?.();
    this.stop = undefined;
    const running = this.runs.filter((run) => run.running);
    if (!running.length) return;
    const cursors = Object.fromEntries(running.map((run) => [run.id, {}]));
    for (const card of this.cards.values()) {
      for (const [run, cursor] of Object.entries(card.cursors)) if (run in cursors && cursor) cursors[run][card.name] = cursor;
    }
    this.stop = follow({ cursors, on: { points: (data) => this.#take(data), run: (data) => this.#changed(data) } });
  }

  #take({ run, series }) {
    for (const one of series) this.cards.get(one.name)?.append(run, one);
  }

  #changed(data) {
    const run = this.runs.find((one) => one.id === data.id);
    if (run && data.outcome !== "running") run.running = false;
    this.onRun?.(data);
  }

  /** Take the metrics that exist now. */
  setNames(names) {
    if (names.length === this.names.length && names.every((name, i) => name === this.names[i])) return;
    this.names = names;
    this.#offerMetrics();
    this.arrange();
  }
}

const titleOf = (select) => select.selectedOptions[0]?.label ?? "";

/** The group of a metric: everything before its first slash. */
export function prefix(name) {
  const at = name.indexOf("/");
  return at > 0 ? name.slice(0, at) : "metrics";
}

function groupBy(items, key) {
  const found = new Map();
  for (const item of items) {
    if (!found.has(key(item))) found.set(key(item), []);
    found.get(key(item)).push(item);
  }
  return found;
}

