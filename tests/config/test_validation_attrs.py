import datetime
import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, Optional, Union

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet.config.validation import check_schema, declared_keys, validate
from tracelet.errors import ConfigError
from tracelet.secrets import SecretStr


def faults_of(schema, values):
    with pytest.raises(ConfigError) as caught:
        validate(schema, values, path="p")
    return caught.value.faults


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(str, enum.Enum):
    LOW = "low"
    HIGH = "high"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


@attrs.define
class Server:
    host: str
    port: int = attrs.field(default=80, validator=attrs.validators.ge(1))


@attrs.define
class Local:
    folder: Path


class Name(str):
    """A string of a plugin's own."""


UserId = NewType("UserId", int)


def holding(annotation, **options):
    return attrs.make_class("Settings", {"x": attrs.field(type=annotation, **options)})


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (str, "a", "a"),
        (float, 3, 3.0),
        (Any, {"a": (1, object)}, {"a": (1, object)}),
        (Optional[int], None, None),  # noqa: UP045
        (int | None, 3, 3),
        (int | str, "a", "a"),
        (Union[float, int], 3, 3),  # noqa: UP007
        (str | list[str], ["a"], ["a"]),
        (bool | int, 1, 1),
        (bool | int, True, True),
        (list[int], [1, 2], [1, 2]),
        (list, [1, "a"], [1, "a"]),
        (Sequence[int], (1, 2), [1, 2]),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")),
        (set[str], ["a", "a"], {"a"}),
        (frozenset[str], ["a"], frozenset("a")),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict, {"a": [1]}, {"a": [1]}),
        (Mapping[str, list[int]], {"a": [1]}, {"a": [1]}),
        (Path, "~/data", Path("~/data")),
        (Color, "red", Color.RED),
        (Level, "high", Level.HIGH),
        (Size, 2, Size.LARGE),
        (Literal["a", 1], 1, 1),
        (datetime.date, datetime.date(2026, 1, 2), datetime.date(2026, 1, 2)),
        (datetime.datetime, "2026-01-02T03:04:05", datetime.datetime(2026, 1, 2, 3, 4, 5)),
        (datetime.time, "03:04", datetime.time(3, 4)),
        (Annotated[int, "unit: s"], 3, 3),
        (UserId, 3, 3),
        (Name, "ann", Name("ann")),
        (Server, {"host": "a"}, Server("a")),
        (Server, Server("a", 3), Server("a", 3)),
        (list[Server], [{"host": "a", "port": 2}], [Server("a", 2)]),
        (dict[str, Server], {"x": {"host": "a"}}, {"x": Server("a")}),
        (Server | Local, {"folder": "x"}, Local(Path("x"))),
        (Server | None, None, None),
        (None, 7, 7),
    ],
)
def test_types(annotation, value, expected):
    found = validate(holding(annotation), {"x": value}).x
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("annotation", "value", "faults"),
    [
        (str, 3, ["p.x: expected string, found 3 (integer)"]),
        (int, "3", ["p.x: expected integer, found '3' (string)"]),
        (int, 3.0, ["p.x: expected integer, found 3.0 (number); write 3"]),
        (int, True, ["p.x: expected integer, found true (boolean)"]),
        (float, "3", ["p.x: expected number, found '3' (string)"]),
        (bool, 1, ["p.x: expected boolean, found 1 (integer)"]),
        (int | None, "a", ["p.x: expected integer or null, found 'a' (string)"]),
        (int | list[str], 1.5, ["p.x: expected integer or array, found 1.5 (number)"]),
        (int | list[str], ["a", 1], ["p.x[1]: expected string, found 1 (integer)"]),
        (list[str], "abc", ["p.x: expected array, found 'abc' (string)"]),
        (tuple[int, str], [1], ["p.x: expected an array of 2 items, found [1] (array)"]),
        (
            set[int],
            [1, "b", "c"],
            [
                "p.x[1]: expected integer, found 'b' (string)",
                "p.x[2]: expected integer, found 'c' (string)",
            ],
        ),
        (dict[str, int], [1], ["p.x: expected object, found [1] (array)"]),
        (
            dict[str, list[int]],
            {"a": [1, "b"], "c": 3},
            [
                "p.x.a[1]: expected integer, found 'b' (string)",
                "p.x.c: expected array, found 3 (integer)",
            ],
        ),
        (Path, 3, ["p.x: expected string, found 3 (integer)"]),
        (Color, "green", ["p.x: expected one of 'red', 'blue', found 'green' (string)"]),
        (Level, "mid", ["p.x: expected one of 'low', 'high', found 'mid' (string)"]),
        (Size, True, ["p.x: expected one of 1, 2, found true (boolean)"]),
        (Literal["a", "b"], "c", ["p.x: expected one of 'a', 'b', found 'c' (string)"]),
        (datetime.date, "soon", ["p.x: expected date, found 'soon' (string)"]),
        (UserId, "a", ["p.x: expected integer, found 'a' (string)"]),
        (Server, 3, ["p.x: expected object, found 3 (integer)"]),
        (Server, {}, ["p.x.host: expected string, found nothing (required)"]),
        (
            Server,
            {"host": 1, "prt": 2},
            [
                "p.x.prt: unknown key (did you mean 'port'?)",
                "p.x.host: expected string, found 1 (integer)",
            ],
        ),
        (list[Server], [{"host": "a"}, {"host": 1}], ["p.x[1].host: expected string, found 1 (integer)"]),
        (Server, {"host": "a", "port": 0}, ["p.x.port: 'port' must be >= 1: 0"]),
        (Server | Local, {"folder": 3}, ["p.x.folder: expected string, found 3 (integer)"]),
        (Server | Local, 3, ["p.x: expected object, found 3 (integer)"]),
    ],
)
def test_misfits(annotation, value, faults):
    assert faults_of(holding(annotation), {"x": value}) == faults


