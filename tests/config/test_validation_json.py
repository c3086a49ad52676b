import pytest

from tracelet.config.validation import declared_keys, validate
from tracelet.errors import ConfigError


def faults_of(schema, values):
    with pytest.raises(ConfigError) as caught:
        validate(schema, values, path="p")
    return sorted(caught.value.faults)


def only(field, **more):
    return {"type": "object", "properties": {"x": field}, **more}


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ({"type": "number"}, "abc", "expected number, found 'abc' (string)"),
        ({"type": ["number", "null"]}, "abc", "expected number or null, found 'abc' (string)"),
        ({"type": "number"}, True, "expected number, found true (boolean)"),
        ({"type": "array"}, (1, 2), ""),
        (
            {"enum": ["fast", "slow"]},
            "fats",
            "expected one of 'fast', 'slow', found 'fats' (string) (did you mean 'fast'?)",
        ),
        ({"const": 3}, 4, "expected 3, found 4 (integer)"),
        ({"minimum": 1}, 0, "expected at least 1, found 0 (integer)"),
        ({"exclusiveMinimum": 0}, 0, "expected more than 0, found 0 (integer)"),
        ({"maximum": 1}, 2, "expected at most 1, found 2 (integer)"),
        ({"exclusiveMaximum": 1}, 1, "expected less than 1, found 1 (integer)"),
        ({"multipleOf": 5}, 3, "expected a multiple of 5, found 3 (integer)"),
        ({"minLength": 3}, "a", "expected at least 3 characters, found 'a' (string)"),
        ({"maxItems": 1}, [1, 2], "expected at most 1 items, found [1, 2] (array)"),
        ({"pattern": "^a"}, "b", "expected a string that matches '^a', found 'b' (string)"),
        ({"format": "ipv4"}, "b", "expected a string in the format 'ipv4', found 'b' (string)"),
        ({"uniqueItems": True}, [1, 1], "expected items that differ, found [1, 1] (array)"),
        (
            {"anyOf": [{"type": "number"}, {"type": "string"}]},
            [],
            "expected number or string, found [] (array)",
        ),
        (
            {"anyOf": [{"type": "number", "minimum": 3}, {"type": "string"}]},
            1,
            "expected at least 3, found 1 (integer)",
        ),
        ({"not": {"type": "string"}}, "a", "'a' should not be valid under {'type': 'string'}"),
        ({"contains": {"type": "string"}}, [1], "[1] does not contain items matching the given schema"),
    ],
)
def test_one_key(field, value, fault):
    if fault:
        assert faults_of(only(field), {"x": value}) == [f"p.x: {fault}"]
    else:
        assert validate(only(field), {"x": value})["x"] == list(value)


@pytest.mark.parametrize(
    "field",
    [
        {"type": "number"},
        {"enum": ["a", "b"]},
        {"pattern": "^a"},
        {"const": "a"},
        {"not": {"type": "string"}},
        {"anyOf": [{"type": "number"}, {"type": "array"}]},
        {"anyOf": [{"minLength": 50}, {"pattern": "^a"}]},
        {"maxLength": 2},
    ],
)
@pytest.mark.parametrize("mark", [{"secret": True}, {"writeOnly": True}, {"format": "password"}])
def test_secrets_stay_out_of_every_message(field, mark):
    schema = {"type": "object", "properties": {"x": {**field, **mark}}, "required": ["y"]}
    faults = faults_of(schema, {"x": "zz7"})  # shorter than what redact would look for
    assert len(faults) == 2
    assert "zz7" not in repr(faults)


def test_nor_do_they_show_in_messages_about_what_holds_them():
    schema = only({"type": "object", "properties": {"pin": {"secret": True}}, "maxProperties": 1})
    assert faults_of(schema, {"x": {"pin": 777, "more": 1}}) == [
        "p.x.more: unknown key; known: pin",
        "p.x: expected at most 1 keys, found *** (object)",
    ]


def test_required_keys_each():
    schema = {
        "properties": {"a": {"type": "string"}, "b": {"type": ["integer", "null"]}},
        "required": ["a", "b"],
    }
    assert faults_of(schema, {}) == [
        "p.a: expected string, found nothing (required)",
        "p.b: expected integer or null, found nothing (required)",
    ]


