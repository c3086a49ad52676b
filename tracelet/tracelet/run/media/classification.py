"""How well a classifier does: confusion matrices, precision-recall curves and ROC curves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from tracelet.errors import RecordingError
from tracelet.run.json_values import json_value, strict_json
from tracelet.run.media.arrays import as_array, is_array

MOST_CLASSES: Final = 1000  # of a confusion matrix
MOST_POINTS: Final = 2000  # of a curve; its area is computed from all


class _Step(NamedTuple):
    """How many positive and negative examples have at least this score."""

    threshold: float
    hits: int
    false_alarms: int


def confusion_matrix_json(truth: Any, predictions: Any, labels: Any, matrix: Any) -> bytes:
    """Return a confusion matrix as ``{"labels": [...], "matrix": [[...]]}``: a row for each true class.

    ``truth`` and ``predictions`` have one class for each example; predictions may be scores of shape (examples,
    classes). ``matrix`` is one that was counted before. ``labels`` are the names of classes 0, 1, ... or, if the
    classes are texts, their order.

    Raises:
        RecordingError: the lengths differ, or a class is not among the labels.
    """
    if matrix is not None:
        counts = _matrix(matrix)
        names = [str(each) for each in (range(len(counts)) if labels is None else labels)]
        if len(names) != len(counts):
            raise _refuse("confusion_matrix", f"{len(names)} labels for {len(counts)} classes")
        return strict_json({"labels": names, "matrix": counts})
    true, predicted = _classes(truth), _classes(predictions)
    if len(true) != len(predicted) or not true:
        raise _refuse("confusion_matrix", f"{len(true)} true classes and {len(predicted)} predictions")
    places, names = _places([*true, *predicted], labels)
    if len(names) > MOST_CLASSES:
        raise _refuse("confusion_matrix", f"{len(names)} classes, more than {MOST_CLASSES}")
    counts = [[0] * len(names) for _ in names]
    for one, other in zip(true, predicted, strict=True):
        counts[places[one]][places[other]] += 1
    return strict_json({"labels": names, "matrix": counts})


def pr_curve_json(truth: Any, scores: Any, labels: Any) -> bytes:
    """Return precision-recall curves: ``{"curves": [{"label", "precision", "recall", "thresholds", ...}]}``.

    Each class has a curve; a binary classifier with one score for each example has one. Thresholds decrease: at each,
    the examples with at least this score are taken as positive. ``average_precision`` is the sum of (recall - previous
    recall) * precision over all distinct scores (Manning et al., Introduction to Information Retrieval, 2008, 8.4).

    Raises:
        RecordingError: the lengths differ, a score is NaN, or all examples are of one class.
    """
    return strict_json(
        {"curves": [_pr_curve(*one) for one in _one_vs_rest("pr_curve", truth, scores, labels)]}
    )


def roc_curve_json(truth: Any, scores: Any, labels: Any) -> bytes:
    """Return ROC curves: ``{"curves": [{"label", "fpr", "tpr", "thresholds", "auc", ...}]}``.

    Thresholds decrease from above the largest score (``null``). ``auc`` is the area by the trapezoidal rule over all
    distinct scores (Fawcett, An introduction to ROC analysis, 2006).

    Raises:
        RecordingError: the lengths differ, a score is NaN, or all examples are of one class.
    """
    return strict_json(
        {"curves": [_roc_curve(*one) for one in _one_vs_rest("roc_curve", truth, scores, labels)]}
    )


def _pr_curve(label: str, steps: list[_Step]) -> dict[str, Any]:
    positives = steps[-1].hits
    precision = [step.hits / (step.hits + step.false_alarms) for step in steps]
    recall = [step.hits / positives for step in steps]
    areas = (
        (now - before) * height
        for before, now, height in zip([0.0, *recall], recall, precision, strict=False)
    )
    kept = _kept(len(steps))
    return {
        "label": label,
        "precision": [precision[index] for index in kept],
        "recall": [recall[index] for index in kept],
        "thresholds": [steps[index].threshold for index in kept],
        "average_precision": math.fsum(areas),
        "positives": positives,
        "negatives": steps[-1].false_alarms,
    }


def _roc_curve(label: str, steps: list[_Step]) -> dict[str, Any]:
    positives, negatives = steps[-1].hits, steps[-1].false_alarms
    tpr = [0.0, *(step.hits / positives for step in steps)]
    fpr = [0.0, *(step.false_alarms / negatives for step in steps)]
    areas = ((fpr[i] - fpr[i - 1]) * (tpr[i] + tpr[i - 1]) / 2 for i in range(1, len(fpr)))
    thresholds = [None, *(step.threshold for step in steps)]
    kept = _kept(len(fpr))
    return {
        "label": label,
        "fpr": [fpr[index] for index in kept],
        "tpr": [tpr[index] for index in kept],
        "thresholds": [thresholds[index] for index in kept],
        "auc": math.fsum(areas),
        "positives": positives,
        "negatives": negatives,
    }


def _kept(points: int) -> list[int]:
    """Return the indexes of the points that are kept, the first and the last among them."""
    if points <= MOST_POINTS:
        return list(range(points))
    return sorted({round(index * (points - 1) / (MOST_POINTS - 1)) for index in range(MOST_POINTS)})


def _one_vs_rest(kind: str, truth: Any, scores: Any, labels: Any) -> Iterator[tuple[str, list[_Step]]]:
    """Yield each class with the steps of its curve."""
    true, columns = _classes(truth), _columns(kind, scores)
    if len(columns[0]) != len(true) or not true:
        raise _refuse(kind, f"{len(true)} true classes and {len(columns[0])} scores")
    if len(columns) == 1:
        values = sorted(set(true), key=_order)
        if len(values) != 2:
            raise _refuse(kind, f"{len(values)} classes; one score for each example needs two")
        name = values[1] if labels is None else list(labels)[-1]
        yield str(name), list(_steps(kind, [one == values[1] for one in true], columns[0]))
        return
    places, names = _places(true, range(len(columns)) if labels is None else labels)
    if len(names) != len(columns):
        raise _refuse(kind, f"{len(columns)} columns of scores for {len(names)} classes")
    for index, (name, column) in enumerate(zip(names, columns, strict=True)):
        yield name, list(_steps(kind, [places[one] == index for one in true], column))


def _steps(kind: str, positive: list[bool], scores: list[float]) -> Iterator[_Step]:
    """Yield the counts at each distinct score, from the largest down."""
    if all(positive) or not any(positive):
        raise _refuse(kind, "examples of one class only")
    hits = false_alarms = 0
    ranked = sorted(zip(scores, positive, strict=True), key=lambda pair: -pair[0])
    for threshold, group in groupby(ranked, key=lambda pair: pair[0]):
        for _, is_positive in group:
            hits += is_positive
            false_alarms += not is_positive
        yield _Step(threshold, hits, false_alarms)


def _columns(kind: str, scores: Any) -> list[list[float]]:
    """Return the scores of each class, or of the one that is scored."""
    rows = as_array(scores).tolist() if is_array(scores) else [*map(_plain, scores)]
    try:
        nested = [row if isinstance(row, (list, tuple)) else [row] for row in rows]
        columns = [[float(score) for score in column] for column in zip(*nested, strict=True)]
    except (TypeError, ValueError):
        raise _refuse(kind, "scores that are not numbers, or rows of different lengths") from None
    if not columns:
        raise _refuse(kind, "no scores")
    if any(math.isnan(score) for column in columns for score in column):
        raise _refuse(kind, "NaN among the scores")
    return columns


def _plain(value: Any) -> Any:
    return as_array(value).tolist() if is_array(value) else value


def _classes(values: Any) -> list[Any]:
    """Return one class for each example; of scores for each class, the class with the largest."""
    if values is None:
        raise _refuse("confusion_matrix", "no classes")
    listed = as_array(values).tolist() if is_array(values) else [*map(_plain, values)]
    chosen = [one.index(max(one)) if isinstance(one, (list, tuple)) and one else one for one in listed]
    return [int(one) if isinstance(one, (bool, float)) and one == one // 1 else one for one in chosen]


def _places(classes: Sequence[Any], labels: Any) -> tuple[dict[Any, int], list[str]]:
    """Return the row of each class, and the names of the rows."""
    present = set(classes)
    if labels is None:
        ordered = sorted(present, key=_order)
        return {one: index for index, one in enumerate(ordered)}, [str(json_value(one)) for one in ordered]
    given = list(_classes(labels))
    names = [str(json_value(each)) for each in given]
    if present <= set(given):
        return {one: index for index, one in enumerate(given)}, names
    if all(isinstance(one, int) and 0 <= one < len(names) for one in present):
        return {index: index for index in range(len(names))}, names
    unknown = sorted(present - set(given), key=_order)[0]
    raise _refuse("confusion_matrix", f"class {str(unknown)[:60]!r}, which is not among the labels")


def _order(value: Any) -> tuple[bool, Any]:
    is_number = isinstance(value, (int, float))
    return not is_number, value if is_number else str(value)


def _matrix(matrix: Any) -> list[list[float]]:
    rows = as_array(matrix).tolist() if is_array(matrix) else [list(row) for row in matrix]
    square = rows and all(isinstance(row, list) and len(row) == len(rows) for row in rows)
    if (
        not square
        or len(rows) > MOST_CLASSES
        or not all(isinstance(n, (int, float)) for row in rows for n in row)
    ):
        raise _refuse("confusion_matrix", f"a matrix that is not square, or has over {MOST_CLASSES} classes")
    return rows


def _refuse(kind: str, found: str) -> RecordingError:
    return RecordingError(
        f"log_{kind}: expected the true class of each example, and its prediction or score, found {found}",
        reason=f"{kind}: not comparable",
    )
