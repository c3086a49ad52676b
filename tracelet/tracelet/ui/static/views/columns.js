// Choosing the columns of the table.

import { get } from "../api.js";
import { fill, h } from "../dom.js";
import { STATISTICS, fieldOf, parseField } from "../fields.js";

const MOST_LISTED = 300;

/**
 * Let a person choose; returns {columns, pinned} in their order, or null. `own` are [field, label] of a run itself; at most
 * `most` columns can be pinned.
 */
export async function chooseColumns(columns, pinned, most, own) {
  const fields = await get("/fields");
  const groups = [
    ["run", own],
    ...["params", "metrics", "tags"].map((kind) => [kind, fields[kind].map((name) => [fieldOf(kind, name), name])]),
  ];
  const chosen = [...columns];
  let pins = [...pinned];
  return new Promise((resolve) => {
    const list = h("div", { class: "columnlist" });
    const order = h("ol", { class: "chosen", "aria-label": "Shown columns" });
    const search = h("input", { type: "search", placeholder: "search", "aria-label": "Search columns", oninput: () => show() });
    const dialog = h("dialog", { class: "choose", "aria-label": "Columns", onclose: () => { dialog.remove(); resolve(dialog.returnValue === "ok" ? { columns: chosen, pinned: pins.filter((one) => chosen.includes(one)) } : null); } },
      h("h2", {}, "Columns"), h("div", { class: "two" }, h("div", {}, search, list), h("div", {}, h("h3", {}, "Shown"), order)),
      h("div", { class: "row" }, h("button", { class: "primary", onclick: () => dialog.close("ok") }, "Apply"), h("button", { onclick: () => dialog.close("") }, "Cancel")));

    const move = (at, by) => {
      const [one] = chosen.splice(at, 1);
      chosen.splice(at + by, 0, one);
      showOrder();
    };
    const changed = (before, after) => {
      pins = pins.map((one) => (one === before ? after : one));
      showOrder();
    };
    const pinButton = (column) => {
      const isPinned = pins.includes(column);
      const toggle = () => {
        pins = isPinned ? pins.filter((one) => one !== column) : [...pins, column];
        showOrder();
      };
      return h("button", { class: "quiet", "aria-pressed": String(isPinned), disabled: !isPinned && pins.length >= most, "aria-label": `Pin ${column}`, title: "keep it beside the name while the table scrolls", onclick: toggle }, "pin");
    };
    const showOrder = () => fill(order, chosen.map((column, at) => h("li", {}, h("span", { class: "grow" }, column), statisticOf(chosen, at, changed), pinButton(column),
      h("button", { class: "quiet", disabled: at === 0, "aria-label": `Move ${column} up`, onclick: () => move(at, -1) }, "↑"),
      h("button", { class: "quiet", disabled: at === chosen.length - 1, "aria-label": `Move ${column} down`, onclick: () => move(at, 1) }, "↓"),
      h("button", { class: "quiet", "aria-label": `Hide ${column}`, onclick: () => { chosen.splice(at, 1); showOrder(); show(); } }, "×"))));
    const show = () => {
      const wanted = search.value.toLowerCase();
      fill(list, groups.map(([group, entries]) => {
        const matches = entries.filter(([, label]) => label.toLowerCase().includes(wanted));
        if (!matches.length) return null;
        return h("fieldset", {}, h("legend", {}, group), matches.slice(0, MOST_LISTED).map(([field, label]) => entry(field, label)),
          matches.length > MOST_LISTED ? h("p", { class: "dim" }, `and ${matches.length - MOST_LISTED} more: search`) : null);
      }));
    };
    const entry = (field, label) => {
      const box = h("input", { type: "checkbox", onchange: () => {
        const at = chosen.findIndex((one) => baseOf(one) === field);
        if (at >= 0) chosen.splice(at, 1);
        else chosen.push(field);
        showOrder();
      } });
      box.checked = chosen.some((one) => baseOf(one) === field);
      return h("label", {}, box, label);
    };
    show();
    showOrder();
    document.body.append(dialog);
    dialog.showModal();
    search.focus();
  });
}

/** A column without the statistic of its metric. */
function baseOf(column) {
  const field = parseField(column);
  return field ? fieldOf(field.kind, field.name) : column;
}

/** Choose which value of a metric is shown. */
function statisticOf(chosen, at, again) {
  const column = chosen[at];
  const field = parseField(column);
  if (field?.kind !== "metrics") return null;
  const base = baseOf(column);
  const select = h("select", { "aria-label": `Value of ${base}`, onchange: () => { chosen[at] = fieldOf("metrics", field.name, select.value); again(column, chosen[at]); } },
    STATISTICS.map((one) => h("option", { value: one }, one)));
  select.value = field.statistic;
  return select;
}
