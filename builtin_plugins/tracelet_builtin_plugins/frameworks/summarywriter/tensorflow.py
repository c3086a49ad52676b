"""``tf.summary``: every kind of summary passes ``tf.summary.write``, as a tensor."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

__all__ = ["folder_of_writer", "note_folder", "places_of_write", "record_written", "step_of", "wrap_write"]

#: Where TensorFlow has its functions: TensorBoard's part of ``tf.summary`` takes them from another than programs.
_PLACES: Final = (
    "tensorflow._api.v2.summary",
    "tensorflow._api.v2.compat.v2.summary",
    "tensorboard.summary._tf.summary",
)


def places_of_write(tensorflow: Any) -> list[Any]:
    """Return the loaded modules that have ``write``, each once."""
    found = [tensorflow.summary, *(sys.modules.get(name) for name in _PLACES)]
    return [each for at, each in enumerate(found) if hasattr(each, "write") and each not in found[:at]]


#: The folder of each writer.
_folders: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def note_folder(_plugin: Any, writer: Any, logdir: Any, *_more: Any, **_named: Any) -> None:
    """Remember the folder of a writer that was made: it does not keep it itself."""
    folder = logdir.numpy() if hasattr(logdir, "numpy") else logdir
    _folders[writer] = folder.decode("utf-8", "replace") if isinstance(folder, bytes) else str(folder)


def wrap_write(original: Callable[..., Any], note: Callable[..., None]) -> Callable[..., Any]:
    """Wrap ``tf.summary.write``. A tensor that is made on demand is made once, for both."""

    def write(tag: Any, tensor: Any, step: Any = None, metadata: Any = None, name: Any = None) -> Any:
        made: list[Any] = []

        def make() -> Any:
            made.append(tensor())
            return made[-1]

        result = original(tag, make if callable(tensor) else tensor, step, metadata, name)
        note(result, tag, made[-1] if made else tensor, step, metadata)
        return result

    return write


def folder_of_writer() -> str:
    """Return the folder of the writer in use; an empty text if it was made before the run."""
    operations = sys.modules.get("tensorflow.python.ops.summary_ops_v2")
    writer = getattr(getattr(operations, "_summary_state", None), "writer", None)
    return "" if writer is None else _folders.get(writer, "")


def step_of(step: Any) -> int | None:
    """Return the step that is given, or that the program has set for all summaries."""
    if step is None:
        step = sys.modules["tensorflow"].summary.experimental.get_step()
    return None if step is None else int(step)


def record_written(run: Any, name: str, tensor: Any, step: int | None, plugin: str) -> None:
    """Record a tensor that was written for one of TensorBoard's plugins."""
    values = tensor.numpy() if hasattr(tensor, "numpy") else tensor
    several = getattr(values, "size", 1) > 1
    if plugin == "scalars" or (not plugin and not several):
        run.log_metric(name, values.item() if hasattr(values, "item") else values, step)
    elif plugin == "histograms":
        if len(values):
            run.log_histogram(name, (values[:, 2], _edges(values)), step)
    elif plugin == "images":  # width, height, and one PNG each
        for at, data in enumerate(pictures := values[2:]):
            run.log_image(f"{name}/{at}" if len(pictures) > 1 else name, bytes(data), step)
    elif plugin == "audio":  # a sound and its label each
        for at, row in enumerate(values):
            run.log_audio(f"{name}/{at}" if len(values) > 1 else name, bytes(row[0]), step)
    elif plugin == "text":
        run.log_text(name, "\n".join(_text(each) for each in _flat(values)), step)
    elif getattr(getattr(values, "dtype", None), "kind", "") in "biuf":
        run.log_histogram(name, values, step)


def _edges(buckets: Any) -> Any:
    """Return the edges of buckets (left, right, count), which follow each other."""
    import numpy as np

    edges: Any = np.append(buckets[:, 0], buckets[-1, 1]).astype(float)
    for at in range(1, len(edges)):  # all values may be the same
        if edges[at] <= edges[at - 1]:
            edges[at] = np.nextafter(edges[at - 1], np.inf)
    return edges


def _flat(values: Any) -> list[Any]:
    return list(values.reshape(-1)) if hasattr(values, "reshape") else [values]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
