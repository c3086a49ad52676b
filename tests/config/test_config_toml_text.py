"""The look at TOML as text agrees with the parser's view, whatever stands in strings and comments."""

import importlib
import sys

from hypothesis import given
from hypothesis import strategies as st

from tracelet.config.toml_text import PLUGIN_LIST, rename_plugin_list, statements

toml = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

AWKWARD = [
    "plugins",
    "=",
    "[",
    "]",
    "{",
    "}",
    "#",
    "\n",
    " ",
    ",",
    "a",
    "é",
    "plugins = ['x']",
    "[plugins.a]",
]
texts = st.lists(st.sampled_from([*AWKWARD, '"', "'", "\\", "\t"])).map("".join)


def basic(text):
    escaped = "".join(f"\\u{ord(each):04x}" if each in '"\\\n\t' else each for each in text)
    return f'"{escaped}"'


def multiline(text):
    return f'"""\n{text}"""'.replace("\\", "\\\\") if '"' not in text else basic(text)


def literal(text):
    return f"'{text}'" if "'" not in text and "\n" not in text else basic(text)


def multiline_literal(text):
    return f"'''{text}'''" if "'" not in text else basic(text)


strings = st.builds(
    lambda form, text: form(text), st.sampled_from([basic, literal, multiline, multiline_literal]), texts
)
blank = st.sampled_from(["", " ", "  # plugins = [ ' \" ]\n", "\n"])
scalars = strings | st.sampled_from(["1", "-2.5", "inf", "true", "2026-01-01T00:00:00Z", "1_000"])
arrays = st.lists(st.tuples(blank, scalars)).map(
    lambda items: "[" + ",".join(f"{space}{value}" for space, value in items) + "\n]"
)
inline = st.lists(scalars.filter(lambda text: "\n" not in text), max_size=3).map(
    lambda values: "{" + ", ".join(f"k{at} = {value}" for at, value in enumerate(values)) + "}"
)
values = scalars | arrays | inline
comments = st.sampled_from(["", "  # ' \" [ = plugins"])
plugin_keys = st.sampled_from(["plugins", '"plugins"', "'plugins'"])


@st.composite
def documents(draw):
    """A document with ``plugins`` as a list among other keys, and the text of its tables."""
    lines = [
        f"k{at} = {value}{draw(comments)}" for at, value in enumerate(draw(st.lists(values, max_size=4)))
    ]
    listed = f"{draw(plugin_keys)}{draw(st.sampled_from(['=', ' = ']))}{draw(arrays)}{draw(comments)}"
    lines.insert(draw(st.integers(0, len(lines))), listed)
    headers = [
        f"[{name}]{draw(comments)}\nx = {draw(values)}\nplugins = [1]"
        for name in draw(st.sets(st.sampled_from(["plugins.a", "plugins.'b.c'", "other", 'other."#"'])))
    ]
    return "\n".join(lines), "\n".join(headers)


@given(documents())
def test_the_list_and_the_tables_are_both_there_after_renaming(document):
    head, tables = document
    text = head + "\n" + tables + "\n"
    parsed = toml.loads(rename_plugin_list(text))
    listed = toml.loads(head)
    assert parsed.pop(PLUGIN_LIST) == listed.pop("plugins")
    assert parsed == {**listed, **toml.loads(tables)}


@given(documents())
def test_renaming_moves_nothing(document):
    text = "\n".join(document)
    renamed = rename_plugin_list(text)
    assert len(renamed) == len(text)
    assert [at for at, each in enumerate(renamed) if each == "\n"] == [
        at for at, each in enumerate(text) if each == "\n"
    ]


@given(documents())
def test_every_key_at_the_top_is_seen_once(document):
    head, _ = document
    assert sorted(each.key[0] for each in statements(head)) == sorted(toml.loads(head))


@given(texts)
def test_what_is_no_toml_is_left_to_the_parser(text):
    renamed = rename_plugin_list(text)
    assert len(renamed) == len(text)
    assert list(statements(text)) is not None
