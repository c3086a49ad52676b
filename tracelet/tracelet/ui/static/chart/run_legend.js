// The runs, or groups of runs, that all charts show: a list of buttons that hide and show them, kept to a few lines.

import { fill, h, shortenMiddle } from "../dom.js";
import { swatch } from "./palette.js";

const LINES = 3; // of a legend that is not open
const HINT = "Click: hide or show. Alt and click, or a double click: only this one, and all again.";

export class RunLegend {
  /** `onChoose(key, alone)` is called when somebody hides or isolates an entry, and `onAll()` to show all. */
  constructor({ onChoose, onAll }) {
    this.onChoose = onChoose;
    this.isOpen = false;
    this.list = h("ul", { class: "runlegend", "aria-label": "Runs" });
    this.more = h("button", { class: "link", "aria-expanded": "false", onclick: () => this.#open() });
    this.all = h("button", { class: "link", onclick: onAll });
    this.element = h("div", { class: "legendbox" }, this.list, h("div", { class: "row" }, this.more, this.all));
    this.observer = new ResizeObserver(() => this.#fold());
    this.observer.observe(this.element);
  }

  destroy() {
    this.observer.disconnect();
  }

  /** Show entries: {key, label, color, dash, more (elements behind the name)}. */
  set(entries, shown) {
    this.buttons = new Map();
    fill(this.list, entries.map((entry) => h("li", {}, this.#button(entry), " ", entry.more)));
    this.mark(shown);
    this.#fold();
  }

  #button({ key, label, color, dash }) {
    const choose = (event) => this.onChoose(key, event.altKey);
    const alone = (event) => {
      if (event.altKey && (event.key === "Enter" || event.key === " ")) {
        event.preventDefault();
        this.onChoose(key, true);
      }
    };
    const button = h("button", { class: "quiet toggle", title: `${label}\n${HINT}`, onclick: choose, onkeydown: alone, ondblclick: () => this.onChoose(key, true) }, swatch(color, dash), h("span", {}, shortenMiddle(label, 40)));
    this.buttons.set(key, button);
    return button;
  }

  /** Mark what is shown and what is hidden. */
  mark(shown) {
    let hidden = 0;
    for (const [key, button] of this.buttons) {
      button.setAttribute("aria-pressed", String(shown(key)));
      hidden += !shown(key);
    }
    this.all.hidden = !hidden;
    fill(this.all, `show all (${hidden} hidden)`);
  }

  #open() {
    this.isOpen = !this.isOpen;
    this.#fold();
  }

  /** Hide what is behind the first lines, and say how much that is. */
  #fold() {
    const items = [...this.list.children];
    for (const item of items) item.hidden = false;
    const line = items.map((item) => item.offsetTop);
    const tops = [...new Set(line)].sort((a, b) => a - b);
    const rest = tops.length > LINES ? items.filter((_, i) => line[i] >= tops[LINES]) : [];
    for (const item of rest) item.hidden = !this.isOpen;
    this.more.hidden = !rest.length;
    this.more.setAttribute("aria-expanded", String(this.isOpen));
    fill(this.more, this.isOpen ? "fewer" : `… and ${rest.length} more`);
  }
}