def test_a_required_key_says_what_it_wants():
    @attrs.define
    class Settings:
        a: int
        b: str | None
        c: list[int]
        d: Any
        e: Server

    assert faults_of(Settings, {}) == [
        "p.a: expected integer, found nothing (required)",
        "p.b: expected string or null, found nothing (required)",
        "p.c: expected array, found nothing (required)",
        "p.d: expected a value, found nothing (required)",
        "p.e: expected object, found nothing (required)",
    ]


def test_keys_are_those_of_the_constructor():
    @attrs.define
    class Settings:
        _private: int = 1
        named: int = attrs.field(default=2, alias="other")
        computed: int = attrs.field(init=False, default=3)
        late: int = attrs.field(kw_only=True, default=4)

    assert declared_keys(Settings) == {"private", "other", "late"}
    made = validate(Settings, {"private": 5, "other": 6, "late": 7})
    assert (made._private, made.named, made.computed, made.late) == (5, 6, 3, 7)
    assert faults_of(Settings, {"named": 1, "computed": 3}) != []


def test_a_subclass_of_an_attrs_class():
    @attrs.define
    class Better(Server):
        zone: str = "eu"

    class Plain(Server):
        pass

    assert validate(Better, {"host": "a", "zone": "us"}) == Better("a", 80, "us")
    assert isinstance(validate(Plain, {"host": "a"}), Plain)


def test_an_instance_is_taken_as_it_is():
    server = Server("a")
    assert validate(Server, server) is server


class TestValidators:
    def test_all_of_them_are_asked(self):
        @attrs.define
        class Settings:
            low: int = attrs.field(validator=attrs.validators.ge(5))
            name: str = attrs.field(validator=attrs.validators.max_len(3))
            kind: Any = attrs.field(validator=attrs.validators.instance_of(list))
            fine: int = attrs.field(default=1, validator=attrs.validators.ge(0))

        faults = faults_of(Settings, {"low": 1, "name": "long", "kind": 3})
        assert [fault.partition(": ")[0] for fault in faults] == ["p.low", "p.name", "p.kind"]
        assert "must be >= 5" in faults[0]
        assert "must be <class 'list'>" in faults[2]
        assert "Attribute(" not in faults[2]

    def test_one_that_looks_at_another_field(self):
        @attrs.define
        class Settings:
            low: int
            high: int = attrs.field()

            @high.validator
            def _above(self, attribute, value):
                if value < self.low:
                    raise ValueError(f"high must be above low, which is {self.low}")

        assert faults_of(Settings, {"low": 3, "high": 1}) == ["p.high: high must be above low, which is 3"]

    def test_the_whole(self):
        @attrs.define
        class Settings:
            a: int = 0
            token: str = ""

            def __attrs_post_init__(self):
                raise ValueError(f"a={self.a} does not go with token {self.token}")

        assert faults_of(Settings, {"a": 1, "token": "xy"}) == ["p: a=1 does not go with token ***"]

    def test_an_exception_without_words(self):
        @attrs.define
        class Settings:
            a: int = attrs.field()

            @a.validator
            def _check(self, attribute, value):
                raise KeyError

        assert faults_of(Settings, {"a": 1}) == ["p.a: KeyError"]

    def test_secrets_stay_out_of_their_words(self):
        @attrs.define
        class Settings:
            api_key: str = attrs.field(validator=attrs.validators.matches_re("^k-"))
            pin: int = attrs.field(metadata={"secret": True}, validator=attrs.validators.le(9))
            login: Server = attrs.field(metadata={"secret": True})

        faults = faults_of(Settings, {"api_key": "zz7", "pin": 42, "login": {"host": 42, "port": "zz7"}})
        assert len(faults) == 2
        faults += faults_of(Settings, {"api_key": "zz7", "pin": 42, "login": {"host": "h"}})
        assert len(faults) == 4
        assert "zz7" not in repr(faults)
        assert "42" not in repr(faults)


