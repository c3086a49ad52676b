import pytest

from tracelet.config import PluginOptions
from tracelet.config.validation import declared_keys, validate
from tracelet.errors import ConfigError

HOSTS = """\
[plugins.p]
enabled = true
metrics = "train/*"
types = ["scalar", "!histogram"]
sources = ["system", "!gpu"]
ranks = 0
isolation = "process"
interval = 2.5
url = "http://localhost"

[plugins.p.deadlines]
stop = 3
"""


def test_the_hosts_keys_are_split_off(folder):
    folder.write("tracelet.toml", HOSTS)
    options, own = folder.load().plugin_config("p")
    assert options == PluginOptions(
        enabled=True,
        metrics=["train/*"],
        types=["scalar", "!histogram"],
        sources=["system", "!gpu"],
        ranks=(0,),
        deadlines={"stop": 3.0},
        isolation="process",
        interval=2.5,
    )
    assert own == {"url": "http://localhost"}


def test_a_key_that_the_plugin_declares_is_its_own(folder):
    folder.write("tracelet.toml", "[plugins.p]\ntypes = {a = 1}\ninterval = 'weekly'\nmetrics = ['x']\n")
    config = folder.load()
    options, own = config.plugin_config("p", declared={"types", "interval", "enabled", "deadlines"})
    assert own == {"types": {"a": 1}, "interval": "weekly"}
    assert options == PluginOptions(metrics=["x"])
    with pytest.raises(ConfigError):
        config.plugin_config("p")


def test_a_plugin_without_a_table(folder):
    assert folder.load().plugin_config("p") == (PluginOptions(), {})


def test_every_fault_of_the_hosts_keys(folder):
    folder.write(
        "tracelet.toml",
        """\
        [plugins.p]
        metrics = [1]
        types = ["scaler"]
        ranks = -1
        isolation = "proces"
        interval = 0
        deadlines = {lgo = 3}
        """,
    )
    with pytest.raises(ConfigError) as caught:
        folder.load().plugin_config("p")
    assert caught.value.faults == [
        "plugins.p.metrics[0]: expected a string that is not empty, found 1 (integer)",
        "plugins.p.types[0]: unknown type 'scaler' (did you mean 'scalar'?)",
        "plugins.p.ranks: expected 'all', a rank or an array of ranks, found -1 (integer)",
        "plugins.p.isolation: expected one of 'thread', 'process', found 'proces' (string)"
        " (did you mean 'process'?)",
        "plugins.p.interval: expected a number above 0, found 0 (integer)",
        "plugins.p.deadlines.lgo: unknown key (did you mean 'log'?)",
    ]


def test_a_variable_that_is_not_set_is_the_trouble_of_that_plugin_alone(folder):
    file = folder.write(
        "tracelet.toml", "[plugins.a]\ntoken = '${NO_TOKEN}'\nurl = '${NO_URL}'\n[plugins.b]\nx = 1\n"
    )
    config = folder.load()
    assert config.plugins == ["a", "b"]
    assert config.plugin_config("b")[1] == {"x": 1}
    with pytest.raises(ConfigError) as caught:
        config.plugin_config("a")
    assert [fault.partition(" is not")[0] for fault in caught.value.faults] == [
        f"{file}: plugins.a.token: environment variable NO_TOKEN",
        f"{file}: plugins.a.url: environment variable NO_URL",
    ]


def test_but_it_is_told_with_the_others_when_the_configuration_fails_anyway(folder):
    folder.write("tracelet.toml", "mode = 1\n[plugins.a]\ntoken = '${NO_TOKEN}'\n")
    with pytest.raises(ConfigError, match=r"mode: .*; .*NO_TOKEN"):
        folder.load()


def test_all_ranks(folder):
    folder.write("tracelet.toml", "ranks = 'all'\n[plugins.p]\nranks = 'all'")
    config = folder.load()
    assert config.plugin_config("p")[0].ranks is config.settings["ranks"] is None


class TestWithASchema:
    SCHEMA = {"timeout": {"type": "number"}, "url": {"type": "string"}}

    def faults(self, folder, text):
        folder.write("tracelet.toml", text)
        with pytest.raises(ConfigError) as caught:
            folder.load().plugin_config(
                "p",
                declared_keys(self.SCHEMA),
                check=lambda own: validate(self.SCHEMA, own, path="plugins.p"),
            )
        return caught.value.faults

    def test_faults_of_both_parts_come_together(self, folder):
        assert self.faults(folder, "[plugins.p]\ninterval = 0\ntimeout = 'abc'\nurk = 1\n") == [
            "plugins.p.interval: expected a number above 0, found 0 (integer)",
            "plugins.p.urk: unknown key (did you mean 'url'?)",
            "plugins.p.timeout: expected number, found 'abc' (string)",
        ]

    def test_a_slip_in_a_key_of_the_hosts(self, folder):
        assert self.faults(folder, "[plugins.p]\nmetrcs = ['a']\nintervall = 3\n") == [
            "plugins.p.metrcs: unknown key (did you mean 'metrics'?)",
            "plugins.p.intervall: unknown key (did you mean 'interval'?)",
        ]

    def test_a_variable_that_is_not_set_is_told_once(self, folder):
        [fault] = self.faults(folder, "[plugins.p]\ntimeout = '${NOPE}'\n")
        assert "plugins.p.timeout: environment variable NOPE is not set" in fault

    def test_faults_of_the_plugins_part_alone_are_left_to_validation(self, folder):
        folder.write("tracelet.toml", "[plugins.p]\ntimeout = 'abc'\n")
        _, own = folder.load().plugin_config("p", declared_keys(self.SCHEMA), check=pytest.fail)
        assert own == {"timeout": "abc"}


def test_without_a_schema_any_other_key_is_the_plugins(folder):
    folder.write("tracelet.toml", "[plugins.p]\nmetrcs = 1\n")
    assert folder.load().plugin_config("p")[1] == {"metrcs": 1}
