"""The contract between tracelet and its plugins: hooks, records, base classes, and the rule for secrets.

The names are imported on first use, so that the host can apply the rule for secrets without loading pluggy
and attrs.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it
if TYPE_CHECKING:
    from typing import Any

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
    from tracelet_hookspecs._captures import is_suspended, records_into_tracelet, suspend_captures
    from tracelet_hookspecs._columns import NO_STEP, MetricColumns, MetricKey
    from tracelet_hookspecs._imports import ImportedFile, ImportedPoints, ImportedRun
    from tracelet_hookspecs._markers import BACKEND_HOOKS, PROJECT_NAME, hookimpl, hookspec
    from tracelet_hookspecs._records import (
        Batching,
        MetricData,
        MetricType,
        PluginInfo,
        PluginMetadata,
        PluginState,
        PluginType,
        RecordId,
        RunView,
    )
    from tracelet_hookspecs._secret_names import (
        Suspicion,
        is_ordinary,
        is_secret,
        is_secret_key,
        is_secret_value,
        suspicion,
    )
    from tracelet_hookspecs._secret_text import MASK, USERINFO, mask_arguments, mask_text, userinfo_of
    from tracelet_hookspecs._versions import (
        CONTRACT,
        ContractDeprecationWarning,
        HookVersions,
        hook_versions,
        since,
    )

__all__ = [
    "BACKEND_HOOKS",
    "CONTRACT",
    "MASK",
    "NO_STEP",
    "PROJECT_NAME",
    "USERINFO",
    "BackendInterface",
    "BackendPlugin",
    "Batching",
    "CollectorInterface",
    "CollectorPlugin",
    "ContractDeprecationWarning",
    "FrameworkPlugin",
    "HookVersions",
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
    "PluginInfo",
    "PluginMetadata",
    "PluginState",
    "PluginType",
    "ProcessorPlugin",
    "RecordId",
    "RunView",
    "Suspicion",
    "hook_versions",
    "hookimpl",
    "hookspec",
    "is_ordinary",
    "is_secret",
    "is_secret_key",
    "is_secret_value",
    "is_suspended",
    "mask_arguments",
    "mask_text",
    "records_into_tracelet",
    "since",
    "specs",
    "suspend_captures",
    "suspicion",
    "userinfo_of",
]

_BASES = {
    "MetricSink",
    "MetricSource",
    *(name for name in __all__ if name.endswith(("Plugin", "Interface", "Base"))),
}
_MODULES = {
    **dict.fromkeys(__all__, "_records"),
    **dict.fromkeys(_BASES, "_bases"),
    **dict.fromkeys(("ImportedFile", "ImportedPoints", "ImportedRun"), "_imports"),
    **dict.fromkeys(("BACKEND_HOOKS", "PROJECT_NAME", "hookimpl", "hookspec"), "_markers"),
    **dict.fromkeys(("Suspicion", "is_ordinary", "is_secret", "is_secret_key"), "_secret_names"),
    **dict.fromkeys(("is_secret_value", "suspicion"), "_secret_names"),
    **dict.fromkeys(("MASK", "USERINFO", "mask_arguments", "mask_text", "userinfo_of"), "_secret_text"),
    **dict.fromkeys(("CONTRACT", "ContractDeprecationWarning", "HookVersions"), "_versions"),
    **dict.fromkeys(("hook_versions", "since"), "_versions"),
    **dict.fromkeys(("NO_STEP", "MetricColumns", "MetricKey"), "_columns"),
    **dict.fromkeys(("is_suspended", "records_into_tracelet", "suspend_captures"), "_captures"),
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module, and keep it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "specs":
        return import_module(f"{__name__}._specs")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
