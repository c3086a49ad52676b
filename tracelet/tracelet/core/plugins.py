"""The documented import path for plugin authors and for programs that drive plugins themselves.

Nothing is defined here, and nothing inside tracelet imports it.
"""

from tracelet.host.plugins import PluginHandle, PluginManager
from tracelet_hookspecs import (
    NO_STEP,
    BackendInterface,
    BackendPlugin,
    CollectorInterface,
    CollectorPlugin,
    FrameworkPlugin,
    ImportedFile,
    ImportedPoints,
    ImportedRun,
    MetricColumns,
    MetricData,
    MetricKey,
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
    "NO_STEP",
    "BackendInterface",
    "BackendPlugin",
    "CollectorInterface",
    "CollectorPlugin",
    "FrameworkPlugin",
    "ImportedFile",
    "ImportedPoints",
    "ImportedRun",
    "MetricColumns",
    "MetricData",
    "MetricKey",
    "MetricSink",
    "MetricSource",
    "MetricType",
    "PluginBase",
    "PluginHandle",
    "PluginInfo",
    "PluginManager",
    "PluginMetadata",
    "PluginState",
    "PluginType",
    "ProcessorPlugin",
    "hookimpl",
    "hookspec",
]
