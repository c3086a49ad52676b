// Fetching series: requests of the same moment for the same runs and range become one.

import { get } from "../api.js";

const TOGETHER = 8; // metrics in one request
const waiting = new Map();

/**
 * Return a promise of what a chart of one metric of some runs needs: {series, groups}. `view` has x, from, to and pixels;
 * with `by`, runs with the same value of that field are one series with a band, and `groups` says which they are.
 */
export function loadSeries(runs, name, view) {
  const key = JSON.stringify([runs, view]);
  if (!waiting.has(key)) {
    waiting.set(key, { runs, view, names: new Map() });
    setTimeout(() => flush(key), 8);
  }
  const { names } = waiting.get(key);
  if (!names.has(name)) names.set(name, Promise.withResolvers ? Promise.withResolvers() : withResolvers());
  return names.get(name).promise;
}

function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

function flush(key) {
  const { runs, view, names } = waiting.get(key);
  waiting.delete(key);
  const all = [...names];
  for (let at = 0; at < all.length; at += TOGETHER) request(runs, view, all.slice(at, at + TOGETHER));
}

async function request(runs, view, several) {
  try {
    const isGrouped = Boolean(view.by);
    const { series, groups = [] } = await get(isGrouped ? "/series/groups" : "/series", { run: runs, name: several.map(([name]) => name), ...view });
    const own = (name) => series.filter((one) => one.name === name).map(isGrouped ? decodeBand : decode);
    for (const [name, { resolve }] of several) resolve({ series: own(name), groups });
  } catch (error) {
    for (const [, { reject }] of several) reject(error);
  }
}

const number = (value) => (typeof value === "number" ? value : Number(value));

function decode(one) {
  return {
    ...one,
    values: one.values.map(number),
    means: one.means && { x: one.means.x, values: one.means.values.map(number) },
    ghosts: one.ghosts.map((ghost) => ({ ...ghost, values: ghost.values.map(number) })),
  };
}

function decodeBand(one) {
  const columns = ["mean", "deviation", "low", "high"].map((name) => [name, one[name].map(number)]);
  return { ...one, ...Object.fromEntries(columns) };
}
