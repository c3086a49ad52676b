"""The contract's records and base classes, as existing plugins use them."""

from __future__ import annotations

import time
from enum import Enum, IntEnum

import pytest

from tracelet.core import orchestrator
from tracelet.core.plugins import (
    BackendPlugin,
    CollectorPlugin,
    FrameworkPlugin,
    MetricData,
    MetricSink,
    MetricType,
    PluginBase,
    PluginInfo,
    PluginMetadata,
    PluginState,
    PluginType,
    ProcessorPlugin,
)


def test_the_enumerations_have_the_documented_members():
    assert {kind.name: kind.value for kind in PluginType} == {
        "BACKEND": "backend",
        "COLLECTOR": "collector",
        "FRAMEWORK": "framework",
        "PROCESSOR": "processor",
    }
    assert issubclass(PluginType, Enum)
    states = ["DISCOVERED", "LOADED", "VALIDATED", "INITIALIZED", "ACTIVE", "ERROR", "STOPPED"]
    assert [(state.name, int(state)) for state in PluginState] == [(s, n) for n, s in enumerate(states, 1)]
    assert issubclass(PluginState, IntEnum)
    metrics = (
        "scalar tensor artifact parameter system custom histogram image text figure embedding video audio"
        " mesh hparams"
    )
    assert [kind.value for kind in MetricType] == metrics.split()
    assert all(kind.name == kind.value.upper() for kind in MetricType)


def test_states_compare_by_order():
    assert PluginState.ACTIVE >= PluginState.LOADED > PluginState.DISCOVERED
    assert sorted([PluginState.STOPPED, PluginState.LOADED]) == [PluginState.LOADED, PluginState.STOPPED]


def test_metadata_defaults():
    metadata = PluginMetadata(name="a", version="1", type=PluginType.BACKEND)
    assert (metadata.description, metadata.author) == ("", "")
    assert metadata.dependencies == []
    assert metadata.config_schema is None
    assert metadata.capabilities == set()
    other = PluginMetadata(name="a", version="1", type=PluginType.BACKEND)
    assert metadata.dependencies is not other.dependencies


@pytest.mark.parametrize(
    "given", [{"type": "backend"}, {"type": PluginType.BACKEND}, {"plugin_type": "backend"}]
)
def test_the_type_is_taken_in_every_documented_form(given):
    metadata = PluginMetadata(name="a", version="1", entry_point="pkg.module.Class", **given)
    assert metadata.type is PluginType.BACKEND
    assert metadata.plugin_type == "backend"
    assert metadata.entry_point == "pkg.module.Class"


def test_an_unknown_type_is_told_with_the_known_ones():
    with pytest.raises(ValueError, match=r"expected one of 'backend', 'collector', .*, found 'backed'"):
        PluginMetadata(name="a", version="1", type="backed")
    with pytest.raises(TypeError, match="expected type="):
        PluginMetadata(name="a", version="1")


def test_plugin_info_defaults():
    info = PluginInfo(PluginMetadata("a", "1", "backend"), module_path="pkg.module", class_name="Class")
    assert info.name == "a"
    assert info.state is PluginState.DISCOVERED
    assert info.instance is None
    assert info.error is None


def test_a_state_may_be_given_by_its_number():
    info = PluginInfo(PluginMetadata("a", "1", "backend"), state=3)
    assert info.state is PluginState.VALIDATED
    info.state = 6
    assert info.state is PluginState.ERROR


def test_metric_data_defaults():
    before = time.time()
    metric = MetricData("loss", 0.5, MetricType.SCALAR)
    assert before <= metric.timestamp <= time.time()
    assert (metric.iteration, metric.source, metric.metadata) == (None, None, None)
    assert MetricData(name="loss", value=1, type=MetricType.SCALAR, timestamp=3.0).timestamp == 3.0


def test_the_orchestrator_is_an_import_path_too():
    assert orchestrator.MetricData is MetricData
    assert orchestrator.MetricType is MetricType
    assert orchestrator.MetricSink is MetricSink
    assert orchestrator.MetricSource is not None


def test_a_backend_without_any_super_call_has_the_state_fields(make):
    class Own(make("own")):
        def __init__(self):
            pass  # and no super().__init__()

    plugin = Own()
    assert plugin._config == {}
    assert plugin._active is False
    assert plugin.config == {}
    plugin.config = {"a": 1}
    assert plugin._config == {"a": 1}
    assert Own()._config == {}


def test_what_a_backend_is_given(make):
    backend = make("own")()
    assert backend.get_sink_id() == "backend_own"
    assert all(backend.can_handle_type(kind) for kind in MetricType)
    assert backend.save_experiment({"anything": 1}) is None
    assert isinstance(backend, (MetricSink, PluginBase))


def test_receive_metric_sends_each_type_to_its_method(make):
    backend = make("own")()
    backend.seen.clear()
    for metric in (
        MetricData("loss", 0.5, MetricType.SCALAR, iteration=3),
        MetricData("cpu", 0.1, MetricType.SYSTEM),
        MetricData("lr", 0.1, MetricType.PARAMETER),
        MetricData("all", {"lr": 0.1, "depth": 3}, MetricType.HPARAMS),
        MetricData("model", "/tmp/model.bin", MetricType.ARTIFACT),
    ):
        backend.receive_metric(metric)
    assert backend.seen == [
        ("log_metric", "loss", 0.5, 3),
        ("log_metric", "cpu", 0.1, None),
        ("log_params", {"lr": 0.1}),
        ("log_params", {"lr": 0.1, "depth": 3}),
        ("log_artifact", "/tmp/model.bin", "model"),
    ]


def test_a_collector_has_an_interval():
    assert CollectorPlugin._collection_interval == 60


@pytest.mark.parametrize("base", [FrameworkPlugin, ProcessorPlugin, CollectorPlugin, BackendPlugin])
def test_every_base_asks_for_the_lifecycle(base):
    assert {"get_metadata", "initialize", "start", "stop", "get_status"} <= base.__abstractmethods__


@pytest.mark.parametrize("base", [FrameworkPlugin, ProcessorPlugin])
def test_the_other_bases_have_the_state_fields_too(base):
    def nothing(self, *args):
        return None

    methods = dict.fromkeys(("get_metadata", "initialize", "start", "stop", "get_status"), nothing)
    plugin = type("Other", (base,), methods)()
    assert (plugin._config, plugin._active) == ({}, False)


def test_super_initialize_may_be_called(manager, make):
    def initialize(self, config):
        super(cls, self).initialize(config)
        PluginBase.initialize(self, config)

    cls = make("polite", {"initialize": initialize})
    manager.register_plugin(cls)
    assert manager.initialize_plugin("polite", {"a": 1})
    assert manager.get_plugin_instance("polite").config == {"a": 1}
