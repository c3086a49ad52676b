"""The page on configuration says what the code does."""

import re
from pathlib import Path

import pytest

from tracelet.config import DEADLINES
from tracelet.config.settings import METRIC_TYPES, PLUGIN_SETTINGS, SETTINGS
from tracelet.config.variables import OTHERS, VARIABLES
from tracelet_hookspecs import specs

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")


def section(title):
    return re.split(r"^## ", PAGE.partition(f"\n## {title}\n")[2], flags=re.M)[0]


def rows(text):
    return {row[1]: row[2].strip() for row in re.finditer(r"^\| `(\w+)` \|([^|]*)\|", text, re.M)}


def test_every_key_has_its_row_and_no_other_has():
    assert set(rows(section("Keys"))) == {*SETTINGS, "plugins"}
    assert set(rows(section("A plugin's table"))) == set(PLUGIN_SETTINGS)


def test_every_variable():
    expected = {*VARIABLES, *OTHERS}
    assert set(rows(section("Environment variables"))) == expected
    for variable, key in rows(section("Environment variables")).items():
        if key and variable in VARIABLES:
            assert key == f"`{VARIABLES[variable][0]}`"


def test_every_type_of_metric():
    for name in METRIC_TYPES:
        assert f"`{name}`" in section("A plugin's table")


def test_deadlines_are_those_of_the_code_and_of_the_hooks():
    documented = {step: float(limit) for step, limit in rows(section("Deadlines")).items()}
    assert documented == DEADLINES
    told = {
        step: float(limit)
        for hook in vars(specs).values()
        for limit, step in re.findall(r"Deadline:\s+(\d+) s[^`]*``deadlines\.(\w+)``", hook.__doc__ or "")
    }
    assert told == {step: limit for step, limit in DEADLINES.items() if step != "import"}


@pytest.mark.parametrize("block", re.findall(r"^```toml[^\n]*\n(.*?)^```$", PAGE, re.M | re.S))
def test_every_example_is_accepted(folder, block):
    folder.write("pyproject.toml" if "[tool." in block else "tracelet.toml", block)
    config = folder.load(environ={"MLFLOW_TOKEN": "tok-1"})
    for name in config.plugins:
        config.plugin_config(name)


def test_the_first_two_examples_go_together(folder):
    blocks = re.findall(r"^```toml[^\n]*\n(.*?)^```$", PAGE, re.M | re.S)
    folder.write("tracelet.toml", "\n".join(blocks[:2]))
    assert folder.load(environ={"MLFLOW_TOKEN": "tok-1"}).plugins == ["jsonl", "mlflow"]


def test_the_messages_shown_are_those_given(folder):
    from tracelet.errors import ConfigError

    folder.write("tracelet.toml", "projct = 'digits'\nmode = 'ofline'\n")
    with pytest.raises(ConfigError) as caught:
        folder.load()
    shown = re.search(r"^```text\n(tracelet\.toml: .*?)\n```$", PAGE, re.M | re.S)[1]
    assert [fault.replace(f"{folder.root}/", "") for fault in caught.value.faults] == shown.splitlines()
