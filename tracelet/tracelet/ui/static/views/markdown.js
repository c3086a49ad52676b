// Notes: a small part of Markdown as elements. Everything is text unless it is known; nothing becomes HTML.

import { h } from "../dom.js";

/** Return elements for a text: headings, lists, code, quotes, paragraphs; bold, emphasis, code and links in them. */
export function markdown(text) {
  const blocks = [];
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
      blocks.push(h(`h${heading[1].length + 2 > 6 ? 6 : heading[1].length + 2}`, {}, inline(heading[2])));
      at += 1;
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
      while (at < lines.length && lines[at].trim() && (at === start || !/^(#{1,4}\s|```|>|\s*([-*]|\d+\.)\s)/.test(lines[at]))) at += 1;
      blocks.push(h("p", {}, inline(lines.slice(start, at).join("\n"))));
    }
  }
  return blocks;
}

function inline(text) {
  const parts = [];
  const pattern = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*]+)\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)/g;
  let from = 0;
  for (const found of text.matchAll(pattern)) {
    parts.push(text.slice(from, found.index));
    const [whole, code, strong, emphasis, label, target] = found;
    if (code) parts.push(h("code", {}, code));
    else if (strong) parts.push(h("strong", {}, strong));
    else if (emphasis) parts.push(h("em", {}, emphasis));
    else parts.push(h("a", { href: target, target: "_blank", rel: "noopener noreferrer" }, label));
    from = found.index + whole.length;
  }
  return [...parts, text.slice(from)];
}
