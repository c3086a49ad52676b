"""Figures of plotting libraries."""

from __future__ import annotations

import io
import json
from typing import Any

from tracelet.errors import RecordingError
from tracelet.run.json_values import strict_json
from tracelet.run.media.png import SIGNATURE


def figure_bytes(figure: Any) -> tuple[bytes, str]:
    """Return a figure's bytes and suffix: Matplotlib's as PNG, Plotly's and Altair's as JSON.

    The bytes of a PNG file are a figure that has been drawn already.

    Raises:
        RecordingError: it is not a figure.
    """
    if isinstance(figure, (bytes, bytearray)) and figure.startswith(SIGNATURE):
        return bytes(figure), ".png"
    for name in ("figure", "fig"):  # of axes, of a Seaborn grid, or of an array of axes
        owner = next(iter(getattr(figure, "flat", ())), figure)
        inner = getattr(owner, name, None)
        if not callable(getattr(figure, "savefig", None)) and callable(getattr(inner, "savefig", None)):
            figure = inner
    if callable(getattr(figure, "savefig", None)):
        file = io.BytesIO()
        figure.savefig(file, format="png", bbox_inches="tight")
        return file.getvalue(), ".png"
    if callable(getattr(figure, "to_plotly_json", None)):
        return _strict(figure.to_json()), ".plotly.json"
    if type(figure).__module__.partition(".")[0] == "altair":
        return _strict(figure.to_json()), ".vega.json"
    raise RecordingError(
        f"log_figure: expected a Matplotlib or Plotly figure, found"
        f" {type(figure).__name__}; use log_image for pictures",
        reason="figure: not a figure",
    )


def _strict(text: Any) -> bytes:
    """Return JSON without NaN and infinities, which libraries may let through."""
    data = str(text)
    try:
        json.loads(data, parse_constant=_refuse)
    except ValueError:
        return strict_json(json.loads(data))
    return data.encode()


def _refuse(constant: str) -> None:
    raise ValueError(constant)
