"""What is recorded of hyperparameters in a program's variables, of models, and of data sets."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Final

from tracelet.run import Run

_PACKAGE: Final = str(Path(__file__).parents[2])
_KNOWN: Final = """
    lr wd seed optimizer optim scheduler loss_fn criterion activation arch architecture alpha beta beta1
    beta2 gamma epsilon eps tau lam lambda_ temperature patience epochs dropout momentum nesterov
    amsgrad warmup threshold device precision dtype model_name model_type dataset_name solver kernel
    penalty n_jobs
"""
_NAMES: Final = frozenset(_KNOWN.split())
_TERMS: Final = re.compile(
    r"(learning_rate|_lr$|^lr_|weight_decay|decay|momentum|dropout|batch_size|batchsize|_size$|hidden|embed|layers|heads"
    r"|units|filters|channels|kernel_|stride|num_|n_|max_|min_samples|epochs|iterations|_steps$|warmup|patience|clip"
    r"|gradient_acc|accumulation|temperature|threshold|regulari|l1_|l2_|gamma|_rate$|_ratio$|_dim$|_depth$|_width$|seed)"
)
_CHANGING: Final = re.compile(
    r"(^|_)(loss|acc|accuracy|score|error|epoch|step|iteration|batch|idx|index|i|j)$"
)
_LONGEST: Final = 200  # characters of a text that is a hyperparameter


def caller() -> FrameType | None:
    """Return the frame of the program's code that has called tracelet."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and os.path.abspath(frame.f_code.co_filename).startswith(_PACKAGE + os.sep):
        frame = frame.f_back
    return frame


def record_hyperparams(
    run: Run, frame: FrameType | None, objects: tuple[Any, ...], more: Mapping[str, Any]
) -> dict[str, Any]:
    """Record hyperparameters: of some objects, or of the variables of a frame."""
    found: dict[str, Any] = {}
    for each in objects:
        found.update(each if isinstance(each, Mapping) else vars(each))
    if not objects and not more and frame is not None:
        found = hyperparams_in(frame.f_locals)
    found.update(more)
    if found:
        run.log_params(found)
    return found


def hyperparams_in(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that look like hyperparameters."""
    return {name: value for name, value in variables.items() if _is_hyperparam(name, value)}


def _is_hyperparam(name: str, value: Any) -> bool:
    if name.startswith("_") or not isinstance(value, (bool, int, float, str)):
        return False
    if isinstance(value, str) and len(value) > _LONGEST:
        return False
    lower = name.lower()
    if lower in _NAMES:
        return True
    return _TERMS.search(lower) is not None and _CHANGING.search(lower) is None


def record_model(run: Run, model: Any, name: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """Record what a model is made of."""
    kind = type(model)
    found: dict[str, Any] = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    text = ""
    if callable(getattr(model, "named_parameters", None)):
        found.update(_of_torch(model))
        text = str(model)
    elif callable(getattr(model, "count_params", None)):
        found.update(_of_keras(model))
        lines: list[str] = []
        model.summary(print_fn=lambda line, **_: lines.append(line))
        text = "\n".join(lines)
    elif callable(getattr(model, "get_params", None)):
        found.update({"params": model.get_params(deep=False)})
        text = repr(model)
    found.update(more)
    run.log_params({name: found})
    if text:
        run.log_text(f"{name}/architecture", text)
    return found


def _of_torch(model: Any) -> dict[str, Any]:
    parameters = list(model.parameters())
    return {
        "parameters": sum(one.numel() for one in parameters),
        "trainable_parameters": sum(one.numel() for one in parameters if one.requires_grad),
        "layers": sum(1 for one in model.modules() if not list(one.children())),
        "size_bytes": sum(one.numel() * one.element_size() for one in parameters),
    }


def _of_keras(model: Any) -> dict[str, Any]:
    trainable = sum(int(_size(weight.shape)) for weight in model.trainable_weights)
    return {
        "parameters": int(model.count_params()),
        "trainable_parameters": trainable,
        "layers": len(model.layers),
    }


def _size(shape: Any) -> int:
    size = 1
    for each in shape:
        size *= int(each)
    return size


def record_dataset(run: Run, dataset: Any, name: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """Record the size and shapes of a data set."""
    found = {**describe_dataset(dataset), **more}
    run.log_params({name: found})
    return found


def describe_dataset(dataset: Any) -> dict[str, Any]:
    """Return what can be said of a data set without going through it."""
    kind = type(dataset)
    found: dict[str, Any] = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    if hasattr(dataset, "batch_size") and hasattr(dataset, "dataset"):  # a loader of PyTorch
        found["batch_size"] = dataset.batch_size
        found["batches"] = _length(dataset)
        found["data"] = describe_dataset(dataset.dataset)
        return {key: value for key, value in found.items() if value is not None}
    length = _length(dataset)
    if length is not None:
        found["size"] = length
    if hasattr(dataset, "columns") and hasattr(dataset, "dtypes"):
        found["columns"] = {
            str(column): str(one) for column, one in zip(dataset.columns, dataset.dtypes, strict=True)
        }
    found.update(_shape(dataset))
    if "shape" not in found and "columns" not in found and length:
        found.update(_of_sample(dataset))
    return found


def _length(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except TypeError:
        return None


def _shape(value: Any) -> dict[str, Any]:
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    found = {"shape": "x".join(str(int(each)) for each in shape)} if shape is not None else {}
    return {**found, "dtype": str(dtype)} if dtype is not None else found


def _of_sample(dataset: Any) -> dict[str, Any]:
    """Return the shapes of the first example."""
    try:
        first = dataset[0]
    except Exception:  # a data set may have no indices, or fail to load
        return {}
    parts = first if isinstance(first, (tuple, list)) else [first]
    shapes = [_shape(part) for part in parts]
    return {f"sample/{index}": shape for index, shape in enumerate(shapes) if shape}
