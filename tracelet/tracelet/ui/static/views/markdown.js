// Notes: a small part of Markdown as elements. Everything is text unless it is known; nothing becomes HTML.

import { h } from "../dom.js";

/** Return elements for a text: headings, lists, tables, code, quotes, paragraphs; bold, emphasis, code, links and pictures in them. */
export function markdown(text) {
  const blocks = [];
  let level = 2; // of the heading above the notes; none is skipped below it
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    const heading = /^(#{1,4})\s+(.*)/.exec(line);
    if (line.startsWith("```")) {
      const end = lines.indexOf("```", at + 1);
      const stop = end < 0 ? lines.length : end;
      blocks.push(h("pre", { class: "source", tabindex: "0" }, lines.slice(at + 1, stop).join("\n")));
      at = stop + 1;
    } else if (heading) {
      level = Math.min(heading[1].length + 2, level + 1);
      blocks.push(h(`h${level}`, {}, inline(heading[2])));
      at += 1;
    } else if (isTable(lines, at)) {
      const start = at;
      for (at += 2; at < lines.length && lines[at].includes("|") && lines[at].trim(); ) at += 1;
      blocks.push(table(lines.slice(start, at)));
    } else if (/^\s*([-*]|\d+\.)\s/.test(line)) {
      const items = [];
      const ordered = /^\s*\d/.test(line);
      for (; at < lines.length && /^\s*([-*]|\d+\.)\s/.test(lines[at]); at++) items.push(h("li", {}, inline(lines[at].replace(/^\s*([-*]|\d+\.)\s/, ""))));
      blocks.push(h(ordered ? "ol" : "ul", {}, items));
    } else if (line.startsWith(">")) {
      blocks.push(h("blockquote", {}, inline(line.replace(/^>\s?/, ""))));
      at += 1;
    } else if (!line.trim()) {
      at += 1;
    } else {
      const start = at;
      while (at < lines.length && lines[at].trim() && (at === start || !isTable(lines, at)) && (at === start || !/^(#{1,4}\s|```|>|\s*([-*]|\d+\.)\s)/.test(lines[at]))) at += 1;
      blocks.push(h("p", {}, inline(lines.slice(start, at).join("\n"))));
    }
  }
  return blocks;
}

const RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** Whether a table begins here: a row of names above a row of dashes with as many parts. */
function isTable(lines, at) {
  const rule = lines[at + 1];
  return lines[at].includes("|") && rule !== undefined && rule.includes("-") && RULE.test(rule) && cellsOf(lines[at]).length === cellsOf(rule).length;
}

/** The cells of a row; a bar in code, or with a backslash before it, ends none. */
function cellsOf(line) {
  const cells = [""];
  for (const part of line.trim().match(/`[^`]*`|\\\||[^|]|\|/gu) ?? []) {
    if (part === "|") cells.push("");
    else cells[cells.length - 1] += part === "\\|" ? "|" : part;
  }
  if (line.trim().startsWith("|")) cells.shift();
  if (cells.length > 1 && !cells.at(-1).trim()) cells.pop();
  return cells.map((cell) => cell.trim());
}

function table([head, rule, ...rows]) {
  const names = cellsOf(head);
  const sides = cellsOf(rule).map((one) => (/^:-+:$/.test(one) ? "middle" : one.endsWith(":") ? "number" : ""));
  return h("div", { class: "scroll", tabindex: "0" }, h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, names.map((name, i) => h("th", { scope: "col", class: sides[i] }, inline(name))))),
    h("tbody", {}, rows.map(cellsOf).map((cells) => h("tr", {}, names.map((_, i) => h("td", { class: sides[i] }, inline(cells[i] ?? ""))))))));
}

function inline(text) {
  const parts = [];
  const pattern = /`([^`]+)`|!\[([^\]]*)\]\(([^\s)]+)(?:\s+"[^"]*")?\)|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/g;
  let from = 0;
  for (const found of text.matchAll(pattern)) {
    parts.push(text.slice(from, found.index));
    const [whole, code, picture, address, strong, emphasis, label, target] = found;
    if (code) parts.push(h("code", {}, code));
    else if (address) parts.push(image(picture, address));
    else if (strong) parts.push(h("strong", {}, strong));
    else if (emphasis) parts.push(h("em", {}, emphasis));
    else parts.push(h("a", { href: target, target: "_blank", rel: "noopener noreferrer" }, label));
    from = found.index + whole.length;
  }
  return [...parts, text.slice(from)];
}

/** A picture as a link: the page loads nothing from elsewhere. */
function image(name, address) {
  const text = `image: ${name || address}`;
  if (!/^https?:\/\//.test(address)) return h("span", { class: "dim", title: address }, text);
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, text);
}
