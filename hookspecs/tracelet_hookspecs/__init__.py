"""The contract between tracelet and its plugins: hooks, records, base classes."""

from tracelet_hookspecs import _specs as specs
from tracelet_hookspecs._bases import (
    BackendInterface,
    BackendPlugin,
    CollectorInterface,
    CollectorPlugin,
    FrameworkPlugin,
    MetricSink,
    MetricSource,
    PluginBase,
    ProcessorPlugin,
)
from tracelet_hookspecs._markers import BACKEND_HOOKS, PROJECT_NAME, hookimpl, hookspec
from tracelet_hookspecs._records import (
    MetricData,
    MetricType,
    PluginInfo,
    PluginMetadata,
    PluginState,
    PluginType,
    RunView,
)

__all__ = [
    "BACKEND_HOOKS",
    "PROJECT_NAME",
    "BackendInterface",
    "BackendPlugin",
    "CollectorInterface",
    "CollectorPlugin",
    "FrameworkPlugin",
    "MetricData",
    "MetricSink",
    "MetricSource",
    "MetricType",
    "PluginBase",
    "PluginInfo",
    "PluginMetadata",
    "PluginState",
    "PluginType",
    "ProcessorPlugin",
    "RunView",
    "hookimpl",
    "hookspec",
    "specs",
]
