import copy
import os
import pickle
from pathlib import Path

import pytest

from tracelet.config import DEADLINES, load_config
from tracelet.config.settings import METRIC_TYPES
from tracelet.config.variables import slips
from tracelet.errors import ConfigError
from tracelet_hookspecs import MetricType


def faults_of(load, **given):
    with pytest.raises(ConfigError) as caught:
        load(**given)
    return caught.value.faults


def test_what_holds_where_nothing_is_configured(folder):
    config = folder.load()
    assert (config.root, config.file, config.sources) == (folder.root, None, [])
    assert (config.project, config.dir) == ("digits", folder.root / ".tracelet")
    assert (config.mode, config.strict, config.run_id, config.resume) == ("online", False, None, False)
    assert (config.plugins, config.blocked, config.autoload) == ([], frozenset(), True)
    assert (config.plugin_paths, config.tables, config.settings) == ([], {}, {})
    assert config.deadlines == DEADLINES


class TestPrecedence:
    """Command line over program over environment over project over user."""

    SOURCES = ("user", "file", "environ", "program", "shell")

    @pytest.fixture
    def load(self, folder):
        def load(*sources):
            if "user" in sources:
                folder.write_user("project = 'user'\n[plugins.p]\nx = 'user'\nuser = 1\n[plugins.p.t]\na = 1")
            if "file" in sources:
                folder.write(
                    "tracelet.toml", "project = 'file'\n[plugins.p]\nx = 'file'\n[plugins.p.t]\nb = 2"
                )
            environ = {"TRACELET_PROJECT": "environ"} if "environ" in sources else {}
            given = {"project": "program", "plugins": {"p": {"x": "program"}}} if "program" in sources else {}
            shell = {"project": "shell"} if "shell" in sources else {}
            return folder.load(environ=environ, overrides=given, command_line=shell)

        return load

    @pytest.mark.parametrize("strongest", range(5))
    def test_the_strongest_source_that_speaks_wins(self, load, strongest):
        assert load(*self.SOURCES[: strongest + 1]).project == self.SOURCES[strongest]

    def test_tables_are_merged_key_by_key(self, load):
        assert load("user", "file").tables == {"p": {"x": "file", "user": 1, "t": {"a": 1, "b": 2}}}
        assert load("program").tables["p"]["x"] == "program"

    def test_who_took_part_is_told_weakest_first(self, load, folder):
        assert load(*self.SOURCES).sources == [
            str(folder.home / ".config" / "tracelet" / "tracelet.toml"),
            str(folder.root / "tracelet.toml"),
            "environment: TRACELET_PROJECT",
            "start_run(...)",
            "command line",
        ]


class TestEnvironment:
    def test_every_variable(self, folder, tmp_path):
        config = folder.load(
            environ={
                "TRACELET_DIR": str(tmp_path / "data"),
                "TRACELET_PROJECT": "p",
                "TRACELET_RUN_ID": "run-1",
                "TRACELET_RESUME": "yes",
                "TRACELET_MODE": "offline",
                "TRACELET_PLUGINS": "a, b.c ,,no:d",
                "TRACELET_PLUGIN_PATH": os.pathsep.join([str(tmp_path / "x.py"), "", str(tmp_path / "y")]),
                "TRACELET_DISABLE_PLUGIN_AUTOLOAD": "1",
                "TRACELET_STRICT_PLUGINS": "true",
            }
        )
        assert (config.dir, config.project, config.run_id) == (tmp_path / "data", "p", "run-1")
        assert (config.resume, config.mode, config.strict, config.autoload) == (True, "offline", True, False)
        assert (config.plugins, config.blocked) == (["a", "b.c"], {"d"})
        assert config.plugin_paths == [tmp_path / "x.py", tmp_path / "y"]

    def test_an_empty_variable_is_not_set(self, folder):
        names = "DIR PROJECT RUN_ID RESUME MODE PLUGINS PLUGIN_PATH DISABLE_PLUGIN_AUTOLOAD STRICT_PLUGINS"
        config = folder.load(environ={f"TRACELET_{name}": "" for name in names.split()})
        assert config == folder.load()
        assert config.sources == []

    @pytest.mark.parametrize("word", ["0", "false", "No", "off"])
    def test_switches_can_be_said_to_be_off(self, folder, word):
        names = ("RESUME", "STRICT_PLUGINS", "DISABLE_PLUGIN_AUTOLOAD")
        config = folder.load(environ={f"TRACELET_{name}": word for name in names})
        assert (config.resume, config.strict, config.autoload) == (False, False, True)

    def test_faults_name_the_variable(self, folder):
        environ = {
            "TRACELET_MODE": "ofline",
            "TRACELET_RESUME": "perhaps",
            "TRACELET_RUN_ID": "../x",
            "TRACELET_PLUGINS": "-a",
        }
        assert faults_of(folder.load, environ=environ) == [
            "TRACELET_RUN_ID: expected 1 to 128 letters, digits, '.', '_' or '-', starting with a letter or digit,"
            " found '../x' (string)",
            "TRACELET_RESUME: expected boolean, found 'perhaps' (string)",
            "TRACELET_MODE: expected one of 'online', 'offline', 'disabled', found 'ofline' (string)"
            " (did you mean 'offline'?)",
            "TRACELET_PLUGINS[0]: expected the name of a plugin or module, or no:NAME, found '-a' (string)",
        ]

    def test_the_process_environment_is_the_default(self, folder, monkeypatch):
        monkeypatch.setenv("TRACELET_PROJECT", "from-process")
        assert load_config(folder.root).project == "from-process"

    def test_the_users_folder(self, folder, tmp_path):
        own = tmp_path / "xdg" / "tracelet"
        (own / "plugins").mkdir(parents=True)
        (own / "tracelet.toml").write_text("project = 'xdg'")
        config = folder.load(environ={"XDG_CONFIG_HOME": str(tmp_path / "xdg")})
        assert (config.project, config.plugin_paths) == ("xdg", [own / "plugins"])
        assert folder.load(environ={"XDG_CONFIG_HOME": "relative/is/ignored"}).project == "digits"

    def test_a_user_without_a_home(self, folder):
        assert folder.load(environ={"HOME": "/nonexistent"}).sources == []


