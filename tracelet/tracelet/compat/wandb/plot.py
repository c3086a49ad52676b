"""``wandb.plot``: charts of tables, and the curves of a classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracelet.compat.wandb.tables import Table
from tracelet.compat.wandb.values import Media

if TYPE_CHECKING:
    from tracelet.run import Run

__all__ = [
    "CustomChart",
    "bar",
    "confusion_matrix",
    "histogram",
    "line",
    "line_series",
    "plot_table",
    "pr_curve",
    "roc_curve",
    "scatter",
    "visualize",
]


class CustomChart(Media):
    """A table with what a chart shows of it. It is recorded as the table ``NAME_table``, as W&B does."""

    def __init__(self, table: Table, spec: Mapping[str, Any]) -> None:
        self.table = table
        self.spec = dict(spec)

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record the table, with the chart's description."""
        from tracelet.run.media.table_rows import table_json

        rows = self.table._plain_rows(run, name, step)
        columns = [str(column) for column in self.table.columns]
        label = f"{name}_table"
        self._record_as(
            "table",
            run,
            label,
            step,
            lambda: (table_json(rows, columns), ".table.json", {}),
            {"chart": self.spec},
        )


class _Curve(Media):
    """A curve or matrix that a run has a call for."""

    def __init__(self, record: Callable[[Run, str, int | None], None]) -> None:
        self._record = record

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it."""
        self._record(run, name, step)


def _chart(kind: str, table: Table, title: str, **fields: str | None) -> CustomChart:
    if not isinstance(table, Table):
        raise TypeError(f"wandb.plot.{kind}: expected a wandb.Table, found {type(table).__name__}")
    shown = {key: value for key, value in fields.items() if value}
    return CustomChart(table, {"kind": kind, "title": title, "fields": shown})


def line(
    table: Table, x: str, y: str, stroke: str | None = None, title: str = "", split_table: bool = False
) -> CustomChart:
    """Return a line of one column over another."""
    return _chart("line", table, title, x=x, y=y, stroke=stroke)


def scatter(table: Table, x: str, y: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return the points of two columns."""
    return _chart("scatter", table, title, x=x, y=y)


def bar(table: Table, label: str, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return bars: a label and a value for each row."""
    return _chart("bar", table, title, label=label, value=value)


def histogram(table: Table, value: str, title: str = "", split_table: bool = False) -> CustomChart:
    """Return how the values of a column are distributed."""
    return _chart("histogram", table, title, value=value)


def line_series(
    xs: Iterable[Any],
    ys: Iterable[Iterable[Any]],
    keys: Iterable[str] | None = None,
    title: str = "",
    xname: str = "x",
    split_table: bool = False,
) -> CustomChart:
    """Return several lines over common or separate x values.

    Raises:
        ValueError: the numbers of lines, x values or names differ.
    """
    lines = [list(each) for each in ys]
    several = [
        list(each) if isinstance(each, Iterable) and not isinstance(each, str) else each for each in xs
    ]
    if not several or not isinstance(several[0], list):
        several = [several] * len(lines)
    names = list(keys) if keys is not None else [f"line_{index}" for index in range(len(lines))]
    if not len(several) == len(lines) == len(names):
        raise ValueError(
            f"Number of x-lines ({len(several)}), y-lines ({len(lines)}) and keys ({len(names)}) must match"
        )
    rows = [
        [x, name, y]
        for x_values, name, y_values in zip(several, names, lines, strict=True)
        for x, y in zip(x_values, y_values, strict=False)
    ]
    return _chart(
        "line_series", Table(["step", "lineKey", "lineVal"], rows), title, x="step", y="lineVal", name=xname
    )


def confusion_matrix(
    probs: Any = None,
    y_true: Any = None,
    preds: Any = None,
    class_names: Sequence[str] | None = None,
    title: str = "Confusion Matrix Curve",
    split_table: bool = False,
) -> Media:
    """Return how often each true class was predicted as which.

    Raises:
        ValueError: predictions are missing, or both scores and predictions are given.
    """
    if (probs is None) == (preds is None):
        raise ValueError("Exactly one of 'probs' or 'preds' must be provided")
    if y_true is None:
        raise ValueError("'y_true' must be provided")
    found = preds if probs is None else probs
    return _Curve(
        lambda run, name, step: run.log_confusion_matrix(name, y_true, found, step, labels=class_names)
    )


def roc_curve(
    y_true: Any,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Any = None,
    title: str = "ROC Curve",
    split_table: bool = False,
) -> Media:
    """Return true against false positives."""
    return _Curve(
        lambda run, name, step: run.log_roc_curve(name, y_true, _scores(y_probas), step, labels=labels)
    )


def pr_curve(
    y_true: Any = None,
    y_probas: Any = None,
    labels: Sequence[str] | None = None,
    classes_to_plot: Any = None,
    interp_size: int = 21,
    title: str = "Precision-Recall Curve",
    split_table: bool = False,
) -> Media:
    """Return precision against recall."""
    return _Curve(
        lambda run, name, step: run.log_pr_curve(name, y_true, _scores(y_probas), step, labels=labels)
    )


def _scores(y_probas: Any) -> Any:
    """Return the scores, of two classes those of the second one."""
    rows = y_probas.tolist() if hasattr(y_probas, "tolist") else y_probas
    if rows and isinstance(rows[0], (list, tuple)) and len(rows[0]) == 2:
        return [row[1] for row in rows]
    return y_probas


def plot_table(
    vega_spec_name: str,
    data_table: Table,
    fields: Mapping[str, Any],
    string_fields: Mapping[str, Any] | None = None,
    split_table: bool = False,
) -> CustomChart:
    """Return a table with the name of a chart's description."""
    return CustomChart(
        data_table, {"kind": vega_spec_name, "fields": dict(fields), "texts": dict(string_fields or {})}
    )


def visualize(id: str, value: Table) -> CustomChart:
    """Return a table with the name of a chart's description."""
    return CustomChart(value, {"kind": id})
