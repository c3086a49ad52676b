"""The suite of a plugin that brings none: its type's promises, as far as they need nothing of the author's.

``tracelet plugins check NAME --conformance`` runs it. The plugin's configuration is the table of the project that the
command is run in, otherwise its schema's defaults. What reads back from the far side does not apply.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

from tracelet.config import load_config
from tracelet.config.validation import declared_keys
from tracelet.testing import (
    BackendConformance,
    CollectorConformance,
    FrameworkConformance,
    ProcessorConformance,
)
from tracelet.testing.conformance.suite import Suite

#: Names the plugin, as JSON: ``{"name": ..., "type": ..., "plugin": "module:Class"}``.
VARIABLE: Final = "TRACELET_CONFORMANCE_PLUGIN"
_SUITES: Final[dict[str, type[Suite]]] = {
    "backend": BackendConformance,
    "collector": CollectorConformance,
    "processor": ProcessorConformance,
    "framework": FrameworkConformance,
}


def _make_suite() -> type[Suite]:
    about = json.loads(os.environ[VARIABLE])
    base = _SUITES[about["type"]]
    body: dict[str, Any] = {"plugin": about["plugin"]}
    described = base()
    described._object = _find(about["plugin"])
    keys = declared_keys(described.metadata.config_schema)
    body["config"] = load_config().plugin_config(about["name"], keys)[1]
    return type("TestConformance", (base,), body)


def _find(plugin: str) -> Any:
    from tracelet.testing.plugins import find_plugin

    return find_plugin(plugin)


if VARIABLE in os.environ:
    TestConformance = _make_suite()
