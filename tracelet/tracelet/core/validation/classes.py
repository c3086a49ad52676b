"""An attrs class as schema: the configuration arrives as an instance, structured by cattrs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracelet.core.interpolation import from_environment, plain
from tracelet.core.secrets import is_secret_key, redact, seal
from tracelet.core.wording import did_you_mean, misfit


def is_attrs_class(schema: Any) -> bool:
    """Say whether ``schema`` is an attrs class."""
    return isinstance(schema, type) and "__attrs_attrs__" in vars(schema)


def keys(cls: type) -> frozenset[str]:
    """Return the keys that the class takes."""
    return frozenset(_fields(cls))


def _fields(cls: Any) -> dict[str, Any]:
    return {field.alias: field for field in cls.__attrs_attrs__ if field.init}


class _Faults(ValueError):
    """The faults of one table, each with the steps that lead to it."""

    def __init__(self, faults: list[tuple[tuple[Any, ...], str]]) -> None:
        self.faults = faults
        super().__init__("faults")


class _Misfit(ValueError):
    """A value that does not fit its annotation."""

    def __init__(self, expected: str, value: Any) -> None:
        self.expected = expected
        self.value = value
        super().__init__(expected)


def structure(cls: type, values: Mapping[str, Any], path: str, faults: list[str]) -> Any:
    """Return an instance of ``cls``; what does not fit is added to ``faults``."""
    try:
        return _converter().structure(values, cls)
    except Exception as error:
        for place, text in _told(error):
            faults.append(f"{_join(path, place)}{text}")
    return None


def _join(path: str, place: tuple[Any, ...]) -> str:
    return path + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)


def _told(error: BaseException) -> list[tuple[tuple[Any, ...], str]]:
    """Return the faults in an error of structuring, those of nested tables and lists included."""
    if isinstance(error, _Faults):
        return error.faults
    if isinstance(error, _Misfit):
        return [((), misfit("", error.expected, error.value))]
    inner = getattr(error, "exceptions", None)
    if inner is None:
        return [((), f": {redact(_message(error))}")]
    told = []
    for each in inner:
        step = _step_of(each)
        told += [((*step, *place), text) for place, text in _told(each)]
    return told


def _step_of(error: BaseException) -> tuple[Any, ...]:
    for note in getattr(error, "__notes__", ()):
        if (index := getattr(note, "index", None)) is not None:
            return (index,)
    return ()


def _message(error: BaseException) -> str:
    return str(error.args[0]) if error.args and isinstance(error.args[0], str) else type(error).__name__


def _converter() -> Any:
    """Return a converter that takes each value for what it is: no number from a string, no string from a number."""
    import attrs
    import cattrs

    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, name in ((int, "integer"), (float, "number"), (str, "string"), (bool, "boolean")):
        converter.register_structure_hook(kind, _strict(kind, name))
    converter.register_structure_hook_factory(
        attrs.has, lambda cls: lambda value, _: _build(cls, value, converter)
    )
    return converter


def _strict(kind: type, name: str) -> Any:
    accepted = (int, float) if kind is float else kind

    def hook(value: Any, _: Any) -> Any:
        value = from_environment(value, name)
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise _Misfit(name, value)
        return plain(float(value) if kind is float else value)

    return hook


def _build(cls: Any, values: Any, converter: Any) -> Any:
    import attrs

    if not isinstance(values, Mapping):
        raise _Misfit("object", values)
    attrs.resolve_types(cls)
    fields = _fields(cls)
    faults: list[tuple[tuple[Any, ...], str]] = [
        ((key,), f": unknown key{did_you_mean(key, fields)}") for key in values if key not in fields
    ]
    given: dict[str, Any] = {}
    for key, field in fields.items():
        secret = bool(field.metadata.get("secret")) or is_secret_key(key)
        if key in values:
            try:
                given[key] = _field_value(field, seal(values[key], secret=secret), converter)
            except Exception as error:
                faults += [((key, *place), text) for place, text in _told(error)]
        elif field.default is attrs.NOTHING:
            faults.append(((key,), ": expected a value, found nothing (required)"))
    if faults:
        raise _Faults(faults)
    return cls(**given)


def _field_value(field: Any, value: Any, converter: Any) -> Any:
    return plain(value) if field.type is None or field.converter else converter.structure(value, field.type)
