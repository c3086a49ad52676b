"""Curves as figures of Plotly or Matplotlib, and as picture files.

A figure has a panel per metric and a line per run. Long series are downsampled such that no peak is lost. Both
libraries are optional (extra ``plot``), and imported when a figure is made.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tracelet.errors import MissingExtraError, StoreError, UsageError
from tracelet.messages import one_of
from tracelet.store.drawable import DrawableSeries
from tracelet.store.plotting_panels import Panel, Style, make_panels
from tracelet.store.point_columns import is_installed

LIBRARIES: Final = ("plotly", "matplotlib")
SUFFIXES: Final = (".png", ".svg", ".pdf", ".html")
MOST_PANELS: Final = 24
#: Colors that can be told apart on white and on black, also by people who do not see all colors (Okabe and Ito).
COLORS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8f8f8f", "#a6761d")


def plot(
    several: Sequence[DrawableSeries], style: Style, names: Mapping[str, str], library: str | None = None
) -> Any:
    """Return a figure: a ``plotly.graph_objects.Figure`` or a ``matplotlib.figure.Figure``.

    Raises:
        UsageError: there is nothing to draw, or an argument is invalid.
        MissingExtraError: neither library is installed.
    """
    return draw(arrange(several, style, names), style, choose_library(library))


def arrange(several: Sequence[DrawableSeries], style: Style, names: Mapping[str, str]) -> list[Panel]:
    """Return what a figure shows, a panel per metric. Raises :class:`UsageError` if that is nothing, or too much."""
    if not several:
        raise UsageError("plot: expected a metric to draw, found none")
    panels = make_panels(several, style.check(), names)
    if len(panels) > MOST_PANELS:
        raise UsageError(
            f"plot: expected at most {MOST_PANELS} metrics, found {len(panels)}; name some of them"
        )
    return panels


def draw(panels: Sequence[Panel], style: Style, library: str) -> Any:
    """Return panels as a figure of a library."""
    if library == "plotly":
        from tracelet.store.plotting_plotly import draw
    else:
        from tracelet.store.plotting_matplotlib import draw
    return draw(panels, style, _grid(len(panels)), COLORS)


def choose_library(library: str | None = None) -> str:
    """Return the library to draw with: the one that was asked for, or the first that is installed."""
    if library is not None and library not in LIBRARIES:
        raise UsageError(f"plot: expected {one_of(LIBRARIES)} as library, found {library!r}")
    found = [each for each in (LIBRARIES if library is None else (library,)) if is_installed(each)]
    if not found:
        raise MissingExtraError("plot", "plot")
    return found[0]


def _grid(panels: int) -> tuple[int, int]:
    """Return rows and columns."""
    columns = 1 if panels == 1 else 2 if panels in (2, 4) else 3
    return -(-panels // columns), columns


# --- picture files -------------------------------------------------------------------------------------------


def library_for(file: Path) -> str:
    """Return the library that can write a picture file. Raises :class:`UsageError` for an unknown suffix."""
    if file.suffix.lower() not in SUFFIXES:
        raise UsageError(f"plot: expected a file that ends with {one_of(SUFFIXES)}, found {str(file)!r}")
    if file.suffix.lower() == ".html" and is_installed("plotly"):
        return "plotly"
    return choose_library("matplotlib")


def save(figure: Any, file: Path) -> None:
    """Write a figure to a picture file, whole or not at all."""
    format = file.suffix.lower().lstrip(".")
    data = _to_page(figure) if format == "html" else to_bytes(figure, format)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def to_bytes(figure: Any, format: str) -> bytes:
    """Return a figure of Matplotlib as a picture."""
    from tracelet.store.plotting_matplotlib import to_bytes as draw

    try:
        return draw(figure, format)
    except (ArithmeticError, ValueError) as error:  # of what was recorded, not of the program
        raise StoreError(f"plot: Matplotlib cannot draw these values: {error}") from error


def _to_page(figure: Any) -> bytes:
    """Return a figure as a page that needs no network."""
    if hasattr(figure, "to_html"):
        text: str = figure.to_html(include_plotlyjs=True, full_html=True)
        return text.encode()
    drawing = to_bytes(figure, "svg").decode().partition("<svg")
    head = '<!doctype html><meta charset="utf-8"><title>tracelet plot</title>'
    return f"{head}<style>svg {{ max-width: 100%; height: auto }}</style><svg{drawing[2]}".encode()
