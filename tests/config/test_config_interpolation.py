import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet.config.interpolation import EnvStr, from_environment, interpolate, plain, resolve
from tracelet.secrets import redact

ENVIRON = {"NAME": "value", "EMPTY": "", "OTHER": "x}y", "_a1": "low"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${NAME}", "value"),
        ("a ${NAME} b ${_a1}", "a value b low"),
        ("${NAME}${OTHER}", "valuex}y"),
        ("${NOPE:-default}", "default"),
        ("${NOPE:-}", ""),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${NAME:-default}", "value"),
        ("${NOPE:-${NAME}}", "value"),
        ("${NOPE:-a ${NOPE:-b ${NAME}} c}", "a b value c"),
        ("${NOPE:-http://host:80/$x}", "http://host:80/$x"),
        ("$${NAME}", "${NAME}"),
        ("$${NAME} ${NAME}", "${NAME} value"),
        ("$$${NAME}", "$${NAME}"),
        ("$NAME $ {NAME} }", "$NAME $ {NAME} }"),
        ("", ""),
    ],
)
def test_references(text, expected):
    assert resolve(text, ENVIRON) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${NOPE}", "environment variable NOPE is not set; set it, or give a default: ${NOPE:-...}"),
        ("${NOPE:-${ALSO_NOT}}", "environment variable ALSO_NOT is not set"),
        ("${NAME", "expected '}' after '${'; a plain '${' is written '$${'"),
        ("${}", "expected ${NAME} or ${NAME:-default}"),
        ("${1st}", "found '${1st...'"),
        ("${NAME:?hunter22}", "found '${NAME...'"),
    ],
)
def test_what_cannot_be_resolved(text, words):
    with pytest.raises(ValueError) as caught:
        resolve(text, ENVIRON)
    assert words in str(caught.value)
    assert "hunter22" not in str(caught.value)


def test_every_fault_is_told_with_its_path():
    faults = []
    values = {"a": "${NOPE}", "t": {"list": ["x", "${ALSO_NOT}"], "ok": "${NAME}", "n": 3}}
    result = interpolate(values, ENVIRON, "plugins.mlflow", faults)
    assert [fault.partition(":")[0] for fault in faults] == ["plugins.mlflow.a", "plugins.mlflow.t.list[1]"]
    assert result["t"]["ok"] == "value"
    assert values["t"]["ok"] == "${NAME}"


@pytest.mark.parametrize(
    ("text", "wanted", "value"),
    [
        ("30", "integer", 30),
        (" -30 ", "number", -30),
        ("1e-3", "number", 1e-3),
        ("inf", "number", float("inf")),
        ("1.5", "integer", "1.5"),
        ("1_000", "integer", "1_000"),
        ("thirty", "number", "thirty"),
        ("Yes", "boolean", True),
        ("0", "boolean", False),
        ("maybe", "boolean", "maybe"),
        ("30", "string", "30"),
        ("a,b", "array", "a,b"),
    ],
)
def test_a_variable_may_stand_for_a_number_or_a_boolean(text, wanted, value):
    resolved = resolve("${V}", {"V": text})
    assert from_environment(resolved, wanted) == value
    assert type(from_environment(resolved, wanted)) is (EnvStr if isinstance(value, str) else type(value))


def test_a_string_of_the_file_stands_for_itself():
    assert from_environment("30", "integer") == "30"
    assert from_environment(resolve("${A:-3}0", {}), "integer") == "30"


def test_a_variable_that_names_a_secret_is_one_wherever_it_is_used():
    resolve("http://host/?key=${WANDB_API_KEY}", {"WANDB_API_KEY": "w-123456"})
    assert redact("GET http://host/?key=w-123456") == "GET http://host/?key=***"


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)
environs = st.dictionaries(names, st.text(max_size=20), max_size=5)


@given(st.text(st.sampled_from("$ab{ }:-")), environs)
def test_escaped_text_comes_back_as_it_was(text, environ):
    assert resolve(text.replace("${", "$${"), environ) == text


@given(st.text().filter(lambda text: "${" not in text), environs)
def test_text_without_references_is_left_alone(text, environ):
    assert resolve(text, environ) == text


@given(
    names,
    st.text(min_size=1),
    st.text(st.characters(exclude_characters="$")),
    st.text(st.characters(exclude_characters="$")),
)
def test_a_value_is_put_in_verbatim(name, value, before, after):
    assert resolve(f"{before}${{{name}}}{after}", {name: value}) == before + value + after


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text().map(EnvStr) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=10,
)


@given(json_like)
def test_plain_keeps_everything_but_the_type(values):
    before = copy.deepcopy(values)
    assert plain(values) == values == before


def test_plain_leaves_no_trace_of_the_environment():
    assert type(plain([{"a": EnvStr("x")}])[0]["a"]) is str