class TestConverters:
    def test_a_field_with_one_gets_what_was_configured(self):
        @attrs.define
        class Settings:
            timeout: float = attrs.field(converter=float)
            names: tuple[str, ...] = attrs.field(default=(), converter=lambda text: tuple(text.split(",")))

        made = validate(Settings, {"timeout": "1.5", "names": "a,b"})
        assert (made.timeout, made.names) == (1.5, ("a", "b"))
        assert faults_of(Settings, {"timeout": "abc", "names": 3}) == [
            "p.timeout: could not convert string to float: 'abc'",
            "p.names: 'int' object has no attribute 'split'",
        ]

    def test_one_that_takes_the_instance(self):
        if not hasattr(attrs, "Converter"):
            pytest.skip("attrs.Converter came with attrs 24.1")

        def scale(value, instance, field):
            return value * instance.factor

        @attrs.define
        class Settings:
            factor: int
            x: int = attrs.field(
                converter=attrs.Converter(scale, takes_self=True, takes_field=True),
                validator=attrs.validators.le(9),
            )

        assert validate(Settings, {"factor": 2, "x": 3}).x == 6
        assert faults_of(Settings, {"factor": 4, "x": 3}) == ["p.x: 'x' must be <= 9: 12"]


class TestSecrets:
    def test_by_metadata_and_by_name(self):
        @attrs.define
        class Settings:
            phrase: str = attrs.field(metadata={"secret": True})
            tokens: list[str]
            hosts: dict[str, str]

        made = validate(
            Settings,
            {"phrase": "canary-1", "tokens": ["canary-2"], "hosts": {"a": "canary-3", "api_key": "canary-4"}},
        )
        assert (made.phrase, made.tokens) == ("canary-1", ["canary-2"])
        assert isinstance(made.phrase, SecretStr)
        assert "canary-3" in repr(made)
        assert not any(f"canary-{n}" in repr(made) for n in (1, 2, 4))


def test_annotations_as_text():
    assert validate(Written, {"server": {"host": "a"}, "n": 3}) == Written(Server("a"), 3)
    assert faults_of(Written, {"server": {"host": 1}}) == [
        "p.server.host: expected string, found 1 (integer)"
    ]


@attrs.define
class Written:
    server: "Server"
    n: "int | None" = None


def test_annotations_that_lead_nowhere_are_the_plugins_fault():
    @attrs.define
    class Settings:
        x: "Nowhere"  # noqa: F821

    [fault] = check_schema(Settings)
    assert fault.startswith("config_schema: annotations of Settings cannot be resolved: NameError:")
    with pytest.raises(ConfigError, match="the plugin's config_schema is malformed"):
        validate(Settings, {"x": 1})


def test_a_type_that_nobody_can_make():
    class Opaque:
        def __init__(self, a, b):
            pass

    [fault] = faults_of(holding(Opaque), {"x": 3})
    assert fault.startswith("p.x: ")
    assert "Opaque" in fault


@given(
    st.recursive(
        st.integers() | st.text(max_size=3) | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_strictness_is_total(value):
    """A value fits `list[int]` exactly when it is one."""
    settings = holding(list[int])
    fits = isinstance(value, list) and all(type(each) is int for each in value)
    if fits:
        assert validate(settings, {"x": value}).x == value
    else:
        faults = faults_of(settings, {"x": value})
        assert len(faults) == (sum(type(each) is not int for each in value) if isinstance(value, list) else 1)
