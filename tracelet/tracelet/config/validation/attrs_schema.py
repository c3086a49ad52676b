"""An attrs class as schema: the configuration arrives as an instance, structured by cattrs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tracelet.config.interpolation import plain
from tracelet.config.validation.annotations import words_for
from tracelet.config.validation.converter import (
    Fault,
    FaultsError,
    attempt,
    strict_converter,
)
from tracelet.messages import did_you_mean, join_path, mismatch
from tracelet.secrets import holds_secret, redact, seal


def is_attrs_class(schema: Any) -> bool:
    """Return whether ``schema`` is an attrs class."""
    return isinstance(schema, type) and getattr(schema, "__attrs_attrs__", None) is not None


def keys(cls: Any) -> frozenset[str]:
    """Return the keys that the class accepts."""
    return frozenset(_fields(cls))


def _fields(cls: Any) -> dict[str, Any]:
    return {field.alias: field for field in cls.__attrs_attrs__ if field.init}


def faults_of(cls: Any, path: str) -> list[str]:
    """Return what is wrong with the class: annotations that cannot be resolved."""
    import attrs

    try:
        attrs.resolve_types(cls)
    except Exception as error:  # annotations can be any code
        return [f"{path}: annotations of {cls.__name__} cannot be resolved: {type(error).__name__}: {error}"]
    return []


def structure(cls: Any, values: Mapping[str, Any], path: str, faults: list[str]) -> Any:
    """Return an instance of ``cls``; what does not fit is added to ``faults``."""
    converter = strict_converter(_instance)
    made = attempt(_instance, cls, values, converter)
    faults += [_text(path, fault) for fault in made.faults]
    return made.value


def _text(path: str, fault: Fault) -> str:
    path = join_path(path, fault.steps)
    if fault.expected:
        return mismatch(path, fault.expected, fault.value, secret=fault.secret)
    return f"{path}: {redact(fault.text, also=_leaves(fault.value) if fault.secret else ())}"


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [leaf for each in value.values() for leaf in _leaves(each)]
    if isinstance(value, (list, tuple)):
        return [leaf for each in value for leaf in _leaves(each)]
    return [] if value is None or isinstance(value, bool) else [value]


class _Given(NamedTuple):
    """The value of one field, and whether it is a secret."""

    field: Any
    value: Any
    secret: bool


def _instance(cls: Any, values: Any, converter: Any) -> Any:
    """Make an instance of an attrs class, or raise :class:`FaultsError` with every fault."""
    import attrs

    if isinstance(values, cls):
        return values
    if not isinstance(values, Mapping):
        raise FaultsError([Fault((), "object", values)])
    attrs.resolve_types(cls)
    fields = _fields(cls)
    faults = [
        Fault((key,), text="unknown key" + did_you_mean(key, fields)) for key in values if key not in fields
    ]
    given: dict[str, _Given] = {}
    for key, field in fields.items():
        secret = bool(field.metadata.get("secret")) or holds_secret(key, values.get(key))
        if key in values:
            sealed = seal(values[key], secret=secret)
            made = attempt(_field_value, field, sealed, converter)
            faults += [fault.within(key, secret=secret) for fault in made.faults]
            given[key] = _Given(field, _sealed_number(made.value, secret=secret), secret)
        elif field.default is attrs.NOTHING:
            faults.append(Fault((key,), text=f"expected {words_for(field.type)}, found nothing (required)"))
    if faults:
        raise FaultsError(faults)
    return _called(cls, given)


def _sealed_number(value: Any, *, secret: bool) -> Any:
    """Seal a number again if structuring made a plain number of another type."""
    return seal(value, secret=True) if secret and type(value) in (int, float) else value


def _field_value(field: Any, value: Any, converter: Any) -> Any:
    """Return the value for a field; a field with a converter gets the configured value."""
    if field.type is None or field.converter is not None:
        return plain(value)
    return converter.structure(value, field.type)


def _called(cls: Any, given: Mapping[str, _Given]) -> Any:
    try:
        return cls(**{key: each.value for key, each in given.items()})
    except Exception as error:  # from a converter, a validator or __attrs_post_init__
        whole = [each.value for each in given.values() if each.secret]
        raise FaultsError(
            _field_faults(cls, given) or [Fault((), value=whole, text=_message(error), secret=True)]
        ) from None


def _field_faults(cls: Any, given: Mapping[str, _Given]) -> list[Fault]:
    """Run each field's converter and validator separately, because attrs stops at the first failure."""
    blank = object.__new__(cls)
    faults: list[Fault] = []
    for key, each in given.items():
        try:
            value = _converted(each.field, each.value, blank)
            object.__setattr__(blank, each.field.name, value)
            if each.field.validator is not None:
                each.field.validator(blank, each.field, value)
        except Exception as error:  # a validator may raise anything
            faults.append(Fault((key,), value=each.value, text=_message(error), secret=each.secret))
    return faults


def _converted(field: Any, value: Any, blank: Any) -> Any:
    convert = field.converter
    if convert is None:
        return value
    extra = [blank] * getattr(convert, "takes_self", False) + [field] * getattr(convert, "takes_field", False)
    return getattr(convert, "converter", convert)(value, *extra)


def _message(error: BaseException) -> str:
    """Return an exception's message; attrs puts objects after it."""
    said = str(error.args[0]) if error.args else ""
    return said or type(error).__name__
