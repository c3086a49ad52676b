"""What becomes of the values in a row that ``wandb.log`` gets: numbers, texts, media, figures, arrays."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tracelet.run import Run

_PLAIN: Final = frozenset({float, int, bool})
_TEXT: Final = frozenset({str})
_SMALL: Final = 32  # values of an array that W&B keeps as they are; of more it makes a histogram


class Media:
    """Something that a run records as a file."""

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it in a run."""
        raise NotImplementedError

    def _record_as(
        self,
        kind: str,
        run: Run,
        name: str,
        step: int | None,
        encode: Callable[[], tuple[bytes, str, dict[str, Any]]],
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the bytes that ``encode`` returns, with further facts on them."""

        def with_facts() -> tuple[bytes, str, dict[str, Any]]:
            from tracelet.run.json_values import json_value

            data, suffix, known = encode()
            return (
                data,
                suffix,
                {**known, **{key: json_value(value) for key, value in (facts or {}).items() if value}},
            )

        run._log_medium(kind, name, step, with_facts)


def split_row(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    """Return the numbers of a row, flat, and the other values with their names."""
    others: list[tuple[str, Any]] = []
    if (
        type(data) is dict
        and _PLAIN.issuperset(map(type, data.values()))
        and _TEXT.issuperset(map(type, data))
    ):
        return data, others  # the usual row
    numbers: dict[str, Any] = {}
    _split("", data, numbers, others)
    return numbers, others


def _split(
    prefix: str, data: Mapping[str, Any], numbers: dict[str, Any], others: list[tuple[str, Any]]
) -> None:
    for key, value in data.items():
        kind = type(value)
        name = f"{prefix}{key}" if prefix else str(key)
        if kind is float or kind is int or kind is bool:
            numbers[name] = value
        elif isinstance(value, Mapping):
            _split(f"{name}/", value, numbers, others)
        elif _is_number(value):
            numbers[name] = value
        elif value is not None:
            others.append((name, value))


def _is_number(value: Any) -> bool:
    if isinstance(value, (int, float)):
        return True
    if not hasattr(value, "dtype") and not hasattr(value, "__float__"):
        return False
    size = getattr(value, "size", 1)
    if callable(size):  # a tensor of PyTorch
        size = value.numel()
    return size == 1 if isinstance(size, int) else True


def record_value(run: Run, name: str, value: Any, step: int | None) -> None:
    """Record a value that is not a number."""
    if isinstance(value, Media):
        value.record(run, name, step)
    elif isinstance(value, str):
        run.log_text(name, value, step)
    elif _is_frame(value):
        run.log_table(name, value, None, step)
    elif _is_figure(value):
        run.log_figure(name, value, step)
    elif getattr(value, "__name__", "") == "matplotlib.pyplot":
        run.log_figure(name, value.gcf(), step)
    elif hasattr(value, "mode") and hasattr(value, "convert"):
        run.log_image(name, value, step)
    elif hasattr(value, "dtype") and hasattr(value, "tolist"):
        _record_array(run, name, value, step)
    elif isinstance(value, Sequence):
        _record_sequence(run, name, value, step)
    else:
        _record_text(run, name, value, step)


def _record_array(run: Run, name: str, value: Any, step: int | None) -> None:
    size = value.numel() if callable(getattr(value, "numel", None)) else value.size
    if size > _SMALL:
        run.log_histogram(name, value, step)
    else:
        _record_text(run, name, value.tolist(), step)


def _record_sequence(run: Run, name: str, value: Sequence[Any], step: int | None) -> None:
    """Record a list: media one by one, under ``NAME/NUMBER`` if there are several; others as a text."""
    if any(isinstance(each, Media) or _is_figure(each) for each in value):
        for index, each in enumerate(value):
            record_value(run, name if len(value) == 1 else f"{name}/{index}", each, step)
    else:
        _record_text(run, name, list(value), step)


def _record_text(run: Run, name: str, value: Any, step: int | None) -> None:
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = str(value)
    run.log_text(name, text, step)


def _is_frame(value: Any) -> bool:
    return hasattr(value, "iloc") or (hasattr(value, "iter_rows") and hasattr(value, "columns"))


def _is_figure(value: Any) -> bool:
    if callable(getattr(value, "savefig", None)) and "matplotlib" in sys.modules:
        return getattr(value, "__name__", "") != "matplotlib.pyplot"
    return callable(getattr(value, "to_plotly_json", None)) and hasattr(value, "to_json")
