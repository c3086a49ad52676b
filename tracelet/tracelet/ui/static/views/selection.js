// The runs that are selected in the table. Few are in the address; many are kept for this tab, and the address says so.

import { keep, kept, param, params, setParams } from "../state.js";

export const MOST_TOGETHER = 50; // runs in charts and comparisons, and ids in an address

export class Selection {
  constructor() {
    this.ids = new Set(param("many") ? kept("selection", []) : params("run"));
  }

  get size() {
    return this.ids.size;
  }

  has(id) {
    return this.ids.has(id);
  }

  /** Whether all of some runs are selected, some (null), or none. */
  covers(several) {
    const count = several.reduce((sum, id) => sum + this.ids.has(id), 0);
    return count === 0 ? false : count === several.length ? true : null;
  }

  /** Select runs, or no longer. */
  set(several, isChosen) {
    for (const id of several) {
      if (isChosen) this.ids.add(id);
      else this.ids.delete(id);
    }
    this.#save();
  }

  clear() {
    this.ids.clear();
    this.#save();
  }

  #save() {
    const isMany = this.ids.size > MOST_TOGETHER;
    if (isMany) keep("selection", [...this.ids]);
    setParams({ run: isMany ? null : [...this.ids], many: isMany ? 1 : null });
  }
}