class TestUnknownKeys:
    def test_where_properties_are_declared(self):
        assert faults_of(only({}), {"y": 1}) == ["p.y: unknown key; known: x"]
        nested = only({"type": "object", "properties": {"timeout": {}}})
        assert faults_of(nested, {"x": {"timeot": 1}}) == [
            "p.x.timeot: unknown key (did you mean 'timeout'?)"
        ]

    def test_where_they_are_forbidden(self):
        schema = only({}, additionalProperties=False, patternProperties={"^env_": {}})
        assert faults_of(schema, {"y": 1, "env_a": 1}) == ["p.y: unknown key; known: x"]

    @pytest.mark.parametrize(
        "more",
        [
            {"additionalProperties": True},
            {"additionalProperties": {"type": "integer"}},
            {"patternProperties": {"^y": {}}},
        ],
    )
    def test_not_where_they_are_allowed(self, more):
        assert validate(only({}, **more), {"y": 1}) == {"y": 1}

    def test_not_where_nothing_is_declared(self):
        assert validate({"type": "object"}, {"y": 1}) == {"y": 1}

    def test_what_any_part_declares_is_known(self):
        schema = {
            "$ref": "#/$defs/base",
            "$defs": {"base": {"properties": {"a": {}}}},
            "allOf": [{"properties": {"b": {}}}],
            "anyOf": [{"properties": {"c": {}}}, {"properties": {"d": {}}}],
            "if": {"required": ["a"]},
            "then": {"properties": {"e": {}}},
        }
        assert validate(schema, dict.fromkeys("abcde", 1)) == dict.fromkeys("abcde", 1)
        assert faults_of(schema, {"f": 1}) == ["p.f: unknown key; known: a, b, c, d, e"]
        assert declared_keys(schema) == set("abcde")


class TestDefaults:
    def test_nested_and_through_references(self):
        schema = {
            "properties": {
                "retry": {"$ref": "#/$defs/retry"},
                "servers": {"type": "array", "items": {"properties": {"host": {}, "port": {"default": 80}}}},
            },
            "$defs": {"retry": {"type": "object", "properties": {"times": {"default": 3}, "wait": {}}}},
        }
        assert validate(schema, {"servers": [{"host": "a"}]}) == {
            "retry": {"times": 3},
            "servers": [{"host": "a", "port": 80}],
        }

    def test_a_table_is_not_made_up_where_that_would_break_it(self):
        schema = only({"properties": {"user": {}, "level": {"default": 1}}, "required": ["user"]})
        assert validate(schema, {}) == {}
        assert validate(schema, {"x": {"user": "u"}}) == {"x": {"user": "u", "level": 1}}

    def test_those_of_branches_are_left_alone(self):
        schema = {"anyOf": [{"properties": {"a": {"default": 1}}}, {"properties": {"b": {"default": 2}}}]}
        assert validate(schema, {}) == {}

    def test_a_schema_that_refers_to_itself(self):
        schema = {"properties": {"level": {"default": 1}, "child": {"$ref": "#"}}}
        assert validate(schema, {}) == {"level": 1, "child": {"level": 1}} or validate(schema, {}) == {
            "level": 1
        }
        assert validate(schema, {"child": {"child": {}}})["child"]["child"]["level"] == 1

    def test_items_of_a_tuple_in_both_spellings(self):
        new = only({"prefixItems": [{"properties": {"a": {"default": 1}}}], "items": {"type": "integer"}})
        old = {
            "$schema": "http://json-schema.org/draft-07/schema#",
            **only(
                {"items": [{"properties": {"a": {"default": 1}}}], "additionalItems": {"type": "integer"}}
            ),
        }
        for schema in (new, old):
            assert validate(schema, {"x": [{}, 2]}) == {"x": [{"a": 1}, 2]}
            assert faults_of(schema, {"x": [{}, "b"]}) == ["p.x[1]: expected integer, found 'b' (string)"]


def test_the_draft_that_the_schema_names_counts():
    exclusive = {"minimum": 0, "exclusiveMinimum": True}
    draft4 = {"$schema": "http://json-schema.org/draft-04/schema#", **only(exclusive)}
    assert faults_of(draft4, {"x": 0})[0].startswith("p.x: ")
    assert "config_schema.properties.x.exclusiveMinimum: expected number" in str(
        faults_of(only(exclusive), {"x": 0})
    )


def test_a_reference_to_nowhere_is_the_schemas_fault():
    for reference in ("#/$defs/none", "http://127.0.0.1:9/schema.json"):
        [fault] = faults_of(only({"$ref": reference}), {"x": 1})
        assert fault.startswith("p: the plugin's config_schema cannot be applied: ")
        assert reference in fault
