"""The table of transitions, and that no sequence of calls leaves it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.core.plugins import (
    BackendPlugin,
    PluginInfo,
    PluginManager,
    PluginMetadata,
    PluginState,
    hookimpl,
)
from tracelet.errors import IllegalTransitionError, TraceletError
from tracelet.host.states import TRANSITIONS, move

S = PluginState


def info(state=S.DISCOVERED):
    return PluginInfo(PluginMetadata("p", "1", "backend"), "m", "C", state=state)


def test_the_documented_life():
    plugin = info()
    life = [
        S.LOADED,
        S.VALIDATED,
        S.INITIALIZED,
        S.ACTIVE,
        S.STOPPED,
        S.INITIALIZED,
        S.ACTIVE,
        S.ERROR,
        S.INITIALIZED,
    ]
    for state in life:
        move(plugin, state)
        assert plugin.state is state


@pytest.mark.parametrize("state", S)
def test_a_failure_leads_to_error_from_every_state(state):
    plugin = info(state)
    assert move(plugin, S.ERROR) is state
    assert plugin.state is S.ERROR


@pytest.mark.parametrize("state", [S.STOPPED, S.ERROR])
def test_stopped_and_failed_plugins_may_be_initialized_again(state):
    assert S.INITIALIZED in TRANSITIONS[state]


def test_an_illegal_move_says_what_would_have_been_legal():
    plugin = info(S.LOADED)
    with pytest.raises(IllegalTransitionError) as raised:
        move(plugin, S.ACTIVE)
    assert str(raised.value) == (
        "plugin 'p': cannot go from LOADED to ACTIVE; from LOADED it can go to VALIDATED, ERROR"
    )
    assert isinstance(raised.value, TraceletError)
    assert raised.value.plugin == "p"
    assert plugin.state is S.LOADED


class Fickle(BackendPlugin):
    """Fails in the steps that stand in ``failing``."""

    failing: frozenset = frozenset()

    @classmethod
    def get_metadata(cls):
        return PluginMetadata("fickle", "1.0", "backend")

    def __init__(self):
        self.may("construct")

    def initialize(self, config):
        self.may("initialize")

    def start(self):
        self.may("start")

    def stop(self):
        self.may("stop")

    def get_status(self):
        self.may("get_status")
        return {}

    def log_metric(self, name, value, iteration): ...
    def log_params(self, params): ...
    def log_artifact(self, local_path, artifact_path=None): ...

    def may(self, step):
        if step in self.failing:
            raise (SystemExit if step == "start" else RuntimeError)(step)


class Listener:
    def __init__(self):
        self.heard = []

    @hookimpl
    def plugin_state_changed(self, plugin, old, new):
        self.heard.append((plugin.name, old, new))


CALLS = [f"{step}_plugin" for step in ("load", "validate", "initialize", "start", "stop")]
CALLS += ["get_status", "start_plugins"]
STEPS = ["construct", "initialize", "start", "stop", "get_status"]


@settings(max_examples=60, deadline=None)
@given(
    state=st.sampled_from(S),
    at_hand=st.booleans(),
    calls=st.lists(
        st.tuples(
            st.sampled_from([*CALLS, "get_status", "start_plugins"]),
            st.frozensets(st.sampled_from(STEPS), max_size=2),
        ),
        max_size=12,
    ),
)
def test_no_sequence_of_calls_raises_or_leaves_the_table(state, at_hand, calls):
    cls = type("Cls", (Fickle,), {})
    listener = Listener()
    with PluginManager(use_default_paths=False) as manager:
        manager.register_plugin(listener, "listener")
        assert manager.start_plugins({"listener": {}}) == {"listener": True}
        plugin = manager.plugins["fickle"] = PluginInfo(cls.get_metadata(), state=state, instance=cls)
        if at_hand:
            manager._plugin_instances["fickle"] = cls()
        for call, failing in calls:
            cls.failing = failing
            if call == "get_status":
                assert manager.get_status()["plugins"]["fickle"]["state"] == plugin.state.name.lower()
                continue
            went_well = (
                manager.start_plugins({"fickle": {}})["fickle"]
                if call == "start_plugins"
                else getattr(manager, call)("fickle")
            )
            if not went_well and call != "start_plugin":
                assert plugin.state is S.ERROR
                assert plugin.error
            if went_well and plugin.state is not S.ERROR:
                assert plugin.error is None
        cls.failing = frozenset()
    heard = [(old, new) for name, old, new in listener.heard if name == "fickle"]
    assert all(new in TRANSITIONS[old] for old, new in heard)
    assert all(before[1] is after[0] for before, after in pairwise(heard))
