"""A table of runs as text: CSV, or LaTeX for a paper."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_LATEX: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",  # the old encoding of fonts has other signs in these places
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_"},
}
_SPECIAL: Final = re.compile("|".join(map(re.escape, _LATEX)))
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for one


def csv_table(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return columns of equal length as CSV with a head. A text that a spreadsheet would compute gets a ``'``."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_csv_cell(name) for name in columns])
    for row in zip(*columns.values(), strict=True):
        writer.writerow([_csv_cell(cell) for cell in row])
    return file.getvalue()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def latex_table(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return columns of equal length as a ``tabular`` environment with rules of the package booktabs."""
    numeric = [all(cell is None or _is_number(cell) for cell in cells) for cells in columns.values()]
    lines = [
        rf"\begin{{tabular}}{{{''.join('r' if one else 'l' for one in numeric)}}}",
        r"\toprule",
        _latex_row(columns),
        r"\midrule",
        *(_latex_row(row) for row in zip(*columns.values(), strict=True)),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _latex_row(cells: Any) -> str:
    return " & ".join(_latex_cell(cell) for cell in cells) + r" \\"


def _latex_cell(value: Any) -> str:
    if value is None:
        return "--"
    if isinstance(value, float):
        return f"{value:.4g}"
    return _SPECIAL.sub(lambda found: _LATEX[found[0]], re.sub(r"\s+", " ", str(value)))
