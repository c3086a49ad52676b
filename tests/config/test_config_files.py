import json

import pytest

from tracelet.config import load_mapping
from tracelet.errors import ConfigError

CONTRACT = """\
project = "digits"
plugins = ["mlflow"]                     # activate these, besides what is on by default

[plugins.mlflow]                         # a table activates too; `enabled = false` does not
tracking_uri = "http://127.0.0.1:5000"
metrics = ["train/*", "!train/debug/*"]  # which metrics go there
"""


def faults_of(load, *args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    return caught.value.faults


def test_the_contracts_example_works_as_written(folder):
    folder.write("tracelet.toml", CONTRACT)
    config = folder.load()
    assert config.project == "digits"
    assert config.plugins == ["mlflow"]
    options, own = config.plugin_config("mlflow")
    assert options.metrics == ["train/*", "!train/debug/*"]
    assert own == {"tracking_uri": "http://127.0.0.1:5000"}


@pytest.mark.parametrize(
    ("text", "plugins"),
    [
        ("plugins = ['a', 'b']", ["a", "b"]),
        ("plugins = []", []),
        ("[plugins.a]\n[plugins.b]", ["a", "b"]),
        ("plugins.a.x = 1", ["a"]),
        ("plugins = ['b']\nplugins.a.x = 1", ["b", "a"]),
        ("'plugins' = ['b']\n[plugins.a]", ["b", "a"]),
        ('"plugins"=["b"]\n[plugins.a]', ["b", "a"]),
        ("plugins = [\n  'b', # ] not yet\n]\n[plugins.a]", ["b", "a"]),
        ("activate = ['b']\n[plugins.a]", ["b", "a"]),
        ("plugins = ['b']\nactivate = ['c']\n[plugins.a]", ["b", "c", "a"]),
        ("plugins = ['b']\nactivate = ['c']", ["b", "c"]),
        ("[plugins]\na = true\nb = false", ["a"]),
        ("[plugins.a]\nenabled = false", []),
        ("plugins = ['a']\n[plugins.a]\nenabled = false", []),
        ("\ufeffplugins = ['b']\n[plugins.a]", ["b", "a"]),
        ("plugins = ['b']\r\n[plugins.a]\r\n", ["b", "a"]),
        ("project = '''\nplugins = [1]\n'''\nplugins = ['b']\n[plugins.a]\nx = 'plugins = [1]'", ["b", "a"]),
    ],
)
def test_plugins_as_list_as_tables_or_both(folder, text, plugins):
    (folder.root / "tracelet.toml").write_bytes(text.encode())
    assert folder.load().plugins == plugins


def test_a_key_named_plugins_inside_a_table_is_the_plugins_own(folder):
    folder.write("tracelet.toml", "plugins = ['a']\n[plugins.a]\nplugins = ['x']\n")
    assert folder.load().plugin_config("a")[1] == {"plugins": ["x"]}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("project = ", "1:11"),
        ("plugins = ['a']\n\n[plugins.a]\nx = 1\nx = 2\n", "5:"),
        ("plugins = ['a']\nplugins = ['b']\n", "2:"),
        ("plugins = ['a', ]]\n", "1:18"),
        ("[plugins.a\n", "1:"),
    ],
)
def test_bad_toml_names_file_line_and_column(folder, text, place):
    file = folder.write("tracelet.toml", text)
    [fault] = faults_of(folder.load)
    assert fault.startswith(f"{file}:{place}")
    assert "not valid TOML: " in fault


def test_text_that_is_no_utf8(folder):
    file = folder.root / "tracelet.toml"
    file.write_bytes(b'project = "d\xe9j\xe0"\n')
    [fault] = faults_of(folder.load)
    assert fault.startswith(f"{file}: expected UTF-8")


def test_pyproject(folder):
    folder.write(
        "pyproject.toml", "[project]\nname = 'x'\n[tool.tracelet]\nproject = 'digits'\nplugins = ['a']\n"
    )
    config = folder.load()
    assert (config.project, config.plugins) == ("digits", ["a"])
    assert config.file == folder.root / "pyproject.toml"


