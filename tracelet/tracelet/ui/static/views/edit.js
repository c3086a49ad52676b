// Changing a run: what it says of itself, archive, trash.

import { post } from "../api.js";
import { fill, h, notify } from "../dom.js";
import { go, runsAddress } from "../state.js";

/** A button that opens the dialog; none if the page is read-only. `done` is called after a change. */
export function editButton(run, done) {
  if (window.tracelet?.about.read_only) return null;
  return h("button", { onclick: () => editRun(run, done) }, "Edit");
}

/** Let a person change a run. `done` is called after a change, except that a deleted run is left for the table. */
export function editRun(run, done) {
  const path = `/runs/${encodeURIComponent(run.id)}`;
  const name = h("input", { type: "text", value: run.name, required: true });
  const group = h("input", { type: "text", value: run.group ?? "" });
  const jobType = h("input", { type: "text", value: run.job_type ?? "", placeholder: "such as train or eval" });
  const parent = h("input", { type: "text", value: run.parent ?? "", placeholder: "the id of another run", spellcheck: false });
  const notes = h("textarea", { rows: 8 }, run.notes ?? "");
  const tags = h("textarea", { rows: 3, placeholder: "a tag per line: name or name=value" }, Object.entries(run.tags).map(([key, value]) => (value === "" ? key : `${key}=${value}`)).join("\n"));
  const problem = h("p", { class: "error", role: "alert" });
  const act = async (action) => {
    try {
      await action();
      dialog.close();
    } catch (error) {
      fill(problem, error.message);
    }
  };
  const save = () => act(async () => {
    const changes = changesOf(run, { name: name.value, group: group.value, job_type: jobType.value, parent: parent.value.trim(), notes: notes.value }, parseTags(tags.value));
    if (Object.keys(changes).length) await post(`${path}/edit`, changes);
    notify("saved");
    await done();
  });
  const archive = () => act(async () => {
    await post(`${path}/edit`, { archived: !run.archived });
    notify(run.archived ? "taken out of the archive" : "archived: lists leave it out");
    await done();
  });
  const remove = () => act(async () => {
    if (!confirm(`Move the run ${run.name} to the trash?`)) return;
    await post(`${path}/delete`, {});
    notify("moved to the trash, where it can be restored");
    go(runsAddress(run.id));
  });
  const field = (label, input) => h("label", { class: "field" }, h("span", {}, label), input);
  const dialog = h("dialog", { class: "edit", "aria-label": `Edit ${run.name}`, onclose: () => dialog.remove() },
    h("h2", {}, "Edit"), field("Name", name), h("div", { class: "three" }, field("Group", group), field("Job type", jobType), field("Parent", parent)), field("Tags", tags), field("Notes (Markdown)", notes), problem,
    h("div", { class: "row" }, h("button", { class: "primary", onclick: save }, "Save"), h("button", { onclick: () => dialog.close() }, "Cancel"), h("span", { class: "grow" }),
      h("button", { onclick: archive }, run.archived ? "Unarchive" : "Archive"), h("button", { class: "danger", onclick: remove }, "Delete")));
  document.body.append(dialog);
  dialog.showModal();
}

/** Tags of a text with a tag per line: name or name=value. */
export function parseTags(text) {
  const found = {};
  for (const line of text.split("\n").map((one) => one.trim()).filter(Boolean)) {
    const [key, ...rest] = line.split("=");
    found[key.trim()] = rest.join("=").trim();
  }
  return found;
}

/** Only what is different, so that the run's history says what a person changed. */
function changesOf(run, texts, tags) {
  const changes = Object.fromEntries(Object.entries(texts).filter(([key, text]) => text !== (run[key] ?? "")));
  const set = Object.fromEntries(Object.entries(tags).filter(([key, value]) => String(run.tags[key] ?? "\0") !== value));
  const gone = Object.keys(run.tags).filter((key) => !(key in tags));
  if (Object.keys(set).length) changes.tags = set;
  if (gone.length) changes.untag = gone;
  return changes;
}
