// The table of all runs: only the visible rows exist, and only their pages are fetched.

import { LostError, address, follow, get } from "../api.js";
import { debounce, exactText, fill, formatDuration, formatNumber, formatTime, glance, h, notify, outcomeBadge, plural, put } from "../dom.js";
import { fieldOf, parseField } from "../fields.js";
import { go, noteTable, param, params, recall, remember, setParams } from "../state.js";
import { editSeveral } from "./bulk.js";
import { chooseColumns } from "./columns.js";
import { editRun } from "./edit.js";
import { exportMenu, groupingSelect, viewsMenu } from "./table_controls.js";
import { RowLayout, keyOf } from "./row_layout.js";
import { MOST_TOGETHER, Selection } from "./selection.js";

const ROW = 34; // pixels
const PAGE = 100; // rows in one request
const BUSY = "input, select, textarea, button, summary, a, [contenteditable]"; // what uses keys itself
const MOST_PINNED = 4; // more would leave no room for what scrolls
const BUILT_IN = {
  outcome: ["outcome", (run) => outcomeBadge(run.outcome)],
  project: ["project", (run) => run.project],
  started: ["started", (run) => formatTime(run.started_at)],
  duration: ["took", (run) => formatDuration(run.duration)],
  host: ["host", (run) => run.host ?? "–"],
  group: ["group", (run) => run.group ?? "–"],
  job_type: ["job type", (run) => run.job_type ?? "–"],
  notes: ["notes", (run) => run.notes ?? "–"],
};

/** Show the table. Returns a function that ends it. */
export async function showRuns(main) {
  document.title = "runs · tracelet";
  main.className = "full";
  noteTable();
  const table = new RunsTable(await firstColumns());
  put(main, table.element);
  await table.load();
  table.follow();
  return () => table.destroy();
}

