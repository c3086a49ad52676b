"""Where plugins come from: the sources of the contract, each yielding what it has and surviving what is broken."""

from tracelet.core.discovery.entrypoints import entry_point_plugins
from tracelet.core.discovery.files import load_from_path, path_plugins, plugin_files
from tracelet.core.discovery.found import Found, broken
from tracelet.core.discovery.inspection import LIFECYCLE, has_lifecycle, hook_functions, metadata_of
from tracelet.core.discovery.modules import (
    describe,
    guarded,
    import_file,
    import_name,
    named_by,
    of_object,
    plugins_of,
    single_plugin,
)

__all__ = [
    "LIFECYCLE",
    "Found",
    "broken",
    "describe",
    "entry_point_plugins",
    "guarded",
    "has_lifecycle",
    "hook_functions",
    "import_file",
    "import_name",
    "load_from_path",
    "metadata_of",
    "named_by",
    "of_object",
    "path_plugins",
    "plugin_files",
    "plugins_of",
    "single_plugin",
]
