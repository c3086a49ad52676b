// The trash: deleted runs, which can be brought back or removed for good.

import { get, post } from "../api.js";
import { fill, formatSize, formatTime, h, notify, plural, put } from "../dom.js";
import { runsAddress } from "../state.js";

/** Show the deleted runs. */
export async function showTrash(main) {
  document.title = "trash · tracelet";
  const isReadOnly = Boolean(window.tracelet?.about.read_only);
  const content = h("div");
  const act = async (path, said) => {
    try {
      const answer = await post(path, {});
      notify(said(answer));
    } catch (error) {
      notify(error.message, true);
    }
    await show();
  };
  const show = async () => {
    const { runs } = await get("/trash");
    fill(content, runs.length ? [isReadOnly ? null : emptyButton(runs, act), table(runs, isReadOnly, act)] : h("p", { class: "empty" }, "the trash is empty"));
  };
  put(main, h("nav", { class: "crumbs", "aria-label": "Where you are" }, h("a", { href: runsAddress() }, "runs"), " › trash"),
    h("h1", {}, "Trash"), h("p", { class: "dim" }, "Deleted runs. They can be restored until the trash is emptied."), content);
  await show();
}

function table(runs, isReadOnly, act) {
  const restore = (run) => act(`/trash/${encodeURIComponent(run.id)}/restore`, () => `${run.name} is back`);
  return h("div", { class: "sheet scroll" }, h("table", { class: "plain trash" },
    h("thead", {}, h("tr", {}, ["name", "deleted"].map((one) => h("th", { scope: "col" }, one)), h("th", { scope: "col", class: "number" }, "size"), isReadOnly ? null : h("th", { scope: "col" }, h("span", { class: "hidden" }, "actions")))),
    h("tbody", {}, runs.map((run) => h("tr", { "data-run": run.id }, h("th", { scope: "row" }, run.name, h("div", { class: "dim small" }, run.id)), h("td", {}, formatTime(run.deleted_at)), h("td", { class: "number" }, formatSize(run.size)),
      isReadOnly ? null : h("td", { class: "number" }, h("button", { "aria-label": `Restore ${run.name}`, onclick: () => restore(run) }, "Restore")))))));
}

function emptyButton(runs, act) {
  const size = runs.reduce((sum, run) => sum + run.size, 0);
  const ask = () => {
    const remove = () => {
      dialog.close();
      act("/trash/empty", (answer) => `${plural(answer.removed.length, "run")} removed for good`);
    };
    const dialog = h("dialog", { "aria-label": "Empty the trash", onclose: () => dialog.remove() }, h("h2", {}, "Empty the trash?"),
      h("p", {}, `${plural(runs.length, "run")} (${formatSize(size)}) will be removed for good. This cannot be undone.`),
      h("div", { class: "row" }, h("button", { class: "danger", onclick: remove }, "Remove for good"), h("button", { onclick: () => dialog.close() }, "Cancel")));
    document.body.append(dialog);
    dialog.showModal();
  };
  return h("div", { class: "controls" }, h("button", { class: "danger", onclick: ask }, "Empty the trash"), h("span", { class: "dim" }, `${plural(runs.length, "run")}, ${formatSize(size)}`));
}
