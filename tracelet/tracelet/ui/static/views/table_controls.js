// What is chosen above the table: groups, saved views, a file.

import { get } from "../api.js";
import { fill, h, notify } from "../dom.js";
import { fieldOf } from "../fields.js";
import { go, param, recall, remember, setParams } from "../state.js";

const OWN = [["", "no groups"], ["group", "group"], ["job_type", "job type"], ["project", "project"], ["outcome", "outcome"], ["host", "host"]];

/**
 * Group the rows by what the runs say of themselves, or by a param or tag. `onChange` is called when the address has another
 * group. Returns the element, and a function that offers the params and tags, too.
 */
export function groupingSelect(onChange) {
  const select = h("select", { "aria-label": "Group rows by", onchange: () => {
    setParams({ by: select.value || null, fold: null });
    onChange();
  } });
  const offer = (more) => {
    const chosen = param("by");
    const all = [...OWN, ...more];
    if (!all.some(([value]) => value === chosen)) all.push([chosen, chosen]);
    fill(select, all.map(([value, label]) => h("option", { value }, label)));
    select.value = chosen;
  };
  const offerAll = async () => {
    const fields = await get("/fields", { newest: 100 }); // of all runs, it would take long
    offer([...fields.params.map((name) => [fieldOf("params", name), name]), ...fields.tags.map((name) => [fieldOf("tags", name), `${name} (tag)`])]);
  };
  offer([]);
  return { element: h("label", {}, "group by ", select), offerAll };
}

/** Views that were saved under a name: the address without the selection. `complete` puts into it what is remembered. */
export function viewsMenu(complete) {
  const list = h("div", {});
  const menu = h("details", { class: "menu", ontoggle: () => { show(); if (menu.open) name.focus(); } }, h("summary", {}, "Views"), list);
  const name = h("input", { type: "text", required: true, placeholder: "save this view as …", "aria-label": "Name of the view" });
  const save = (event) => {
    event.preventDefault();
    complete();
    const query = new URLSearchParams(location.search);
    query.delete("run");
    query.delete("many");
    remember("views", { ...recall("views", {}), [name.value]: query.toString() });
    menu.open = false;
    notify(`saved as ${name.value}`);
  };
  const show = () => {
    const saved = recall("views", {});
    const remove = (view) => {
      delete saved[view];
      remember("views", saved);
      show();
    };
    fill(list, Object.entries(saved).map(([view, query]) => h("div", { class: "row" },
      h("button", { onclick: () => { menu.open = false; go(`/?${query}`); } }, view),
      h("button", { class: "quiet", "aria-label": `Delete the view ${view}`, onclick: () => remove(view) }, "×"))),
    h("form", { onsubmit: save }, name, h("button", {}, "Save")));
  };
  return menu;
}

/** Write the table to a file. */
export function exportMenu(onExport) {
  const menu = h("details", { class: "menu" }, h("summary", {}, "Export"),
    h("div", {}, [["csv", "CSV"], ["latex", "LaTeX"]].map(([format, label]) => h("button", { onclick: () => { menu.open = false; onExport(format); } }, label))));
  return menu;
}
