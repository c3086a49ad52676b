"""The documented import path for plugin authors and for programs that drive plugins themselves."""

from tracelet.core.plugins.hosted import Hosted
from tracelet.core.plugins.manager import PluginManager
from tracelet_hookspecs import (
    BackendInterface,
    BackendPlugin,
    CollectorInterface,
    CollectorPlugin,
    FrameworkPlugin,
    MetricData,
    MetricSink,
    MetricSource,
    MetricType,
    PluginBase,
    PluginInfo,
    PluginMetadata,
    PluginState,
    PluginType,
    ProcessorPlugin,
    hookimpl,
    hookspec,
)

__all__ = [
    "BackendInterface",
    "BackendPlugin",
    "CollectorInterface",
    "CollectorPlugin",
    "FrameworkPlugin",
    "Hosted",
    "MetricData",
    "MetricSink",
    "MetricSource",
    "MetricType",
    "PluginBase",
    "PluginInfo",
    "PluginManager",
    "PluginMetadata",
    "PluginState",
    "PluginType",
    "ProcessorPlugin",
    "hookimpl",
    "hookspec",
]
