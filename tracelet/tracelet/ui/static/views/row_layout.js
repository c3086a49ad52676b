// Which row of the table shows what, if runs are shown in groups that can be folded.

/** Without groups, each row is a run. With groups, each has a row of its own above those of its runs, unless it is folded. */
export class RowLayout {
  /** `groups` are {value, count, ids} in the order of the table, or null; `folded` is a set of their keys. */
  constructor(total, groups, folded) {
    this.groups = groups;
    this.folded = folded;
    this.starts = []; // of each group: its own row
    this.offsets = []; // of each group: its first run in the order of all runs
    let [row, offset] = [0, 0];
    for (const group of groups ?? []) {
      this.starts.push(row);
      this.offsets.push(offset);
      row += 1 + (folded.has(keyOf(group)) ? 0 : group.count);
      offset += group.count;
    }
    this.rows = groups ? row : total;
  }

  /** What a row shows: {group}, or {place} in the order of all runs. */
  at(row) {
    if (!this.groups) return { place: row };
    let [low, high] = [0, this.starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= row) low = middle;
      else high = middle - 1;
    }
    return row === this.starts[low] ? { group: this.groups[low] } : { place: this.offsets[low] + row - this.starts[low] - 1 };
  }
}

export const keyOf = (group) => JSON.stringify(group.value);
