// Fields of runs as `where`, `sort`, `column` and `by` take them: params.lr, metrics["f1 score"].max.

export const STATISTICS = ["last", "min", "max", "mean", "best"];
const PLAIN = /^[\w/@-]+$/; // needs no quotes
const FIELD = /^(params|tags|metrics)(?:\.?\["((?:[^"]|"")*)"\]|\.(.+?))(?:\.(last|min|max|mean|best))?$/s;

/** The expression for a param, tag or metric. In quotes, a quote is written twice and all else stands for itself. */
export function fieldOf(kind, name, statistic = "last") {
  const base = PLAIN.test(name) ? `${kind}.${name}` : `${kind}["${name.replaceAll('"', '""')}"]`;
  return statistic === "last" ? base : `${base}.${statistic}`;
}

/** {kind, name, statistic} of such an expression; null for a field of the run itself. */
export function parseField(field) {
  const found = FIELD.exec(field);
  if (!found) return null;
  const [, kind, quoted, plain, statistic] = found;
  if (kind !== "metrics" && statistic) return { kind, name: quoted === undefined ? `${plain}.${statistic}` : quoted.replaceAll('""', '"'), statistic: "last" };
  return { kind, name: quoted === undefined ? plain : quoted.replaceAll('""', '"'), statistic: statistic ?? "last" };
}
