"""Configuration objects among the variables of a program."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from enum import Enum
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Final

__all__ = ["find_configurations", "plain"]

#: Names that programs give to what they are configured with.
_NAMES: Final = frozenset(
    {
        *("args", "opt", "opts", "options", "flags", "cfg", "conf", "config", "configuration"),
        *("hparams", "hyperparams", "hyperparameters", "hyper_parameters", "hp", "params", "settings"),
    }
)
_FRAMES: Final = 50
_ITEMS: Final = 100  # of a list
_DEPTH: Final = 5
_TEXT: Final = 1000  # characters
#: Modules whose values are recorded as they print.
_TEXTS: Final = frozenset({"datetime", "decimal", "fractions", "uuid"})


def find_configurations() -> Iterator[dict[str, Any]]:
    """Yield the values of each configuration object that a variable of the program's main module holds.

    Parsed arguments count by their class, other objects and dictionaries by the name of the variable: ``config`` and
    the like. No code of the objects is run.
    """
    seen: set[int] = set()
    for variables in _scopes():
        for name, value in list(variables.items()):
            if id(value) in seen or name.startswith("__"):
                continue
            values = _values_of(name.lower(), value)
            if values:
                seen.add(id(value))
                yield values


def _main_frame() -> Any:
    """Return the frame of the main thread.

    Nothing is collected meanwhile: before Python 3.12, a collection inside ``sys._current_frames`` can make the whole
    program hang (https://github.com/python/cpython/issues/106883).
    """
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        return sys._current_frames().get(threading.main_thread().ident or 0)
    finally:
        if is_collecting:
            gc.enable()


def _scopes() -> Iterator[Mapping[str, Any]]:
    """Yield the variables of the main module, and of its functions that run on the main thread."""
    main = sys.modules.get("__main__")
    names = getattr(main, "__dict__", {})
    yield names
    frame = _main_frame()
    for _ in range(_FRAMES):
        if frame is None:
            return
        if frame.f_globals is names and frame.f_locals is not names:
            yield frame.f_locals
        frame = frame.f_back


def _values_of(name: str, value: Any) -> dict[str, Any]:
    kind = type(value)
    if kind.__name__ == "Namespace" and kind.__module__ == "argparse":
        return _public(vars(value))
    if name not in _NAMES or isinstance(value, type) or callable(value):
        return {}
    if isinstance(value, ModuleType):
        return _settings_of_module(value)
    if isinstance(value, dict):
        return _public(value)
    if kind.__module__.startswith("omegaconf."):
        return {}  # recorded when it is made
    fields = getattr(kind, "__dataclass_fields__", None) or getattr(kind, "model_fields", None)
    if isinstance(fields, Mapping):
        return _public({key: getattr(value, key, None) for key in fields})
    is_plain = kind.__module__ in ("types", "__main__") or _is_in_program(kind.__module__)
    return _public(getattr(value, "__dict__", {})) if is_plain else {}


def _settings_of_module(module: ModuleType) -> dict[str, Any]:
    """Return what a module of the program's own sets, without what it imports and defines."""
    if not _is_in_program(module.__name__):
        return {}
    values = vars(module).items()
    return _public(
        {key: value for key, value in values if not isinstance(value, (type, FunctionType, ModuleType))}
    )


def _is_in_program(module: str) -> bool:
    """Return whether a module is the program's own, rather than that of an installed package."""
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    return bool(file) and "site-packages" not in file and not file.startswith(os.path.dirname(os.__file__))


def _public(values: Mapping[Any, Any]) -> dict[str, Any]:
    return plain({key: value for key, value in values.items() if not str(key).startswith("_")}) or {}


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value as it is recorded, or None for one that is no setting: an array, a model, an open file."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value if len(value) <= _TEXT else f"{value[:_TEXT]}..."
    if isinstance(value, Mapping) and depth < _DEPTH:
        return _plain_mapping(value, depth)
    if isinstance(value, (list, tuple, set, frozenset)) and depth < _DEPTH:
        return [plain(each, depth + 1) for each in list(value)[:_ITEMS]]
    return _plain_object(value)


def _plain_mapping(values: Mapping[Any, Any], depth: int) -> dict[str, Any] | None:
    kept = {str(key): (each, plain(each, depth + 1)) for key, each in list(values.items())[:_ITEMS]}
    found = {key: result for key, (each, result) in kept.items() if each is None or result is not None}
    return found if found or not values else None


def _plain_object(value: Any) -> Any:
    kind = type(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Enum):
        return value.name
    if kind.__module__ in _TEXTS or (kind.__module__ == "torch" and kind.__name__ in ("device", "dtype")):
        return str(value)
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return value.__qualname__ if isinstance(value, (type, FunctionType, BuiltinFunctionType)) else None
