// What a run lost, and what of it is damaged, in plain words.

import { formatNumber, h, plural } from "../dom.js";

const few = (count, one, several) => `${formatNumber(count)} ${count === 1 ? one : several}`;

/** What the kinds of damage mean. */
const KINDS = {
  damaged: (count) => `${few(count, "record has", "records have")} a wrong checksum`,
  torn: (count) => `${few(count, "record was", "records were")} written only in part`,
  unwritten: (count) => `${few(count, "record was", "records were")} never written`,
  missing: (count) => `${few(count, "record is", "records are")} missing: a file is gone or cut short`,
  header: (count) => `${few(count, "file has", "files have")} a damaged header; the records in it are kept`,
  cut: (count) => `${few(count, "process lacks its", "processes lack their")} last records`,
  unnamed: (count) => `${few(count, "metric has", "metrics have")} lost the name; the points are kept under a made-up name`,
  time: (count) => `${few(count, "record has", "records have")} an impossible time; the nearest one is shown`,
  version: (count) => `${few(count, "file is", "files are")} of a newer tracelet and cannot be read`,
  invalid: (count) => `${few(count, "record has", "records have")} content that is refused`,
};

/** One sentence for each kind of damage. */
export const describeDamage = (damage) => Object.entries(damage).map(([kind, count]) => (KINDS[kind] ?? ((n) => `${plural(n, "record")}: ${kind}`))(count));

/** One sentence for each reason why values were not recorded. */
export const describeDropped = (dropped) => Object.entries(dropped).map(([why, count]) => `${few(count, "value was", "values were")} not recorded: ${why}`);

/** What stands at the top of a run's page; null if nothing was lost. */
export function damageNotice(run, { damage, dropped }) {
  const { version, ...others } = damage;
  const kinds = run.problem || !version ? others : damage; // files of a newer version are the problem that stands there
  const [damaged, lost] = [describeDamage(kinds), describeDropped(dropped)];
  if (!damaged.length && !lost.length) return null;
  const count = Object.values(kinds).reduce((a, b) => a + b, 0);
  return h("div", { class: damaged.length ? "damage" : "damage minor", role: "status" },
    damaged.length ? h("p", { class: "error" }, h("strong", {}, count === 1 ? "A part of this run is damaged. " : "Parts of this run are damaged. "), `${damaged.join("; ")}. What is shown is what could be read.`) : null,
    lost.length ? h("p", { class: "warn" }, `${lost.join("; ")}.`) : null,
    h("p", { class: "dim" }, "Details: ", h("code", {}, `tracelet verify ${run.id}`)));
}
