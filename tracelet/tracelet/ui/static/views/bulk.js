// Changing several runs at once: group, tags, archive, trash.

import { post } from "../api.js";
import { fill, h, notify, plural } from "../dom.js";
import { parseTags } from "./edit.js";

const TOGETHER = 10; // runs in one request, so that the dialog can say how far it is
const MOST_NAMED = 5; // runs that could not be changed

/**
 * Let a person change the runs with these ids. `done` is called after a change with the ids that were changed, and whether
 * they are gone from the table.
 */
export function editSeveral(ids, done) {
  const what = plural(ids.length, "run");
  const group = h("input", { type: "text", placeholder: "unchanged" });
  const noGroup = h("input", { type: "checkbox", onchange: () => (group.disabled = noGroup.checked) });
  const tags = h("textarea", { rows: 3, placeholder: "a tag per line: name or name=value" });
  const untag = h("textarea", { rows: 2, placeholder: "a name per line" });
  const problem = h("div", { class: "error", role: "alert" });
  const state = h("p", { class: "dim", role: "status" });

  const act = async (path, changes, isGone, said) => {
    const buttons = dialog.querySelectorAll("button");
    for (const button of buttons) button.disabled = true;
    fill(problem);
    const changed = [];
    const failed = [];
    try {
      for (let at = 0; at < ids.length; at += TOGETHER) {
        fill(state, `${at} of ${what}`);
        const answer = await post(path, { runs: ids.slice(at, at + TOGETHER), ...changes });
        changed.push(...answer.done);
        failed.push(...Object.entries(answer.failed));
      }
    } catch (error) {
      failed.push(["", error.message]);
    }
    for (const button of buttons) button.disabled = false;
    fill(state);
    if (changed.length) await done(changed, isGone);
    if (!failed.length) {
      dialog.close();
      notify(`${plural(changed.length, "run")} ${said}`);
    } else fill(problem, problems(changed.length, failed));
  };
  const save = () => {
    const changes = changesOf(noGroup.checked ? "" : group.value.trim() || null, tags.value, untag.value);
    if (Object.keys(changes).length) act("/runs/edit", changes, false, "changed");
    else fill(problem, "nothing to change was entered");
  };
  const archive = (archived) => {
    if (!archived || confirm(`Archive ${what}? Lists leave archived runs out.`)) act("/runs/edit", { archived }, archived, archived ? "archived" : "taken out of the archive");
  };
  const remove = () => {
    if (confirm(`Move ${what} to the trash?`)) act("/runs/delete", {}, true, "moved to the trash, where they can be restored");
  };
  const field = (label, input) => h("label", { class: "field" }, h("span", {}, label), input);
  const dialog = h("dialog", { class: "edit", "aria-label": `Edit ${what}`, onclose: () => dialog.remove() },
    h("h2", {}, `Edit ${what}`), field("Group", group), h("label", { class: "option" }, noGroup, "take them out of their groups"),
    field("Set tags", tags), field("Remove tags", untag), problem, state,
    h("div", { class: "row" }, h("button", { class: "primary", onclick: save }, "Save"), h("button", { onclick: () => dialog.close() }, "Cancel"), h("span", { class: "grow" }),
      h("button", { onclick: () => archive(true) }, "Archive"), h("button", { onclick: () => archive(false) }, "Unarchive"), h("button", { class: "danger", onclick: remove }, "Delete")));
  document.body.append(dialog);
  dialog.showModal();
}

function changesOf(group, tags, untag) {
  const changes = {};
  if (group !== null) changes.group = group;
  const set = parseTags(tags);
  const gone = untag.split("\n").map((one) => one.trim()).filter(Boolean);
  if (Object.keys(set).length) changes.tags = set;
  if (gone.length) changes.untag = gone;
  return changes;
}

function problems(changed, failed) {
  const more = failed.length - MOST_NAMED;
  return [
    h("p", {}, `${plural(changed, "run")} changed, ${failed.length} not:`),
    h("ul", {}, failed.slice(0, MOST_NAMED).map(([id, why]) => h("li", {}, why.includes(id) ? why : `${id}: ${why}`)), more > 0 ? h("li", {}, `and ${more} more`) : null),
  ];
}
