"""What holds for all three forms of a schema."""

import attrs
import pytest

from tracelet.config.validation import check_schema, declared_keys, validate
from tracelet.config.validation.forms import is_json_schema
from tracelet.errors import ConfigError
from tracelet.secrets import SecretStr


@attrs.define
class Backend:
    url: str
    timeout: float = 30.0
    retries: int = 3
    verify: bool = True
    tags: list[str] = attrs.field(factory=list)
    pin: int = attrs.field(default=0, metadata={"secret": True})
    api_key: str = ""


SHORT = {
    "url": {"type": "string", "required": True},
    "timeout": {"type": "number", "required": True, "default": 30.0},
    "retries": {"type": "integer", "default": 3},
    "verify": {"type": "boolean", "default": True},
    "tags": {"type": "array", "items": {"type": "string"}, "default": []},
    "pin": {"type": "integer", "default": 0, "secret": True},
    "api_key": {"type": "string", "default": ""},
}
JSON = {
    "type": "object",
    "properties": {
        "url": {"type": "string"},
        "timeout": {"type": "number", "default": 30.0},
        "retries": {"type": "integer", "default": 3},
        "verify": {"type": "boolean", "default": True},
        "tags": {"type": "array", "items": {"type": "string"}, "default": []},
        "pin": {"type": "integer", "default": 0, "secret": True},
        "api_key": {"type": "string", "default": ""},
    },
    "required": ["url", "timeout"],
}
every_form = pytest.mark.parametrize(
    "schema",
    [SHORT, JSON, Backend, {**JSON, "additionalProperties": False}],
    ids=["short", "json", "attrs", "closed"],
)


def faults_of(schema, values, path="plugins.mlflow"):
    with pytest.raises(ConfigError) as caught:
        validate(schema, values, path=path)
    return sorted(caught.value.faults)


def as_dict(config):
    return attrs.asdict(config) if attrs.has(type(config)) else config


@every_form
def test_defaults_are_filled_in(schema):
    given = {"url": "http://localhost", "timeout": 5}
    assert as_dict(validate(schema, given)) == {
        "url": "http://localhost",
        "timeout": 5,
        "retries": 3,
        "verify": True,
        "tags": [],
        "pin": 0,
        "api_key": "",
    }
    assert given == {"url": "http://localhost", "timeout": 5}


@every_form
def test_every_fault_at_once_with_its_path(schema):
    values = {
        "timeout": "abc",
        "retries": 1.5,
        "verify": "yes",
        "tags": ["a", 1, None],
        "pin": "hunter2",
        "api_key": 42,
        "timeot": 3,
    }
    assert faults_of(schema, values) == [
        "plugins.mlflow.api_key: expected string, found *** (integer)",
        "plugins.mlflow.pin: expected integer, found *** (string)",
        "plugins.mlflow.retries: expected integer, found 1.5 (number)",
        "plugins.mlflow.tags[1]: expected string, found 1 (integer)",
        "plugins.mlflow.tags[2]: expected string, found null",
        "plugins.mlflow.timeot: unknown key (did you mean 'timeout'?)",
        "plugins.mlflow.timeout: expected number, found 'abc' (string)",
        "plugins.mlflow.url: expected string, found nothing (required)",
        "plugins.mlflow.verify: expected boolean, found 'yes' (string)",
    ]


@every_form
def test_a_boolean_is_no_number(schema):
    faults = faults_of(schema, {"url": "x", "timeout": True, "retries": False})
    assert faults == [
        "plugins.mlflow.retries: expected integer, found false (boolean)",
        "plugins.mlflow.timeout: expected number, found true (boolean)",
    ]


@every_form
def test_an_integer_is_a_number(schema):
    assert as_dict(validate(schema, {"url": "x", "timeout": 3}))["timeout"] == 3


@every_form
def test_secrets_arrive_whole_and_do_not_show(schema):
    config = validate(schema, {"url": "x", "api_key": "canary-1"})
    assert as_dict(config)["api_key"] == "canary-1"
    assert isinstance(as_dict(config)["api_key"], SecretStr)
    assert "canary-1" not in repr(config)


@every_form
def test_numbers_may_be_secrets_too(schema):
    config = validate(schema, {"url": "x", "timeout": 1, "pin": 42})
    assert as_dict(config)["pin"] == 42
    assert "42" not in repr(config)


@every_form
def test_variables_may_stand_for_numbers_and_booleans(schema, folder):
    folder.write(
        "tracelet.toml", "[plugins.p]\nurl = '${U}'\ntimeout = '${T}'\nretries = '${R}'\nverify = '${V:-off}'"
    )
    own = folder.load(environ={"U": "7", "T": "1.5", "R": "x"}).plugin_config("p")[1]
    assert faults_of(schema, own, "p") == ["p.retries: expected integer, found 'x' (string)"]
    own = folder.load(environ={"U": "7", "T": "1.5", "R": "2"}).plugin_config("p")[1]
    config = as_dict(validate(schema, own))
    assert [config[key] for key in ("url", "timeout", "retries", "verify")] == ["7", 1.5, 2, False]
    assert type(config["url"]) is str


