// Which runs, or groups of runs, all charts show. The address names those that are hidden or, if they are fewer, the others.

import { params, setParams } from "../state.js";

/** A function that says whether a key is shown. */
export function readShown() {
  const [only, hidden] = [params("only"), new Set(params("hide"))];
  if (only.length) {
    const named = new Set(only);
    return (key) => named.has(key);
  }
  return (key) => !hidden.has(key);
}

/** The keys that are shown after one was chosen: it changes sides, or with `alone` the others go, or come back. */
export function choose(keys, shown, key, alone) {
  const before = keys.filter(shown);
  if (alone) return before.length === 1 && before[0] === key ? keys : [key];
  return keys.filter((one) => (one === key ? !shown(one) : shown(one)));
}

/** Let the address say which of the keys are shown. */
export function writeShown(keys, wanted) {
  const named = new Set(wanted);
  const hidden = keys.filter((key) => !named.has(key));
  const isShorter = wanted.length > 0 && wanted.length < hidden.length;
  setParams({ hide: isShorter ? null : hidden, only: isShorter ? wanted : null });
}
