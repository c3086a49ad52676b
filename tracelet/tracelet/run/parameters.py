"""Parameters and tags as a run keeps them: flat names with values that JSON can hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from tracelet.errors import RecordingError
from tracelet.journal.format import MAX_BLOB
from tracelet.run.json_values import json_value

_ROOM: Final = MAX_BLOB - (1 << 16)  # bytes of JSON that fit into one event
_MAX_DEPTH: Final = 50
_NOT_SEQUENCES: Final = (str, bytes, bytearray, memoryview, range)

Refused = list[tuple[str, RecordingError]]


def flatten_parameters(values: Any, refused: Refused) -> dict[str, Any]:
    """Return parameters flat, as values that JSON can hold. What cannot be kept is added to ``refused``.

    Accepts a mapping, and objects that represent one: argparse's namespace, a dataclass, an attrs or pydantic object,
    a configuration of OmegaConf.

    Raises:
        RecordingError: it is nothing of that kind.
    """
    fields = _fields(values)
    if fields is None:
        raise RecordingError(f"expected a mapping of names to values, found {type(values).__name__}")
    flat: dict[str, Any] = {}
    _Flattening(flat, refused).add_all("", fields, (id(values),))
    return flat


def check_start_parameters(values: Any) -> None:
    """Raise for parameters of ``start_run`` that are plainly wrong: nothing has been trained yet.

    Raises:
        RecordingError: they are not a mapping, two have one name, or one contains itself.
    """
    if not isinstance(values, Mapping):
        kind = type(values).__name__
        raise RecordingError(
            f"start_run(params=...): expected a mapping of names to values, found {kind}; pass vars(...) of an object,"
            " or call run.log_params, which takes objects of settings"
        )
    refused: Refused = []
    flatten_parameters(values, refused)
    for _, error in refused:
        if error.reason in ("name taken", "contains itself"):
            raise error


class _Flattening:
    """Fills a flat mapping from a nested one."""

    def __init__(self, flat: dict[str, Any], refused: Refused) -> None:
        self.flat = flat
        self.refused = refused

    def refuse(self, name: str, text: str, reason: str) -> None:
        self.refused.append((name, RecordingError(f"parameter {name[:200]!r}: {text}", reason=reason)))

    def add_all(self, prefix: str, items: Iterable[tuple[Any, Any]], inside: tuple[int, ...]) -> None:
        from tracelet.journal.writing.values import plain_name

        for key, value in items:
            try:
                name = prefix + plain_name(key)
            except RecordingError as error:
                self.refused.append((f"{prefix}?", error))
                continue
            try:
                self.add(name, value, inside)
            except RecordingError as error:
                self.refuse(name, str(error), error.reason)
            except Exception as error:  # from the object's own code
                self.refuse(name, f"reading it raised {type(error).__name__}: {error}", "unreadable")

    def add(self, name: str, value: Any, inside: tuple[int, ...]) -> None:
        if isinstance(value, _Unreadable):
            raise value.error
        if id(value) in inside:
            return self.refuse(name, "contains itself", "contains itself")
        nested = _nested(value)
        if nested is None:
            return self.keep(name, json_value(value))
        if len(inside) > _MAX_DEPTH:
            return self.refuse(name, f"nested more than {_MAX_DEPTH} levels deep", "nested too deeply")
        items = list(nested)
        if _has_class_of_interest(value):
            self.keep(name, type(value).__qualname__)
        elif not items:
            self.keep(name, {} if isinstance(value, Mapping) else [])
        self.add_all(name + "/", items, (*inside, id(value)))
        return None

    def keep(self, name: str, value: Any) -> None:
        if name in self.flat:
            return self.refuse(name, "expected one value, found two of this name", "name taken")
        size = _size(name, value)
        if size > _ROOM:
            text = f"expected at most {_ROOM:,} bytes, found {size:,}; use log_text or log_artifact"
            return self.refuse(name, text, "too large")
        self.flat[name] = value
        return None


class _Unreadable:
    """Marks a value that could not be read from its mapping."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def _nested(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Return the names and values that a value holds, or None for a single value."""
    if type(value) in (str, int, float, bool, type(None)):
        return None
    fields = _fields(value, top=False)
    if fields is not None:
        return fields
    if isinstance(value, Sequence) and not isinstance(value, _NOT_SEQUENCES):
        return ((index, value[index]) for index in range(len(value)))
    return None


