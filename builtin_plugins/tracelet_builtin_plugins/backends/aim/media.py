"""Media as Aim's objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracelet_builtin_plugins.backends.aim import mapping
from tracelet_builtin_plugins.backends.aim.repository import import_aim

__all__ = ["object_of"]


def object_of(kind: str, path: str) -> Any:
    """Return a medium as one of Aim's objects, or ``None`` if Aim has none for it."""
    what = mapping.media_type(kind, path)
    if what == "text":
        return import_aim("aim.sdk.objects.text").Text(mapping.text(Path(path).read_text("utf-8", "replace")))
    if what == "distribution":
        bins = mapping.bins_of(Path(path).read_bytes())
        if bins is None:
            return None
        counts, ends = bins
        return import_aim("aim.sdk.objects.distribution").Distribution(hist=counts, bin_range=ends)
    if what is None:
        return None
    module, name = {"image": ("image", "Image"), "audio": ("audio", "Audio")}[what]
    try:
        return getattr(import_aim(f"aim.sdk.objects.{module}"), name)(path)
    except (OSError, ValueError, TypeError, SyntaxError):
        return None  # the file is not what its suffix says: an artifact then
