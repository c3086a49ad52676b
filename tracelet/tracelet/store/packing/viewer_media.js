// Media of a packed run: each kind drawn from its file, which is inside the page. Nothing in a file is run or loaded.
const MOST_ROWS = 200, MOST_CHARACTERS = 100000;
const IMAGES = { png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg", gif: "image/gif", webp: "image/webp", svg: "image/svg+xml", bmp: "image/bmp" };
const SOUNDS = { wav: "audio/wav", mp3: "audio/mpeg", ogg: "audio/ogg", flac: "audio/flac", m4a: "audio/mp4" };
const VIDEOS = { mp4: "video/mp4", webm: "video/webm" };

// Integers beyond 2**53 keep their digits where the browser gives the text of a number.
const parse = (text) => JSON.parse(text, (key, value, context) => (typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value) && context && context.source ? context.source : value));
const addressOf = (data, type) => URL.createObjectURL(new Blob([data], { type }));

function drawMedia(make, kind, path, data, label) {
  const suffix = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  if (suffix in IMAGES) return make("img", { src: addressOf(data, IMAGES[suffix]), alt: label, loading: "lazy" });
  if (suffix in SOUNDS) return make("audio", { controls: true, src: addressOf(data, SOUNDS[suffix]), "aria-label": label });
  if (suffix in VIDEOS) return make("video", { controls: true, src: addressOf(data, VIDEOS[suffix]), "aria-label": label });
  const text = new TextDecoder().decode(data);
  // The sandbox allows nothing: no script, no form, no access to this page; its policy allows no request either.
  if (suffix === "html") return make("iframe", { sandbox: "", srcdoc: text, title: label });
  if (suffix === "txt" || suffix === "md") return make("pre", { class: "text" }, text.slice(0, MOST_CHARACTERS));
  if (suffix !== "json") return null;
  const content = parse(text);
  if (kind === "table" && Array.isArray(content.columns) && Array.isArray(content.rows)) return tableOf(make, content.columns, content.rows);
  if (kind === "histogram" && Array.isArray(content.counts) && Array.isArray(content.edges)) return histogramOf(make, content, label);
  if (Array.isArray(content.curves)) return ratesOf(make, content.curves, label);
  if (Array.isArray(content.matrix) && Array.isArray(content.labels)) {
    return tableOf(make, ["true \u2193 predicted \u2192", ...content.labels], content.matrix.map((row, at) => [content.labels[at], ...row]));
  }
  return null;
}
function tableOf(make, columns, rows) {
  const show = (cell) => (cell === null ? "\u2013" : typeof cell === "number" ? exact(cell) : typeof cell === "object" ? JSON.stringify(cell) : String(cell));
  const head = make("tr", {}, ...columns.map((name) => make("th", { scope: "col" }, String(name))));
  const body = rows.slice(0, MOST_ROWS).map((row) => make("tr", {}, ...[].concat(row).map((cell) => make("td", typeof cell === "number" ? { class: "number" } : {}, show(cell)))));
  const more = rows.length > MOST_ROWS ? make("p", { class: "faint" }, `and ${rows.length - MOST_ROWS} more rows in the file`) : null;
  return make("div", { class: "scroll tall" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)), more);
}
const svg = (tag, values) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(values)) element.setAttribute(key, value);
  return element;
};
function ratesOf(make, curves, label) { // precision over recall, or true over false positives: both from 0 to 1
  const picture = svg("svg", { viewBox: "-2 -2 204 204", role: "img", "aria-label": label, class: "rates" });
  picture.append(svg("rect", { x: 0, y: 0, width: 200, height: 200, class: "frame" }));
  const isRoc = curves.some((one) => one.fpr);
  curves.forEach((one, at) => {
    const xs = isRoc ? one.fpr : one.recall, ys = isRoc ? one.tpr : one.precision;
    const points = xs.map((x, place) => `${200 * Number(x)},${200 - 200 * Number(ys[place])}`).join(" ");
    const line = svg("polyline", { points, class: `line${at % 6}` }), title = svg("title", {});
    title.textContent = String(one.label);
    line.append(title);
    picture.append(line);
  });
  const axes = isRoc ? "true positive rate over false positive rate" : "precision over recall";
  return make("div", {}, picture, make("p", { class: "faint" }, `${axes}, each from 0 to 1`));
}
function histogramOf(make, { counts, edges }, label) {
  const picture = svg("svg", { viewBox: "0 0 400 120", role: "img", "aria-label": label, class: "histogram" });
  const low = Number(edges[0]), span = Number(edges[edges.length - 1]) / 2 - low / 2, top = Math.max(...counts.map(Number)) || 1;
  const place = (edge) => (span > 0 ? ((Number(edge) / 2 - low / 2) / span) * 400 : 0);
  counts.forEach((count, at) => {
    const left = place(edges[at]), height = (Number(count) / top) * 116;
    const bar = svg("rect", { x: left, y: 118 - height, width: Math.max(0.5, place(edges[at + 1]) - left - 0.5), height }), title = svg("title", {});
    title.textContent = `${exact(edges[at])} to ${exact(edges[at + 1])}: ${count}`;
    bar.append(title);
    picture.append(bar);
  });
  return make("div", {}, picture, make("p", { class: "faint ends" }, make("span", {}, number(low)), make("span", {}, `most: ${top}`), make("span", {}, number(Number(edges[edges.length - 1])))));
}
// The media of a run by name: each with a slider over its steps, and drawn when it is first seen.
function mediaOf(make, run, file, watcher, download) {
  const groups = new Map();
  for (const one of run.media) groups.set(`${one.name}\n${one.kind}`, [...(groups.get(`${one.name}\n${one.kind}`) || []), one]);
  return [...groups.values()].map((several) => {
    const place = make("div", { class: "drawn" }), caption = make("span", { class: "faint" });
    let current = 0;
    const show = async () => {
      const at = current, one = several[at];
      caption.textContent = ` ${one.kind}${one.step === null ? "" : `, step ${one.step}`}`;
      let found;
      try {
        const data = await file(run, one.path);
        found = data ? drawMedia(make, one.kind, one.path, data, `${one.name}${caption.textContent}`) : make("p", { class: "faint" }, "not in this page");
      } catch { found = make("p", { class: "faint" }, "the file cannot be shown: it is damaged"); }
      if (at === current) place.replaceChildren(found || make("p", { class: "faint" }, "this kind can only be saved"));
    };
    const slider = several.length > 1 ? make("input", { type: "range", min: "0", max: String(several.length - 1), value: "0", "aria-label": `Step of ${several[0].name}`, oninput: (event) => { current = Number(event.target.value); show(); } }) : null;
    const button = make("button", { class: "link", onclick: () => download(several[current].path) }, "save");
    const figure = make("figure", { class: "media" }, make("figcaption", {}, several[0].name, caption), slider, place, button);
    figure.chart = { load: () => { if (!place.firstChild) show(); } };
    watcher.observe(figure);
    return figure;
  });
}