class TestPaths:
    def test_paths_of_a_file_start_where_it_stands(self, folder, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        folder.write("tracelet.toml", "dir = 'data'\nplugin_paths = ['plugins', '~/more', '/abs.py']\n")
        config = folder.load()
        assert config.dir == folder.root / "data"
        assert config.plugin_paths == [
            folder.root / "plugins",
            Path("~/more").expanduser(),
            Path("/abs.py"),
        ]

    def test_paths_of_others_start_in_the_current_folder(self, folder, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert folder.load(environ={"TRACELET_DIR": "data"}).dir == tmp_path / "data"
        assert folder.load(overrides={"dir": "data"}).dir == tmp_path / "data"
        assert folder.load(overrides={"dir": tmp_path / "other"}).dir == tmp_path / "other"

    def test_plugin_paths_add_up_strongest_first(self, folder):
        folder.write_user("plugin_paths = ['/user']")
        folder.write("tracelet.toml", "plugin_paths = ['/file']\n")
        config = folder.load(
            environ={"TRACELET_PLUGIN_PATH": "/environ"}, overrides={"plugin_paths": Path("/program")}
        )
        assert [str(path) for path in config.plugin_paths] == ["/program", "/file", "/user", "/environ"]

    def test_the_current_folder_may_be_gone(self, folder, tmp_path, monkeypatch):
        gone = tmp_path / "gone"
        gone.mkdir()
        monkeypatch.chdir(gone)
        gone.rmdir()
        config = folder.load(environ={"TRACELET_DIR": "/data"}, overrides={"plugin_paths": ["/x"]})
        assert config.dir == Path("/data")

    def test_the_root_may_be_given(self, folder, tmp_path):
        (tmp_path / "tracelet.toml").write_text("project = 'given'\n")
        assert folder.load(root=tmp_path).project == "given"


class TestSelection:
    @pytest.mark.parametrize(
        ("file", "environ", "program", "shell", "plugins", "blocked"),
        [
            ("plugins = ['a']", "b", ["c"], ["d"], ["a", "b", "c", "d"], []),
            ("plugins = ['a', 'b']", "a", ["b"], [], ["a", "b"], []),
            ("plugins = ['a', 'b']", "", [], ["no:a"], ["b"], ["a"]),
            ("plugins = ['no:a']", "", [], ["a"], ["a"], []),
            ("[plugins.a]\nx = 1", "", [], ["no:a"], [], ["a"]),
            ("[plugins.a]\nenabled = false", "", [], ["a"], ["a"], []),
            ("[plugins.a]\nenabled = false", "a", [], ["no:a"], [], ["a"]),
            ("[plugins.a]", "no:a", ["a"], [], ["a"], []),
            ("", "a,no:a", [], [], [], ["a"]),
        ],
    )
    def test_the_stronger_source_has_the_last_word(
        self, folder, file, environ, program, shell, plugins, blocked
    ):
        folder.write("tracelet.toml", file)
        config = folder.load(
            environ={"TRACELET_PLUGINS": environ}, overrides={"plugins": program}, cli_plugins=shell
        )
        assert (config.plugins, sorted(config.blocked)) == (plugins, blocked)

    def test_a_table_that_only_adds_settings_does_not_undo_enabled_false(self, folder):
        folder.write_user("[plugins.a]\nenabled = false")
        folder.write("tracelet.toml", "[plugins.a]\nx = 1")
        config = folder.load()
        assert (config.plugins, config.disabled) == ([], {"a"})
        assert config.is_off("a")
        assert not config.plugin_config("a")[0].enabled

    def test_a_table_may_switch_on_again(self, folder):
        folder.write_user("[plugins.a]\nenabled = false")
        folder.write("tracelet.toml", "[plugins.a]\nenabled = true")
        assert folder.load().plugins == ["a"]

    def test_named_by_a_variable(self, folder):
        folder.write("tracelet.toml", "plugins = ['${BACKEND:-jsonl}']")
        assert folder.load().plugins == ["jsonl"]
        assert folder.load(environ={"BACKEND": "no:gpu"}).blocked == {"gpu"}

    def test_by_a_variable(self, folder):
        folder.write("tracelet.toml", "[plugins.a]\nenabled = '${USE_A:-no}'")
        assert folder.load().plugins == []
        assert folder.load(environ={"USE_A": "1"}).plugins == ["a"]


class TestFaults:
    def test_all_of_them_at_once(self, folder):
        file = folder.write(
            "tracelet.toml",
            """\
            projct = "digits"
            mode = "ofline"
            strict = 1
            budget = "much"
            start_timeout = -1
            plugin_paths = [3]
            ranks = ["first"]
            plugins = ["-a", "no:", 3]

            [deadlines]
            strat = 3
            stop = 0
            log_metrics = 4
            """,
        )
        user = folder.write_user("dir = 3")
        faults = faults_of(
            folder.load, environ={"TRACELET_MODE": "x"}, overrides={"lr": 0.1}, cli_plugins=["-"]
        )
        assert faults == [
            f"{user}: dir: expected a string that is not empty, found 3 (integer)",
            f"{file}: plugins[2]: expected a string that is not empty, found 3 (integer)",
            f"{file}: plugins[0]: expected the name of a plugin or module, or no:NAME, found '-a' (string)",
            f"{file}: plugins[1]: expected the name of a plugin or module, or no:NAME, found 'no:' (string)",
            f"{file}: unknown key 'projct' (did you mean 'project'?)",
            f"{file}: mode: expected one of 'online', 'offline', 'disabled', found 'ofline' (string)"
            " (did you mean 'offline'?)",
            f"{file}: strict: expected boolean, found 1 (integer)",
            f"{file}: budget: expected a share, such as \"0.5%\" or 0.005, found 'much' (string)",
            f"{file}: start_timeout: expected a number above 0, found -1 (integer)",
            f"{file}: plugin_paths[0]: expected a string that is not empty, found 3 (integer)",
            f"{file}: ranks: expected 'all', 'separate', a rank or an array of ranks, found ['first'] (array)",
            f"{file}: deadlines.strat: unknown key (did you mean 'start'?)",
            f"{file}: deadlines.stop: expected a number above 0, found 0 (integer)",
            f"{file}: deadlines.log_metrics: unknown key (did you mean 'log'?)",
            "TRACELET_MODE: expected one of 'online', 'offline', 'disabled', found 'x' (string)",
            "start_run(...): unknown key 'lr'; known: activate, automagic, budget, deadlines, dir, finish_timeout,"
            " goals, mode, not_secret, plugin_paths, plugins, project, quiet, ranks, resume, ..."
            "; pass hyperparameters as params=",
            "-p[0]: expected the name of a plugin or module, or no:NAME, found '-' (string)",
        ]

    @pytest.mark.parametrize(
        ("text", "fault"),
        [
            ("plugins = 3", "plugins: expected array of strings, found 3 (integer)"),
            ("[plugins]\na = 3", "plugins.a: expected a table, found 3 (integer)"),
            ("[plugins.'a,b']", "plugins.a,b: expected the name of a plugin or module, found 'a,b' (string)"),
            ("[plugins.a]\nenabled = 'mabe'", "plugins.a.enabled: expected boolean, found 'mabe' (string)"),
            ("deadlines = 3", "deadlines: expected a table of seconds, found 3 (integer)"),
            ("[deadlines]\nstart = nan", "deadlines.start: expected a number above 0, found nan (number)"),
            ("budget = 2", 'budget: expected a share, such as "0.5%" or 0.005, found 2 (integer)'),
            ("project = '${NOPE}'", "project: environment variable NOPE is not set"),
            ("run_id = 'x'", "unknown key 'run_id'"),
            ("project = ''", "project: expected a string that is not empty, found '' (string)"),
            (
                "[project]\nname = 1",
                "project: expected a string that is not empty, found {'name': 1} (object)",
            ),
        ],
    )
    def test_one_by_one(self, folder, text, fault):
        file = folder.write("tracelet.toml", text)
        faults = faults_of(folder.load)
        assert faults[0].startswith(f"{file}: {fault}")
        assert len(faults) == 1

    def test_a_broken_file_does_not_hide_the_faults_of_the_other(self, folder):
        folder.write_user("mode = ")
        folder.write("tracelet.toml", "mode = 1")
        assert len(faults_of(folder.load)) == 2

    def test_the_error_text_has_them_all(self, folder):
        folder.write("tracelet.toml", "mode = 1\nstrict = 1")
        with pytest.raises(ConfigError, match=r"mode: .*; .*strict: "):
            folder.load()


class TestSettings:
    def test_numbers_of_other_keys(self, folder):
        folder.write(
            "tracelet.toml",
            "budget = 0.02\nstart_timeout = 5\nfinish_timeout = inf\nranks = [0, 4]\n[deadlines]\nstop = 1",
        )
        config = folder.load()
        assert config.settings == {
            "budget": 0.02,
            "start_timeout": 5.0,
            "finish_timeout": float("inf"),
            "ranks": (0, 4),
        }
        assert config.deadlines == {**DEADLINES, "stop": 1.0}

    def test_variables_stand_for_numbers_and_booleans(self, folder):
        folder.write("tracelet.toml", "strict = '${S}'\nbudget = '${B}'\nranks = '${R}'\nproject = '${P}'")
        config = folder.load(environ={"S": "on", "B": "1e-2", "R": "3", "P": "x"})
        assert (config.strict, config.settings) == (True, {"budget": 0.01, "ranks": (3,)})
        assert type(config.project) is str

    def test_program_arguments_that_were_not_given(self, folder):
        given = {"project": None, "dir": None, "run_id": None, "resume": False, "plugins": None}
        assert folder.load(overrides=given) == folder.load()
        assert folder.load(environ={"TRACELET_RESUME": "1"}, overrides=given).resume

    def test_program_strings_are_taken_as_they_are(self, folder):
        config = folder.load(overrides={"project": "${HOME}", "plugins": {"p": {"format": "${time}"}}})
        assert (config.project, config.tables) == ("${HOME}", {"p": {"format": "${time}"}})

    def test_types_are_those_of_the_contract(self):
        assert set(METRIC_TYPES) == {member.value for member in MetricType}


class TestDisplay:
    @pytest.fixture
    def config(self, folder):
        folder.write(
            "tracelet.toml",
            "[plugins.a]\napi_key = '${A_KEY}'\npin = 77\nuri = 'http://u:p4ssword@h'\nok = 'fine'\n",
        )
        return folder.load(environ={"A_KEY": "canary-12345"})

    def test_secrets_are_masked(self, config):
        for text in (
            repr(config),
            str(config),
            f"{config}",
            repr(config.masked()),
            repr(config.tables["a"]["api_key"]),
        ):
            assert "canary-12345" not in text
            assert "***" in text
        assert config.masked()["tables"]["a"] == {
            "api_key": "***",
            "pin": "***",
            "uri": "http://u:***@h",
            "ok": "fine",
        }

    def test_the_plugin_gets_them(self, config):
        assert config.plugin_config("a")[1]["api_key"] == "canary-12345"

    def test_it_can_be_shown_as_json(self, config):
        import json

        assert json.loads(json.dumps(config.masked()))["root"] == str(config.root)

    def test_copies_are_equal(self, config):
        assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config


def test_variables_with_a_slip_in_their_name_are_told():
    environ = {"TRACELET_PROJCT": "a", "TRACELET_LEDGER_URL": "b", "TRACELET_MODE": "offline", "HOME": "c"}
    assert slips(environ) == ["environment: TRACELET_PROJCT is unknown (did you mean 'TRACELET_PROJECT'?)"]