async function firstColumns() {
  const chosen = params("col");
  if (chosen.length) return chosen;
  const known = recall("columns", null);
  if (known) return known;
  const { params: names, metrics } = await get("/fields", { newest: 20 });
  const own = metrics.filter((name) => !/^(system|python|gpu)\//.test(name));
  return ["outcome", "started", "duration", ...names.slice(0, 4).map((name) => fieldOf("params", name)), ...own.slice(0, 4).map((name) => fieldOf("metrics", name))];
}

class RunsTable {
  constructor(columns) {
    const pinned = params("pin");
    this.pinned = (pinned.length || params("col").length ? pinned : recall("pins", [])).slice(0, MOST_PINNED);
    this.columns = this.#ordered(columns);
    this.pages = new Map(); // page number to rows, or a promise of them
    this.total = 0;
    this.version = ""; // of the list that is shown
    this.layout = new RowLayout(0, null, new Set());
    this.folded = new Set(params("fold"));
    this.active = 0;
    this.chosen = new Selection();
    this.anchor = 0; // the row from which a range of rows is selected
    this.ids = null; // of all runs in the order of the table, once they were needed
    this.body = h("tbody");
    this.head = h("thead");
    this.scroller = h("div", { class: "tablewrap", onscroll: () => this.drawSoon() },
      h("table", { class: "runs", role: "grid", "aria-label": "Runs", tabindex: "0" }, this.head, this.body));
    this.status = h("span", { class: "dim", role: "status" });
    this.clearButton = h("button", { class: "quiet", onclick: () => this.#choose([...this.chosen.ids], false) }, "Clear");
    this.problem = h("p", { class: "error", role: "alert", hidden: true });
    this.search = h("p", { class: "dim small searching", role: "status", hidden: true });
    this.onKey = (event) => this.#key(event);
    document.addEventListener("keydown", this.onKey);
    this.element = h("div", { class: "runsview" }, h("h1", { class: "hidden" }, "Runs"), this.#controls(), this.problem, this.search, this.scroller);
    this.generation = 0;
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.scroller);
    this.waiting = false;
  }

  destroy() {
    this.stop?.();
    document.removeEventListener("keydown", this.onKey);
    this.resized.disconnect();
  }

  get sort() {
    return param("sort", "-started");
  }

  /** The pinned columns come first. */
  #ordered(columns) {
    this.pinned = columns.filter((one) => this.pinned.includes(one));
    return [...this.pinned, ...columns.filter((one) => !this.pinned.includes(one))];
  }

  #controls() {
    const where = h("input", {
      type: "search", class: "grow", spellcheck: false, "aria-label": "Filter runs",
      placeholder: "search, or filter: params.lr < 0.1",
      oninput: debounce(() => { setParams({ where: where.value }); this.reload(); }, 60),
    });
    where.value = param("where");
    this.chartsButton = h("button", { onclick: () => this.#open("/charts") }, "Charts");
    this.compareButton = h("button", { onclick: () => this.#open("/compare") }, "Compare");
    this.editButton = window.tracelet?.about.read_only ? null : h("button", { onclick: () => this.#edit() }, "Edit");
    this.grouping = groupingSelect(() => { this.folded.clear(); this.reload(); });
    return h("div", { class: "controls" }, where, this.chartsButton, this.compareButton, this.editButton,
      this.grouping.element, h("button", { onclick: () => this.#chooseColumns() }, "Columns"),
      viewsMenu(() => setParams({ col: this.columns, pin: this.pinned })), exportMenu((format) => this.#export(format)),
      h("a", { class: "button", href: "/trash" }, "Trash"), h("span", { class: "row tight" }, this.status, this.clearButton));
  }

  #query(offset, limit) {
    const sort = param("by") ? `${param("by")},${this.sort}` : this.sort;
    return { filter: param("where"), sort, offset, limit, column: this.#extra() };
  }

  #extra() {
    return this.columns.filter((column) => !(column in BUILT_IN));
  }

  /** Fetch the table again from the beginning. */
  async reload() {
    this.scroller.scrollTop = 0;
    this.active = 0;
    this.anchor = 0;
    await this.load();
  }

  async load() {
    const generation = ++this.generation;
    const by = param("by");
    try {
      const groups = by ? (await get("/runs/groups", { by, filter: param("where"), sort: this.sort })).groups : null;
      const top = Math.floor(this.scroller.scrollTop / ROW);
      const first = Math.floor(this.#firstRun(new RowLayout(top + 1, groups, this.folded), top) / PAGE);
      const page = await get("/runs", this.#query(first * PAGE, PAGE));
      if (generation !== this.generation) return;
      this.pages.clear();
      this.ids = null;
      this.pages.set(first, page.runs);
      this.total = page.total;
      this.version = page.version;
      this.layout = new RowLayout(this.total, groups, this.folded);
      this.#showSearch(page.texts);
      this.#showProblem(null);
    } catch (error) {
      if (generation !== this.generation) return;
      this.#showSearch([]);
      this.#showProblem(error);
    }
    this.draw();
    this.element.setAttribute("data-ready", String(generation));
  }

  /** Say what was searched for, if the filter is no expression but a text. */
  #showSearch(texts) {
    this.search.hidden = !texts.length;
    fill(this.search, "Searching names, ids, tags and notes for ", texts.map((text, i) => [i ? ", " : "", h("b", {}, text)]));
  }

  /** Say what went wrong. The rows from before stay, but look as if they did not count. */
  #showProblem(error) {
    const isStale = error !== null && this.total > 0;
    this.problem.hidden = error === null;
    this.scroller.classList.toggle("stale", isStale);
    if (error === null) return;
    fill(this.problem, error.message, isStale ? h("span", { class: "dim" }, " The rows below are from before.") : null,
      error instanceof LostError ? [" ", h("button", { class: "again", onclick: () => this.load() }, "Try again")] : null);
  }

  /** The place of the first run at or below a row. */
  #firstRun(layout, top) {
    for (let row = Math.min(top, layout.rows - 1); row >= 0 && row < layout.rows; row++) {
      const { place } = layout.at(row);
      if (place !== undefined) return place;
    }
    return 0;
  }

  async #fetch(number) {
    const generation = this.generation;
    this.pages.set(number, null);
    try {
      const page = await get("/runs", this.#query(number * PAGE, PAGE));
      if (generation !== this.generation) return;
      this.pages.set(number, page.runs);
      this.total = page.total;
      this.drawSoon();
    } catch (error) {
      if (generation === this.generation) this.pages.delete(number);
      notify(error.message, true);
    }
  }

  follow() {
    this.grouping.offerAll().catch((error) => notify(error.message, true));
    this.stop = follow({ table: () => this.version, on: { runs: () => this.load(), again: () => this.load() } });
  }

  row(place) {
    const page = this.pages.get(Math.floor(place / PAGE));
    return page?.[place % PAGE];
  }

  // --- drawing ---------------------------------------------------------------------------------------

  drawSoon() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  draw() {
    this.scroller.firstElementChild.setAttribute("role", this.layout.groups ? "treegrid" : "grid");
    this.#drawHead();
    const height = this.scroller.clientHeight || 600;
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW) - 8);
    const last = Math.min(this.layout.rows, first + Math.ceil(height / ROW) + 16);
    const rows = [];
    for (let row = first; row < last; row++) {
      const { group, place } = this.layout.at(row);
      const page = Math.floor(place / PAGE);
      if (!group && !this.pages.has(page) && this.total) this.#fetch(page);
      rows.push(group ? this.#drawGroup(row, group) : this.#drawRow(row, place));
    }
    fill(this.body, spacer(first * ROW), rows, spacer((this.layout.rows - last) * ROW));
    if (!this.total && this.problem.hidden) this.body.append(h("tr", {}, h("td", { class: "empty", colSpan: this.columns.length + 2 }, param("where") ? "no run matches" : "no runs yet: tracelet run SCRIPT records one")));
    this.#placePins();
    this.#drawStatus();
  }

  /** Keep the pinned columns beside the name while the others scroll. */
  #placePins() {
    const heads = this.head.querySelectorAll("th");
    let left = heads[0].offsetWidth + heads[1].offsetWidth;
    this.pinned.forEach((_, i) => {
      this.scroller.style.setProperty(`--pin-${i}`, `${left}px`);
      left += heads[i + 2].offsetWidth;
    });
  }

  #pinClass(place) {
    return place < this.pinned.length ? ` pin pin-${place}` : "";
  }

  #drawHead() {
    this.numeric = this.#numericColumns();
    const key = JSON.stringify([this.columns, this.pinned, this.sort, [...this.numeric]]);
    this.#drawAllBox();
    if (this.headKey === key) return;
    this.headKey = key;
    const sortable = (column, label, pin = "") => {
      const direction = this.sort === column ? "ascending" : this.sort === `-${column}` ? "descending" : "none";
      const arrow = { ascending: " ↑", descending: " ↓", none: "" }[direction];
      return h("th", { scope: "col", class: (this.numeric.has(column) ? "number" : "") + pin, "aria-sort": direction, title: column }, h("button", { class: "quiet", onclick: () => this.#sortBy(column) }, label + arrow));
    };
    fill(this.head, h("tr", {},
      h("th", { class: "check" }, this.allBox), sortable("name", "name"),
      this.columns.map((column, i) => sortable(column, BUILT_IN[column]?.[0] ?? this.#label(column), this.#pinClass(i)))));
  }

  /** A column's name without its group, unless another column would have the same. */
  #label(column) {
    const short = shortName(column);
    return this.#extra().filter((one) => shortName(one) === short).length > 1 ? column : short;
  }

  /** The columns that hold numbers only, as far as they were fetched. */
  #numericColumns() {
    const rows = [...this.pages.values()].filter(Boolean).flat();
    const isNumber = (cell) => cell === null || !Number.isNaN(Number(cell)) || cell === "NaN";
    return new Set(this.#extra().filter((_, i) => rows.length && rows.every((run) => typeof run.cells[i] !== "boolean" && isNumber(run.cells[i]))));
  }

  #drawGroup(row, group) {
    const isFolded = this.folded.has(keyOf(group));
    const covers = this.chosen.covers(this.#idsOf(group));
    const label = group.value === null ? "none" : exactText(group.value);
    const box = h("input", { type: "checkbox", tabindex: "-1", "aria-label": `Select the runs of ${label}`, onclick: (event) => { event.stopPropagation(); this.#toggleGroup(group); } });
    box.checked = covers === true;
    box.indeterminate = covers === null;
    return h("tr", { class: row === this.active ? "group active" : "group", "aria-expanded": String(!isFolded), "aria-rowindex": String(row + 2), onclick: () => { this.active = row; this.#fold(group); } },
      h("td", { class: "check" }, box),
      h("td", { class: "name", colSpan: this.pinned.length + 1 }, h("span", { class: "dim" }, isFolded ? "▸ " : "▾ "), label, h("span", { class: "dim" }, ` · ${formatNumber(group.count)} ${group.count === 1 ? "run" : "runs"}`)),
      this.columns.length > this.pinned.length ? h("td", { colSpan: this.columns.length - this.pinned.length }) : null);
  }

  #fold(group) {
    const key = keyOf(group);
    if (!this.folded.delete(key)) this.folded.add(key);
    setParams({ fold: [...this.folded] });
    this.layout = new RowLayout(this.total, this.layout.groups, this.folded);
    this.draw();
  }

  #drawRow(rowPlace, place) {
    const run = this.row(place);
    const isActive = rowPlace === this.active;
    if (!run) return h("tr", { class: "waiting" }, h("td", { colSpan: this.columns.length + 2 }, "…"));
    const isChosen = this.chosen.has(run.id);
    const box = h("input", { type: "checkbox", tabindex: "-1", "aria-label": `Select ${run.name}`, onclick: (event) => { event.stopPropagation(); this.#click(event, rowPlace, run.id); } });
    box.checked = isChosen;
    const extra = this.#extra();
    return h("tr", { class: [isChosen ? "chosen" : "", isActive ? "active" : ""].join(" ").trim(), "aria-selected": String(isChosen), "aria-rowindex": String(rowPlace + 2), "data-run": run.id, onclick: () => { this.active = rowPlace; this.draw(); } },
      h("td", { class: "check" }, box),
      h("td", { class: "name" }, h("a", { href: `/run/${encodeURIComponent(run.id)}`, tabindex: "-1", title: run.id }, run.name), run.problem ? h("span", { class: "warn", title: run.problem }, " ⚠") : null),
      this.columns.map((column, i) => {
        if (column in BUILT_IN) return h("td", { class: this.#pinClass(i).trim() }, BUILT_IN[column][1](run));
        const value = run.cells[extra.indexOf(column)];
        const props = { class: (this.numeric.has(column) ? "number" : "") + this.#pinClass(i) };
        return /^metrics[.[]/.test(column) ? glance(value, "td", props) : h("td", { ...props, title: exactText(value) }, exactText(value));
      }));
  }

  #drawStatus() {
    const count = this.chosen.size;
    const runs = this.problem.hidden ? plural(this.total, "run") : "";
    const chosen = count ? `${formatNumber(count)} selected` : "";
    fill(this.status, [runs, chosen].filter(Boolean).join(", "));
    this.clearButton.hidden = !count;
    if (this.editButton) this.editButton.disabled = count < 1;
    for (const button of [this.chartsButton, this.compareButton]) {
      button.disabled = count < 1 || count > MOST_TOGETHER;
      button.title = count > MOST_TOGETHER ? `for at most ${MOST_TOGETHER} runs` : "";
    }
  }

  // --- what a person does --------------------------------------------------------------------------------

  #sortBy(column) {
    const next = this.sort === `-${column}` ? column : `-${column}`;
    setParams({ sort: next });
    this.reload();
  }

  /** Select runs, or no longer. */
  #choose(ids, isChosen) {
    this.chosen.set(ids, isChosen);
    this.draw();
  }

  #toggle(id) {
    this.#choose([id], !this.chosen.has(id));
  }

  /** The box of a row was clicked; with the shift key, the rows since the last click follow it. */
  async #click(event, row, id) {
    const isChosen = !this.chosen.has(id);
    if (event.shiftKey) await this.#chooseRange(this.anchor, row, isChosen);
    else this.#choose([id], isChosen);
    this.anchor = row;
    this.active = row;
  }

  /** Select the runs from one row to another; those of folded groups are not meant. */
  async #chooseRange(from, to, isChosen) {
    const places = [];
    for (let row = Math.min(from, to); row <= Math.max(from, to); row++) {
      const { place } = this.layout.at(row);
      if (place !== undefined) places.push(place);
    }
    const isThere = places.every((place) => this.row(place));
    const ids = isThere ? null : await this.#allIds();
    this.#choose(places.map((place) => (ids ? ids[place] : this.row(place).id)).filter(Boolean), isChosen);
  }

  /** The ids of all runs that the filter lets through, in the order of the table. */
  async #allIds() {
    if (!this.ids) {
      const generation = this.generation;
      const { filter, sort } = this.#query(0, 0);
      const { ids } = await get("/runs/ids", { filter, sort });
      if (generation !== this.generation) return ids;
      this.ids = ids;
    }
    return this.ids;
  }

  /** The ids of all runs, as far as they are known without asking. */
  #knownIds() {
    if (this.ids) return this.ids;
    const rows = [...this.pages.values()].filter(Boolean).flat();
    return rows.length >= this.total ? rows.map((run) => run.id) : null;
  }

  #drawAllBox() {
    this.allBox ??= h("input", { type: "checkbox", "aria-label": "Select all runs of the table", title: "select all runs that the filter lets through", onclick: (event) => { event.preventDefault(); this.#toggleAll(); } });
    const known = this.#knownIds();
    const covers = known?.length ? this.chosen.covers(known) : this.chosen.size ? null : false;
    // After the click that is being handled, which would set back what it finds.
    setTimeout(() => {
      this.allBox.checked = covers === true;
      this.allBox.indeterminate = covers === null;
    });
  }

  async #toggleAll() {
    try {
      const ids = await this.#allIds();
      this.#choose(ids, this.chosen.covers(ids) !== true);
    } catch (error) {
      notify(error.message, true);
    }
  }

  async #toggleGroup(group) {
    if (group.count > group.ids.length) await this.#allIds();
    const ids = this.#idsOf(group);
    this.#choose(ids, this.chosen.covers(ids) !== true);
  }

  /** The ids of a group's runs; of a large group, the first of them until all were needed. */
  #idsOf(group) {
    if (group.count === group.ids.length || !this.ids) return group.ids;
    const at = this.layout.offsets[this.layout.groups.indexOf(group)];
    return this.ids.slice(at, at + group.count);
  }

  /** Change the selected runs: one in all that it says of itself, several in what they can have in common. */
  async #edit() {
    const ids = [...this.chosen.ids];
    if (!ids.length || !this.editButton) return;
    const done = (changed, isGone) => {
      if (isGone) this.chosen.set(changed, false);
      return this.load();
    };
    if (ids.length > 1) return editSeveral(ids, done);
    try {
      editRun(await get(`/runs/${encodeURIComponent(ids[0])}`), () => this.load());
    } catch (error) {
      notify(error.message, true);
    }
  }

  #open(path) {
    if (!this.chosen.size || this.chosen.size > MOST_TOGETHER) return;
    const query = new URLSearchParams([...this.chosen.ids].map((id) => ["run", id]));
    if (path === "/charts" && param("by")) query.set("by", param("by"));
    go(`${path}?${query}`);
  }

  #key(event) {
    const page = Math.floor(this.scroller.clientHeight / ROW);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.layout.rows, End: this.layout.rows };
    const { group, place } = this.layout.rows ? this.layout.at(this.active) : {};
    const run = this.row(place);
    if (event.target.closest?.(BUSY) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key in moves) {
      const table = this.scroller.firstElementChild;
      const before = this.active;
      // The first arrow shows where the keys are, and goes nowhere.
      if (document.activeElement === table) this.active = Math.min(Math.max(before + moves[event.key], 0), Math.max(0, this.layout.rows - 1));
      table.focus({ preventScroll: true });
      if (event.shiftKey) this.#chooseRange(before, this.active, true);
      this.anchor = this.active;
      const top = this.active * ROW;
      if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
      const below = top + 2 * ROW - this.scroller.clientHeight;
      if (below > this.scroller.scrollTop) this.scroller.scrollTop = below;
      this.draw();
    } else if (event.key === " " && group) this.#toggleGroup(group);
    else if (event.key === "Enter" && group) this.#fold(group);
    else if (event.key === " " && run) this.#toggle(run.id);
    else if (event.key === "Enter" && run) go(`/run/${encodeURIComponent(run.id)}`);
    else if (event.key === "c") this.#open("/charts");
    else if (event.key === "v") this.#open("/compare");
    else if (event.key === "e") this.#edit();
    else if (event.key === "a") this.#toggleAll();
    else if (event.key === "Escape" && this.chosen.size) this.#choose([...this.chosen.ids], false);
    else return;
    event.preventDefault();
  }

  async #chooseColumns() {
    const answer = await chooseColumns(this.columns, this.pinned, MOST_PINNED, Object.entries(BUILT_IN).map(([name, [label]]) => [name, label]));
    if (!answer) return;
    this.pinned = answer.pinned;
    this.columns = this.#ordered(answer.columns);
    remember("columns", this.columns);
    remember("pins", this.pinned);
    setParams({ col: this.columns, pin: this.pinned });
    await this.load();
  }

  #export(format) {
    const { filter, sort } = this.#query(0, 0);
    const link = h("a", { href: address("/runs/export", { filter, sort, format, column: this.columns.filter((one) => one !== "notes") }), download: "" });
    document.body.append(link);
    link.click();
    link.remove();
  }
}

function spacer(height) {
  const row = h("tr", { class: "spacer", "aria-hidden": "true" });
  row.style.height = `${Math.max(0, height)}px`;
  return row;
}

function shortName(column) {
  const field = parseField(column);
  if (!field) return column;
  return field.statistic === "last" ? field.name : `${field.name}.${field.statistic}`;
}
