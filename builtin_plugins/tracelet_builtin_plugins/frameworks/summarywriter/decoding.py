"""What the parts of a summary are: numbers, pictures, sounds, texts, ..."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["bins_of", "hyperparameters_of", "numbers_of", "plugin_of", "record_tensor"]

_HPARAMS: Final = ("tensorboard.plugins.hparams.plugin_data_pb2", "tensorboardX.proto.plugin_hparams_pb2")
_TEXT_SUFFIX: Final = "/text_summary"
_LARGEST: Final = 1e300  # above it, the limit of the last bucket only says that there is none
_NUMBERS: Final = ("double_val", "float_val", "int64_val", "int_val", "bool_val", "uint32_val", "uint64_val")
_CURVE: Final = (
    "true_positives",
    "false_positives",
    "true_negatives",
    "false_negatives",
    "precision",
    "recall",
)


def plugin_of(value: Any) -> str:
    """Return the name of TensorBoard's plugin that a value is for."""
    return str(value.metadata.plugin_data.plugin_name)


def numbers_of(tensor: Any) -> list[float]:
    """Return the numbers of a tensor, in one dimension."""
    for field in _NUMBERS:
        if values := getattr(tensor, field, None):
            return list(values)
    if tensor.tensor_content:
        return _unpacked(tensor)
    return []


def _unpacked(tensor: Any) -> list[float]:
    import numpy as np

    kinds = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8"}  # DT_FLOAT, DT_DOUBLE, DT_INT32, DT_INT64
    kind = kinds.get(int(tensor.dtype))
    return [] if kind is None else np.frombuffer(tensor.tensor_content, kind).astype(float).tolist()


def bins_of(histogram: Any) -> tuple[Any, Any]:
    """Return the counts and edges of a histogram, as NumPy's arrays.

    An event file has the right edges only. The first bucket is empty and stands for the left edge, or holds what is
    below it; the edge of the last one may be the largest number of all.
    """
    import numpy as np

    limits, counts = list(histogram.bucket_limit), list(histogram.bucket)
    if limits and limits[-1] > _LARGEST:
        limits[-1] = max(histogram.max, *limits[-2:-1])
    if counts and counts[0] == 0 and len(counts) > 1:
        counts.pop(0)
    else:
        limits.insert(0, min(histogram.min, *limits[:1]))
    edges = np.array(limits, dtype=float)
    for at in range(1, len(edges)):  # one number alone has no width
        if edges[at] <= edges[at - 1]:
            edges[at] = np.nextafter(edges[at - 1], np.inf)
    return np.array(counts), edges


def hyperparameters_of(value: Any) -> dict[str, Any]:
    """Return the hyperparameters that a value of the plugin ``hparams`` holds."""
    for module in _HPARAMS:
        message = getattr(sys.modules.get(module), "HParamsPluginData", None)
        if message is not None:
            found = message.FromString(value.metadata.plugin_data.content).session_start_info.hparams
            return {name: _plain(found[name]) for name in found}
    return {}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    number = getattr(value, kind) if kind else None
    return int(number) if isinstance(number, float) and number.is_integer() else number


def record_tensor(run: Any, name: str, value: Any, step: int | None) -> None:
    """Record a value that is a tensor: a text, a curve, or numbers."""
    plugin = plugin_of(value)
    if plugin == "text":
        text = b"\n".join(value.tensor.string_val).decode("utf-8", "replace")
        run.log_text(name.removesuffix(_TEXT_SUFFIX), text, step)
    elif plugin == "pr_curves":
        run.log_table(name, _curve(numbers_of(value.tensor)), step=step)
    elif plugin == "hparams":
        run.log_params(hyperparameters_of(value))
    elif plugin != "custom_scalars" and (numbers := numbers_of(value.tensor)):
        if len(numbers) == 1:
            run.log_metric(name, numbers[0], step)
        else:
            run.log_histogram(name, numbers, step)


def _curve(numbers: list[float]) -> Mapping[str, list[float]]:
    """Return the rows of a curve, by name: counts, precision and recall at evenly spaced thresholds."""
    length = len(numbers) // len(_CURVE)
    rows = {name: numbers[at * length : (at + 1) * length] for at, name in enumerate(_CURVE)}
    return {"threshold": [at / max(length - 1, 1) for at in range(length)], **rows}
