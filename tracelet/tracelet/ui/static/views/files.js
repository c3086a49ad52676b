// The files of a run: artifacts with a preview, and the program's code.

import { address, get } from "../api.js";
import { fill, formatSize, h, plural, put } from "../dom.js";
import { param, setParams } from "../state.js";
import { showLarge } from "./lightbox.js";

const IMAGE = /\.(png|jpe?g|gif|webp|bmp|svg)$/i;

export function fileAddress(run, path, show = false) {
  return address(`/runs/${encodeURIComponent(run.id)}/file`, { path, show: show ? 1 : null });
}

export async function listFiles(run) {
  return (await get(`/runs/${encodeURIComponent(run.id)}/files`)).artifacts;
}

/** List the artifacts; the one in the address is previewed. */
export async function showFiles(panel, run) {
  const artifacts = (await listFiles(run)).filter((one) => !one.media);
  if (!artifacts.length) {
    put(panel, h("p", { class: "empty" }, run.outcome === "running" ? "no artifacts so far" : "this run kept no artifacts"));
    return;
  }
  const preview = h("div", { class: "preview" });
  const files = artifacts.flatMap((one) => one.files.map((file) => ({ ...file, version: one.version })));
  const open = (path) => {
    setParams({ file: path });
    showPreview(preview, run, files.find((one) => one.path === path));
  };
  put(panel, h("div", { class: "split" },
    h("table", { class: "plain" }, h("thead", {}, h("tr", {}, ["file", "size", "get"].map((one) => h("th", { scope: "col", class: one === "size" ? "number" : "" }, one)))),
      h("tbody", {}, files.map((file) => h("tr", {},
        h("td", {}, h("button", { class: "link", title: `SHA-256 ${file.sha256}`, onclick: () => open(file.path) }, file.path.replace(/^artifacts\//, ""))),
        h("td", { class: "number" }, formatSize(file.size)),
        h("td", {}, h("a", { href: fileAddress(run, file.path), download: "" }, "download")))))),
    preview));
  const chosen = param("file");
  await showPreview(preview, run, files.find((one) => one.path === chosen) ?? files[0]);
}

async function showPreview(host, run, file) {
  if (!file) return;
  fill(host, h("p", { class: "dim" }, `${file.path} · ${formatSize(file.size)} · SHA-256 ${file.sha256 ?? "unknown"}`));
  if (IMAGE.test(file.path)) {
    const source = fileAddress(run, file.path, true);
    put(host, h("button", { class: "open", "aria-label": `Open ${file.path} large`, title: "open it large", onclick: () => showLarge([{ source, name: file.path }], 0) }, h("img", { src: source, alt: file.path })));
    return;
  }
  try {
    const { text, complete } = await get(`/runs/${encodeURIComponent(run.id)}/text`, { path: file.path });
    if (text === null) put(host, h("p", { class: "dim" }, "a binary file; download it to see it"));
    else put(host, h("pre", { class: "source", tabindex: "0" }, text), complete ? null : h("p", { class: "dim" }, "only the beginning is shown"));
  } catch (error) {
    put(host, h("p", { class: "error" }, error.message));
  }
}

/** Show the script and the patch that the plugin `code` recorded. */
export async function showCode(panel, run) {
  const files = (await listFiles(run)).filter((one) => one.path.startsWith("artifacts/code/")).flatMap((one) => one.files);
  const git = Object.entries(run.facts.environment ?? {}).filter(([name]) => /git|command|directory/.test(name));
  if (git.length) put(panel, h("dl", { class: "pairs" }, git.map(([name, value]) => [h("dt", {}, name.replace(/^environment\//, "")), h("dd", {}, value)])));
  if (!files.length) put(panel, h("p", { class: "empty" }, "no code was recorded; 'tracelet run' records it by default"));
  for (const file of files.sort((a, b) => isPatch(b) - isPatch(a))) {
    const { text, complete } = await get(`/runs/${encodeURIComponent(run.id)}/text`, { path: file.path });
    const name = file.path.split("/").at(-1);
    const label = isPatch(file) ? "Differences from the commit" : name;
    put(panel, h("section", {}, h("h2", {}, label, " ", h("a", { class: "small", href: fileAddress(run, file.path), download: "" }, "download")),
      isPatch(file) ? drawPatch(text ?? "") : h("pre", { class: "source", tabindex: "0" }, text ?? "a binary file"), complete ? null : h("p", { class: "dim" }, "only the beginning is shown")));
  }
}

const isPatch = (file) => file.path.endsWith("diff.patch");

function drawPatch(text) {
  const kind = (line) => (/^(\+\+\+|---|diff |index )/.test(line) ? "head" : line.startsWith("@@") ? "hunk" : line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "");
  const lines = text.split("\n");
  const added = lines.filter((line) => kind(line) === "added").length;
  const removed = lines.filter((line) => kind(line) === "removed").length;
  return [h("p", { class: "dim" }, `${plural(added, "line")} added, ${plural(removed, "line")} removed`), h("pre", { class: "source patch", tabindex: "0" }, lines.map((line) => h("span", { class: kind(line) }, `${line}\n`)))];
}