@every_form
def test_results_share_nothing(schema):
    given = {"url": "x", "tags": ["a"]}
    given = {**given, "timeout": 1}
    first, second = (as_dict(validate(schema, given)) for _ in range(2))
    first["tags"].append("b")
    assert (second["tags"], given["tags"]) == (["a"], ["a"])
    empty = {"url": "x", "timeout": 1}
    as_dict(validate(schema, empty))["tags"].append("b")
    assert as_dict(validate(schema, empty))["tags"] == []


@every_form
def test_something_that_is_no_table(schema):
    assert faults_of(schema, [1]) == ["plugins.mlflow: expected object, found [1] (array)"]


@every_form
def test_declared_keys(schema):
    assert declared_keys(schema) == set(SHORT)
    assert check_schema(schema) == []


@pytest.mark.parametrize("schema", [None, {}])
def test_without_a_schema_anything_goes(schema):
    values = {"a": 1, "token": "tok-1234", "nested": {"b": (1, 2)}}
    config = validate(schema, values)
    assert config == values
    assert "tok-1234" not in repr(config)
    assert validate(schema, None) == {}
    assert declared_keys(schema) == frozenset()


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"timeout": {"type": "number"}}, False),
        ({"type": {"type": "string"}}, False),
        ({"type": {"default": "x"}}, False),
        ({"properties": {"type": "object"}}, False),
        ({"required": {"type": "boolean"}, "title": {"type": "string"}}, False),
        ({"enum": {"type": "array"}, "items": {"type": "array"}}, False),
        ({"type": "object"}, True),
        ({"type": ["object", "null"]}, True),
        ({"properties": {"a": {"type": "string"}}}, True),
        ({"properties": {"type": {"type": "string"}}}, True),
        ({"properties": {}}, True),
        ({"required": ["a"]}, True),
        ({"$ref": "#/$defs/a", "$defs": {}}, True),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, True),
        ({"anyOf": []}, True),
        ({"additionalProperties": {"type": "number"}}, False),
        ({"additionalProperties": False}, True),
    ],
)
def test_the_short_form_and_json_schema_are_told_apart(schema, expected):
    assert is_json_schema(schema) is expected


def test_a_short_form_with_keys_named_like_keywords():
    schema = {
        "type": {"type": "string"},
        "properties": {"type": "object"},
        "items": {"type": "integer", "default": 2},
    }
    assert validate(schema, {"type": "a", "properties": {"x": 1}}) == {
        "type": "a",
        "properties": {"x": 1},
        "items": 2,
    }


@pytest.mark.parametrize(
    ("schema", "faults"),
    [
        (
            ["url"],
            [
                "config_schema: expected the short form, a JSON Schema or an attrs class, found ['url'] (array)"
            ],
        ),
        (
            dict,
            ["config_schema: expected the short form, a JSON Schema or an attrs class, found dict (class)"],
        ),
        (
            {"a": {"type": "nubmer"}, "b": {"type": "int"}, "c": {"type": str}, "d": "string"},
            [
                "config_schema.a.type: unknown type 'nubmer' (did you mean 'number'?)",
                "config_schema.b.type: unknown type 'int' (did you mean 'integer'?)",
                "config_schema.c.type: unknown type 'str' (did you mean 'string'?)",
                'config_schema.d: expected a table such as {"type": "string"}, found \'string\' (string)',
            ],
        ),
        (
            {"a": {"type": "object", "properties": {"b": {"requird": True}}}, "l": {"items": {"type": "?"}}},
            [
                "config_schema.a.properties.b.requird: unknown keyword (did you mean 'required'?)",
                "config_schema.l.items.type: unknown type '?'; known: array, boolean, integer, number, object, string",
            ],
        ),
        ({"a": {"type": "string", "help": "what it is for", "title": "A", "example": 1}}, []),
        ({"a": {"choices": "abc"}}, ["config_schema.a.choices: expected array, found 'abc' (string)"]),
        ({"a": {"properties": 3}}, ["config_schema.a.properties: expected a table, found 3 (integer)"]),
        (
            {"type": "object", "properties": {"a": {"type": "nubmer"}}},
            ["config_schema.properties.a.type: unknown type 'nubmer' (did you mean 'number'?)"],
        ),
        (
            {"type": "object", "required": "a", "properties": {"a": {"minimum": "1", "pattern": "("}}},
            [
                "config_schema.properties.a.minimum: expected number, found '1' (string)",
                "config_schema.properties.a.pattern: expected a string in the format 'regex', found '(' (string)",
                "config_schema.required: expected array, found 'a' (string)",
            ],
        ),
    ],
)
def test_a_malformed_schema_is_the_plugins_fault(schema, faults):
    assert sorted(check_schema(schema)) == sorted(faults)
    if faults:
        with pytest.raises(
            ConfigError, match=r"^plugins.p: the plugin's config_schema is malformed: config_schema"
        ):
            validate(schema, {}, path="plugins.p")