def _fields(value: Any, *, top: bool = True) -> Iterable[tuple[Any, Any]] | None:
    """Return the items of a mapping or of an object that represents one; None for anything else."""
    if isinstance(value, Mapping):
        return _items(value)
    kind = type(value)
    names = _field_names(value, kind)
    if names is not None:
        return ((name, _read(getattr, value, name)) for name in names)
    is_mapping_like = callable(getattr(kind, "keys", None)) and callable(getattr(kind, "__getitem__", None))
    if is_mapping_like and (top or not hasattr(kind, "dtypes")) and not hasattr(kind, "dtype"):
        return _items(value)
    if top and callable(getattr(kind, "to_dict", None)):
        plain = value.to_dict()
        return _items(plain) if isinstance(plain, Mapping) else None
    return None


def fields_of(value: Any) -> dict[Any, Any] | None:
    """Return the fields of an object such as a dataclass or named tuple; None for others."""
    if isinstance(value, (str, bytes, int, float)):
        return None
    fields = _fields(value, top=False)
    return (
        None if fields is None else {key: item for key, item in fields if not isinstance(item, _Unreadable)}
    )


def _field_names(value: Any, kind: type) -> list[str] | None:
    for attribute in ("__dataclass_fields__", "model_fields", "_fields"):
        names = getattr(kind, attribute, None)
        if isinstance(names, (Mapping, tuple)) and (attribute != "_fields" or isinstance(value, tuple)):
            extra = getattr(value, "model_extra", None) if attribute == "model_fields" else None
            return [*names, *(extra if isinstance(extra, Mapping) else ())]
    if isinstance(getattr(kind, "__attrs_attrs__", None), tuple):
        return [field.name for field in kind.__attrs_attrs__]  # type: ignore[attr-defined]
    if any(base.__name__ in ("Namespace", "SimpleNamespace") for base in kind.__mro__):
        return list(vars(value))
    return None


def _has_class_of_interest(value: Any) -> bool:
    """Whether an object's class says what it is (an optimizer's, a model's), rather than that it holds names."""
    kind = type(value)
    return any(hasattr(kind, name) for name in ("__dataclass_fields__", "__attrs_attrs__", "model_fields"))


def _items(mapping: Any) -> Iterator[tuple[Any, Any]]:
    """Read a mapping key by key, so that one value that cannot be read does not cost the others."""
    for key in mapping.keys():  # noqa: SIM118 - OmegaConf's iteration and keys() differ for missing values
        yield key, _read(lambda values, name: values[name], mapping, key)


def _read(read: Any, owner: Any, name: Any) -> Any:
    try:
        return read(owner, name)
    except Exception as error:
        return _Unreadable(error)


def name_tags(tags: Any, refused: Refused) -> dict[str, Any]:
    """Return tags as a mapping: given as one, as one name, or as names.

    Raises:
        RecordingError: they are none of these.
    """
    if isinstance(tags, (str, bytes)):
        tags = [tags]
    if isinstance(tags, Mapping) or (_fields(tags) is not None and not isinstance(tags, tuple)):
        return flatten_parameters(tags, refused)
    if not isinstance(tags, Iterable):
        raise RecordingError(f"tags: expected a mapping, a name or names, found {type(tags).__name__}")
    names = sorted(tags, key=str) if isinstance(tags, (set, frozenset)) else tags
    return flatten_parameters(_as_mapping(names, refused), refused)


def _as_mapping(names: Iterable[Any], refused: Refused) -> dict[str, str]:
    from tracelet.journal.writing.values import plain_name

    tags: dict[str, str] = {}
    for name in names:
        try:
            tags[plain_name(name)] = ""
        except RecordingError as error:
            refused.append(("tags", error))
    return tags


def split_by_size(values: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the values in parts that fit into one event each."""
    part: dict[str, Any] = {}
    room = _ROOM
    for name, value in values.items():
        size = _size(name, value)
        if size > room and part:
            yield part
            part, room = {}, _ROOM
        part[name] = value
        room -= size
    yield part


def _size(name: str, value: Any) -> int:
    """Return how many bytes a value takes in an event."""
    if type(value) is str and len(value) > _ROOM:
        return len(value)  # of which JSON needs at least as many bytes: too large in any case
    if type(value) in (int, float, bool, type(None)) and len(name) < 1000:
        return 8 * len(name) + 40 if type(value) is not int else 8 * len(name) + 8 + value.bit_length()
    return len(json.dumps(name)) + len(json.dumps(value)) + 2