def test_pyproject_with_tables_and_names(folder):
    folder.write("pyproject.toml", "[tool.tracelet]\nactivate = ['b']\n[tool.tracelet.plugins.a]\nx = 1\n")
    assert folder.load().plugins == ["b", "a"]


def test_in_a_pyproject_that_nobody_can_parse_the_way_out_is_named(folder):
    file = folder.write(
        "pyproject.toml", "[tool.tracelet]\nplugins = ['b']\n\n[tool.tracelet.plugins.a]\nx = 1\n"
    )
    [fault] = faults_of(folder.load)
    assert fault == (
        f"{file}:4: `plugins` is a list in line 2 and a table here, which TOML does not allow;"
        ' name the plugins in `activate = ["..."]`'
    )


def test_pyproject_with_something_else_in_place_of_the_table(folder):
    file = folder.write("pyproject.toml", "[tool]\ntracelet = 3\n")
    assert faults_of(folder.load) == [f"{file}: tool.tracelet: expected a table, found 3"]


def test_tracelet_toml_comes_before_pyproject(folder):
    folder.write("pyproject.toml", "[tool.tracelet]\nproject = 'shared'\n")
    folder.write("tracelet.toml", "project = 'own'\n")
    assert folder.load().project == "own"


def test_a_broken_pyproject_without_the_table_is_none_of_our_business(folder):
    folder.write("pyproject.toml", "[project]\nname = \n")
    assert folder.load().file is None


def test_load_mapping_reads_json_and_toml_alike(tmp_path):
    values = {"mlflow": {"uri": "http://127.0.0.1", "timeout": 3.5, "tags": ["a", "b"]}}
    (tmp_path / "plugins.json").write_text(json.dumps(values))
    (tmp_path / "plugins.toml").write_text(
        "[mlflow]\nuri = 'http://127.0.0.1'\ntimeout = 3.5\ntags = ['a', 'b']\n"
    )
    assert load_mapping(tmp_path / "plugins.json") == values
    assert load_mapping(str(tmp_path / "plugins.toml")) == values


def test_load_mapping_resolves_variables_and_seals_secrets(tmp_path):
    file = tmp_path / "plugins.json"
    file.write_text('{"mlflow": {"token": "${MLFLOW_PAT}", "uri": "${URI:-http://localhost}"}}')
    values = load_mapping(file, environ={"MLFLOW_PAT": "tok-12345"})
    assert values["mlflow"] == {"token": "tok-12345", "uri": "http://localhost"}
    assert "tok-12345" not in repr(values)


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.json", '{"a": 1,\n "b": }', ":2:7: not valid JSON: Expecting value"),
        ("a.json", "[1]", ": expected a JSON object, found list"),
        ("a.toml", "a = \n", ":1:5: not valid TOML: Invalid value"),
        ("a.yaml", "a: 1", ": expected a file named *.json or *.toml, found '.yaml'"),
        ("settings", "a: 1", ": expected a file named *.json or *.toml, found 'settings'"),
    ],
)
def test_load_mapping_says_what_is_wrong(tmp_path, name, text, fault):
    file = tmp_path / name
    file.write_text(text)
    assert faults_of(load_mapping, file) == [f"{file}{fault}"]


def test_load_mapping_of_a_file_that_is_not_there(tmp_path):
    file = tmp_path / "none.toml"
    assert faults_of(load_mapping, file) == [f"{file}: no such file"]
    with pytest.raises(FileNotFoundError, match=r"none\.toml: no such file$"):
        load_mapping(file)
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    assert faults_of(load_mapping, folder) == [f"{folder}: cannot be read: Is a directory"]


def test_load_mapping_names_every_variable_that_is_not_set(tmp_path):
    file = tmp_path / "a.toml"
    file.write_text('x = "${NOPE_A}"\n[t]\ny = ["${NOPE_B}", "${"]\n')
    faults = faults_of(load_mapping, file, environ={})
    assert [fault.split(":")[0] for fault in faults] == ["x", "t.y[0]", "t.y[1]"]
