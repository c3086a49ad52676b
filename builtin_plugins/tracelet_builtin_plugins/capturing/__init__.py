"""What the framework plugins share: they watch imports, wrap functions of a framework, and restore them.

``docs/frameworks.md`` describes how to write one.
"""

from tracelet_builtin_plugins.capturing.adding import add_callbacks, wrap_everywhere
from tracelet_builtin_plugins.capturing.imports import when_imported
from tracelet_builtin_plugins.capturing.integrations import load_integration
from tracelet_builtin_plugins.capturing.patches import Patches
from tracelet_builtin_plugins.capturing.plugin import CapturePlugin

__all__ = [
    "CapturePlugin",
    "Patches",
    "add_callbacks",
    "load_integration",
    "when_imported",
    "wrap_everywhere",
]
