// The page of a packed run. It needs no network, and puts every recorded text into the page as text.
(() => {
  const view = JSON.parse(document.getElementById("tracelet-view").textContent);
  const COLORS = ["#2f7fc1", "#d55e00", "#1a9e73", "#c061a0", "#d39200", "#5aa9de", "#8f8f8f", "#a6761d", "#7b5fc0", "#d0533f"];
  const runs = view.runs.map((run, at) => ({ ...run, color: COLORS[at % COLORS.length], shown: at < 10 }));
  const state = { x: "step", log: false, smoothing: 0, filter: "", system: false, run: 0 };

  // --- small helpers -------------------------------------------------------------------------------------------
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else if (key in element && typeof value !== "string") element[key] = value;
      else element.setAttribute(key, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }
  const decodeBase64 = (text) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  async function inflate(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }
  function duration(seconds) {
    if (seconds < 60) return `${number(Number(seconds.toPrecision(3)))} s`;
    const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
    return hours ? `${hours} h ${String(minutes % 60).padStart(2, "0")} min` : `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  }
  function bytes(size) {
    const units = ["B", "kB", "MB", "GB"];
    let at = 0;
    while (size >= 999.5 && at < 3) { size /= 1000; at += 1; }
    return `${at ? size.toPrecision(3) : size} ${units[at]}`;
  }
  const special = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity };
  const asNumber = (value) => (typeof value === "string" ? special[value] : value);

  // --- points --------------------------------------------------------------------------------------------------
  const loaded = new Map();
  function column(place) { // each is decoded when it is first drawn
    if (!loaded.has(place)) loaded.set(place, inflate(decodeBase64(view.columns[place])).then((raw) => new Float64Array(raw.buffer)));
    return loaded.get(place);
  }
  async function points(series) {
    const [steps, times, values] = await Promise.all([series.steps, series.times, series.values].map(column));
    // Steps beyond 2**53 have a column of their own, in which every digit is kept.
    const exactSteps = series.exact_steps === null ? steps : new BigInt64Array((await column(series.exact_steps)).buffer);
    return { steps, times, values, exactSteps };
  }
  function smooth(xs, ys, weight) {
    if (!weight || xs.length < 2) return ys;
    const mean = Math.abs(xs[xs.length - 1] - xs[0]) / (xs.length - 1) || 1;
    const result = new Float64Array(ys.length);
    let average = 0, seen = false, before = xs[0];
    for (let at = 0; at < ys.length; at += 1) {
      if (!Number.isFinite(ys[at])) { result[at] = ys[at]; continue; }
      const kept = seen ? weight ** (Math.max(0, xs[at] - before) / mean) : 0;
      average = kept * average + (1 - kept) * ys[at];
      if (!Number.isFinite(average)) average = ys[at]; // rounded beyond the greatest number
      seen = true;
      before = xs[at];
      result[at] = average;
    }
    return result;
  }

  // --- charts --------------------------------------------------------------------------------------------------
  class Chart {
    constructor(name) {
      this.name = name;
      this.zoom = null;
      this.canvas = make("canvas", { role: "img", "aria-label": `Curves of ${name}`, tabindex: "0" });
      this.readout = make("div", { class: "readout faint", "aria-live": "polite" });
      this.notes = make("div", { class: "notes faint" });
      this.element = make("figure", {}, make("figcaption", {}, name), this.notes, this.canvas, this.readout);
      this.canvas.addEventListener("pointermove", (event) => this.hover(event));
      this.canvas.addEventListener("pointerleave", () => { this.drag = null; this.cursor = null; this.draw(); this.readout.textContent = ""; });
      this.canvas.addEventListener("pointerdown", (event) => { this.drag = event.offsetX; });
      this.canvas.addEventListener("pointerup", (event) => this.release(event));
      this.canvas.addEventListener("dblclick", () => { this.zoom = null; this.draw(); });
      this.canvas.addEventListener("keydown", (event) => { if (event.key === "Escape") { this.zoom = null; this.draw(); } });
    }
    async load() {
      const lines = [];
      for (const run of runs.filter((one) => one.shown)) {
        const series = run.series.find((one) => one.name === this.name);
        if (!series) continue;
        const data = await points(series), replaced = await Promise.all(series.ghosts.map(points));
        const start = state.x === "time" ? Math.min(...[data, ...replaced].filter((one) => one.times.length).map((one) => one.times[0])) : 0;
        const along = (one) => (state.x === "step" ? one.steps : one.times.map((time) => time - start));
        const ghosts = replaced.map((one) => ({ run, xs: along(one), ys: smooth(one.steps, one.values, state.smoothing) }));
        lines.push({ run, xs: along(data), steps: data.exactSteps, raw: data.values, ys: smooth(data.steps, data.values, state.smoothing), series, ghosts });
      }
      this.lines = lines;
      this.notes.replaceChildren(...this.explain().map((text) => make("div", {}, text)));
      this.draw();
    }
    explain() { // what the lines do not show, and what a resumed run computed again
      const several = this.lines.length > 1;
      const notes = this.lines.flatMap((line) => line.series.ghosts.map((ghost) => (several ? `${line.run.name}: ${ghost.note}` : ghost.note)));
      const hidden = state.log ? this.lines.reduce((sum, line) => sum + line.raw.filter((y) => y <= 0 && y !== -Infinity).length, 0) : 0;
      const isThinned = this.lines.some((line) => line.series.total !== line.series.shown);
      if (hidden) notes.push(`${isThinned ? "at least " : ""}${hidden} point${hidden === 1 ? "" : "s"} not shown: 0 or less on a log axis`);
      return notes;
    }
    extent() {
      let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
      for (const { xs, ys } of this.lines.flatMap((line) => [{ xs: line.xs, ys: line.raw }, ...line.ghosts])) {
        for (let at = 0; at < xs.length; at += 1) {
          const x = xs[at], y = ys[at];
          if (this.zoom && (x < this.zoom[0] || x > this.zoom[1])) continue;
          x0 = Math.min(x0, x); x1 = Math.max(x1, x);
          if (!Number.isFinite(y) || (state.log && y <= 0)) continue;
          y0 = Math.min(y0, y); y1 = Math.max(y1, y);
        }
      }
      if (this.zoom) [x0, x1] = this.zoom;
      if (y0 === y1) {
        const pad = Math.abs(y0) * 0.1 || (state.log ? 0 : 1);
        y0 = Math.max(-Number.MAX_VALUE, y0 - pad);
        y1 = Math.min(Number.MAX_VALUE, y1 + pad);
      }
      if (x0 === x1) { x0 -= 0.5; x1 += 0.5; }
      return [x0, x1, y0, y1];
    }
    draw() {
      if (!this.lines) return;
      const ratio = window.devicePixelRatio || 1, width = this.canvas.clientWidth, height = this.canvas.clientHeight;
      if (!width) return;
      this.canvas.width = width * ratio;
      this.canvas.height = height * ratio;
      const pen = this.canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const ink = getComputedStyle(document.body).color;
      pen.font = "11px system-ui, sans-serif";
      const [x0, x1, y0, y1] = this.extent();
      if (!(y1 >= y0)) {
        pen.fillStyle = ink;
        const isNegative = state.log && this.lines.some((line) => line.raw.some(Number.isFinite));
        const reason = isNegative ? "no value above 0 to show on a log axis" : "no number to draw";
        pen.fillText(this.lines.length ? reason : "none of the chosen runs has this metric", 8, 20);
        return;
      }
      const [low, high] = state.log ? [Math.log10(y0), Math.log10(y1)] : [y0, y1];
      const { places: rows, texts: rowTexts } = state.log ? logTicks(y0, y1) : { places: ticks(low, high, 4), texts: tickTexts(ticks(low, high, 4)) };
      const widest = Math.max(...rowTexts.map((text) => pen.measureText(text).width));
      const box = { left: Math.min(width / 2, Math.max(40, widest + 12)), right: width - 10, top: 8, bottom: height - 22 };
      const px = (x) => box.left + ((x - x0) / (x1 - x0)) * (box.right - box.left);
      // Halved, since the span of two huge values may be infinite; as it is, if halving would round it away.
      const share = (value) => (Math.max(Math.abs(low), Math.abs(high)) < 1 ? (value - low) / (high - low) : (value / 2 - low / 2) / (high / 2 - low / 2));
      const py = (y) => box.bottom - share(state.log ? Math.log10(y) : y) * (box.bottom - box.top);
      this.scale = { px, x0, x1, box };
      pen.strokeStyle = "rgba(128,128,128,.25)";
      pen.fillStyle = ink;
      pen.textAlign = "right";
      rows.forEach((tick, at) => {
        const y = box.bottom - share(tick) * (box.bottom - box.top);
        pen.beginPath(); pen.moveTo(box.left, y); pen.lineTo(box.right, y); pen.stroke();
        pen.globalAlpha = 0.75; pen.fillText(rowTexts[at], box.left - 6, y + 4); pen.globalAlpha = 1;
      });
      pen.textAlign = "center";
      const across = ticks(x0, x1, Math.max(2, Math.floor((box.right - box.left) / 90)));
      const acrossTexts = state.x === "step" ? tickTexts(across) : across.map((tick) => this.label(tick));
      across.forEach((tick, at) => {
        const half = pen.measureText(acrossTexts[at]).width / 2, x = Math.max(half, Math.min(width - half, px(tick)));
        pen.globalAlpha = 0.75; pen.fillText(acrossTexts[at], x, height - 6); pen.globalAlpha = 1;
      });
      pen.save();
      pen.beginPath(); pen.rect(box.left, box.top - 4, box.right - box.left + 1, box.bottom - box.top + 8); pen.clip();
      for (const line of this.lines) {
        pen.setLineDash([5, 4]);
        for (const ghost of line.ghosts) this.stroke(pen, ghost, ghost.ys, px, py, 0.5);
        pen.setLineDash([]);
        if (state.smoothing) this.stroke(pen, line, line.raw, px, py, 0.25);
        this.stroke(pen, line, line.ys, px, py, 1);
        this.mark(pen, line, px, box);
      }
      pen.restore();
      if (this.cursor !== null && this.cursor !== undefined) {
        pen.strokeStyle = ink; pen.globalAlpha = 0.4;
        pen.beginPath(); pen.moveTo(this.cursor, box.top); pen.lineTo(this.cursor, box.bottom); pen.stroke(); pen.globalAlpha = 1;
      }
      if (this.drag && this.cursor) {
        pen.fillStyle = "rgba(80,140,220,.2)";
        pen.fillRect(Math.min(this.drag, this.cursor), box.top, Math.abs(this.cursor - this.drag), box.bottom - box.top);
      }
    }
    stroke(pen, line, ys, px, py, alpha) {
      pen.strokeStyle = pen.fillStyle = line.run.color;
      pen.globalAlpha = alpha;
      pen.lineWidth = 1.5;
      pen.beginPath();
      let open = false;
      for (let at = 0; at < ys.length; at += 1) {
        const y = ys[at];
        if (!Number.isFinite(y) || (state.log && y <= 0)) { open = false; continue; }
        if (open) pen.lineTo(px(line.xs[at]), py(y));
        else {
          pen.moveTo(px(line.xs[at]), py(y));
          const next = ys[at + 1];
          if (!Number.isFinite(next)) pen.rect(px(line.xs[at]) - 1, py(y) - 1, 2, 2);
        }
        open = true;
      }
      pen.stroke();
      pen.globalAlpha = 1;
      pen.lineWidth = 1;
    }
    mark(pen, line, px, box) { // NaN at the bottom, infinities at their end of the axis
      pen.fillStyle = line.run.color;
      for (let at = 0; at < line.raw.length; at += 1) {
        const y = line.raw[at];
        if (Number.isFinite(y)) continue;
        const x = px(line.xs[at]), up = y === Infinity;
        pen.beginPath();
        if (Number.isNaN(y)) pen.arc(x, box.bottom - 3, 2, 0, 7);
        else { pen.moveTo(x - 4, up ? box.top + 6 : box.bottom - 6); pen.lineTo(x + 4, up ? box.top + 6 : box.bottom - 6); pen.lineTo(x, up ? box.top : box.bottom); }
        pen.fill();
      }
    }
    label(x) {
      if (state.x === "step") return number(x);
      if (state.x === "time") return duration(Math.max(0, x));
      return wallTick(x, this.scale ? this.scale.x1 - this.scale.x0 : 0);
    }
    hover(event) {
      if (!this.scale) return;
      this.cursor = event.offsetX;
      const { box, x0, x1 } = this.scale;
      const x = x0 + ((event.offsetX - box.left) / (box.right - box.left)) * (x1 - x0);
      const parts = [];
      let shown = null;
      for (const line of this.lines) {
        const at = nearest(line.xs, x);
        if (at === null) continue;
        shown ??= state.x === "step" ? String(line.steps[at]) : state.x === "wall" ? moment(line.xs[at], true) : this.label(line.xs[at]);
        parts.push(this.lines.length > 1 ? `${line.run.name} ${exact(line.raw[at])}` : exact(line.raw[at]));
      }
      this.readout.textContent = parts.length ? `${state.x} ${shown}: ${parts.join(" · ")}` : "";
      this.draw();
    }
    release(event) {
      const start = this.drag;
      this.drag = null;
      if (start === null || start === undefined || Math.abs(event.offsetX - start) < 8 || !this.scale) { this.draw(); return; }
      const { box, x0, x1 } = this.scale;
      const at = (offset) => x0 + ((offset - box.left) / (box.right - box.left)) * (x1 - x0);
      this.zoom = [at(Math.min(start, event.offsetX)), at(Math.max(start, event.offsetX))];
      this.draw();
    }
  }
  function nearest(xs, x) {
    let best = null;
    for (let at = 0; at < xs.length; at += 1) if (best === null || Math.abs(xs[at] - x) < Math.abs(xs[best] - x)) best = at;
    return best;
  }
  // --- files inside the page -------------------------------------------------------------------------------
  let index = null;
  function files() { // path of each file to the lines of its data
    if (index) return index;
    index = new Map();
    let current = null;
    for (const line of document.getElementById("tracelet-pack").textContent.split("\n")) {
      if (line.startsWith("{")) {
        const head = JSON.parse(line);
        current = head.path ? { lines: [] } : null;
        if (current) index.set(`${head.run}/${head.path}`, current.lines);
      }
      else if (current && line) current.lines.push(line);
    }
    return index;
  }
  async function file(run, path) {
    const found = files().get(`${run.id}/${path}`);
    if (!found) return null;
    const parts = found.map(decodeBase64), whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) { whole.set(part, at); at += part.length; }
    return inflate(whole);
  }
  async function check(data, expected) {
    if (!window.crypto || !window.crypto.subtle || !expected) return "";
    const digest = new Uint8Array(await window.crypto.subtle.digest("SHA-256", data));
    const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return hex === expected ? "SHA-256 verified" : "the SHA-256 differs: the file was changed";
  }
  function save(data, name) {
    const link = make("a", { href: URL.createObjectURL(new Blob([data], { type: "application/octet-stream" })), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
  async function saveCsv(run) {
    const quote = (text) => `"${(/^[=+\-@]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
    const rows = ["metric,iteration,value,timestamp"];
    for (const series of run.series) {
      for (const data of [await points(series), ...(await Promise.all(series.ghosts.map(points)))]) {
        for (let at = 0; at < data.steps.length; at += 1) rows.push(`${quote(series.name)},${data.exactSteps[at]},${data.values[at]},${data.times[at]}`);
      }
    }
    save(rows.join("\n"), `${run.id}.csv`);
  }

  // --- the page ------------------------------------------------------------------------------------------------
  const app = document.getElementById("app");
  const charts = make("div");
  const details = make("section");
  let drawn = [];

  function runsTable() {
    const differing = view.params.filter((name) => new Set(runs.map((run) => JSON.stringify(run.params[name]))).size > 1 || runs.length === 1).slice(0, 6);
    const head = make("tr", {}, ...["", "name", "outcome", "started", "took", ...differing].map((text) => make("th", { scope: "col" }, text)));
    const rows = runs.map((run, at) => {
      const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = run.color;
      const box = make("input", { type: "checkbox", checked: run.shown, "aria-label": `Show ${run.name}`, onchange: (event) => { run.shown = event.target.checked; redraw(); } });
      const open = make("button", { class: "link", onclick: () => { state.run = at; showDetails(); } }, run.name);
      const row = make("tr", {}, make("td", {}, box), make("td", {}, swatch, open), make("td", {}, make("span", { class: `state ${["finished", "failed", "killed", "running"].includes(run.outcome) ? run.outcome : ""}` }, run.outcome)), make("td", {}, moment(run.started_at)), make("td", {}, duration(run.duration)));
      for (const name of differing) row.append(make("td", {}, name in run.params ? text(run.params[name]) : "–"));
      run.row = row;
      return row;
    });
    return make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)));
  }
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));

  function bar() {
    const select = make("select", { onchange: (event) => { state.x = event.target.value; redraw(true); } }, ...[["step", "step"], ["time", "relative time"], ["wall", "time"]].map(([value, label]) => make("option", { value }, label)));
    const filter = make("input", { type: "search", placeholder: "filter, as a regular expression", oninput: (event) => { state.filter = event.target.value; layout(); } });
    const log = make("input", { type: "checkbox", onchange: (event) => { state.log = event.target.checked; redraw(); } });
    const slider = make("input", { type: "range", min: "0", max: "0.99", step: "0.01", value: "0", oninput: (event) => { state.smoothing = Number(event.target.value); redraw(); } });
    const system = make("input", { type: "checkbox", onchange: (event) => { state.system = event.target.checked; layout(); } });
    return make("div", { class: "bar" }, make("label", {}, "metrics", filter), make("label", {}, "x axis", select), make("label", {}, "smoothing", slider), make("label", {}, log, "log scale"), make("label", {}, system, "collectors' metrics"));
  }
  function layout() {
    let pattern = null;
    try { pattern = new RegExp(state.filter, "i"); } catch { pattern = { test: (name) => name.includes(state.filter) }; }
    const names = view.metrics.filter((one) => (state.system || one.type !== "system") && pattern.test(one.name)).map((one) => one.name);
    const groups = new Map();
    for (const name of names) {
      const group = name.includes("/") ? name.slice(0, name.indexOf("/")) : "";
      groups.set(group, [...(groups.get(group) || []), name]);
    }
    drawn = [];
    charts.replaceChildren(...[...groups].flatMap(([group, members]) => {
      const grid = make("div", { class: "grid" });
      for (const name of members) { const chart = new Chart(name); drawn.push(chart); grid.append(chart.element); watcher.observe(chart.element); chart.element.chart = chart; }
      return [make("h2", {}, group || "metrics"), grid];
    }));
    if (!names.length) charts.replaceChildren(make("p", { class: "faint" }, view.metrics.length ? "no metric matches" : "the runs have no metrics"));
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      entry.target.chart.visible = entry.isIntersecting;
      if (entry.isIntersecting) entry.target.chart.load();
    }
  }, { rootMargin: "200px" });
  function redraw(unzoom = false) {
    for (const chart of drawn) {
      if (unzoom) chart.zoom = null;
      if (chart.visible) chart.load();
    }
  }
  function rowsOf(title, values) {
    const entries = Object.entries(values);
    if (!entries.length) return [];
    return [make("h2", {}, title), make("table", { class: "keys" }, make("tbody", {}, ...entries.map(([key, value]) => make("tr", {}, make("th", { scope: "row" }, key), make("td", { class: "wrap" }, text(value))))))];
  }
  function metricsTable(run) {
    const own = run.series.filter((series) => state.system || series.type !== "system");
    if (!own.length) return [];
    const head = make("tr", {}, make("th", { scope: "col" }, "metric"), ...["last", "best", "min", "max", "points"].map((name) => make("th", { scope: "col", class: "number" }, name)));
    const rows = own.map((series) => make("tr", {}, make("td", {}, series.name), ...["last", "best", "min", "max"].map((key) => make("td", { class: "number" }, series[key] === null ? "" : exact(asNumber(series[key])))), make("td", { class: "number" }, series.total === series.shown ? String(series.total) : `${series.total} (${series.shown} drawn)`)));
    return [make("h2", {}, "metrics"), make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)))];
  }
  function artifactsTable(run) {
    if (!run.artifacts.length) return [];
    const rows = run.artifacts.map((artifact) => {
      const note = make("span", { class: "faint" });
      const get = async () => {
        const data = await file(run, artifact.path);
        if (!data) { note.textContent = " not in this page"; return; }
        save(data, artifact.path.split("/").pop());
        note.textContent = ` ${await check(data, artifact.sha256)}`;
      };
      const name = artifact.packed ? make("button", { class: "link", onclick: get }, artifact.path) : artifact.path;
      return make("tr", {}, make("td", { class: "wrap" }, name, note), make("td", { class: "number" }, bytes(artifact.size)), make("td", { class: "wrap" }, make("code", {}, artifact.sha256 || "")));
    });
    const head = make("tr", {}, ...["file", "size", "SHA-256"].map((name) => make("th", { scope: "col", class: name === "size" ? "number" : "" }, name)));
    return [make("h2", {}, "artifacts"), make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows)))];
  }
  function mediaSection(run) {
    if (!run.media.length) return [];
    const get = async (path) => { const data = await file(run, path); if (data) save(data, path.split("/").pop()); };
    return [make("h2", {}, "media"), make("div", { class: "grid" }, ...mediaOf(make, run, file, watcher, get))];
  }
  function showDetails() {
    const run = runs[state.run];
    for (const one of runs) one.row.className = one === run && runs.length > 1 ? "selected" : "";
    const about = { id: run.id, project: run.project, host: run.host, group: run.group, "job type": run.job_type, parent: run.parent, error: run.error };
    details.replaceChildren(
      make("h2", {}, `run ${run.name}`),
      make("p", {}, make("button", { onclick: () => saveCsv(run) }, "Save the points as CSV")),
      ...rowsOf("about", Object.fromEntries(Object.entries(about).filter(([, value]) => value))),
      ...(run.notes ? [make("h2", {}, "notes"), make("pre", {}, run.notes)] : []),
      ...metricsTable(run),
      ...rowsOf("parameters", run.params),
      ...rowsOf("tags", run.tags),
      ...mediaSection(run),
      ...artifactsTable(run),
    );
  }
  app.replaceChildren(
    make("h1", {}, view.title),
    make("p", { class: "faint" }, `${runs.length} run${runs.length === 1 ? "" : "s"}, packed ${moment(view.packed_at)} by tracelet ${view.tracelet}. This page has the exact data: "tracelet import" brings it back bit for bit. Drag in a chart to zoom; double-click to zoom out.`),
    runsTable(), bar(), charts, details,
  );
  layout();
  showDetails();
  let pending = 0;
  window.addEventListener("resize", () => { cancelAnimationFrame(pending); pending = requestAnimationFrame(() => redraw()); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
})();
