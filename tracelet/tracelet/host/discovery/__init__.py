"""Where plugins come from: the sources of the contract, each yielding what it has and surviving what is broken."""

from tracelet.host.discovery.entrypoints import entry_point_plugins
from tracelet.host.discovery.files import checked_import, load_described, path_plugins, plugin_files
from tracelet.host.discovery.found import Found, broken, describe, located
from tracelet.host.discovery.inspection import (
    ASKED_FOR,
    LIFECYCLE,
    Implementation,
    attributes,
    dynamic,
    forgotten_decorator,
    has_lifecycle,
    hook_functions,
    implementations,
    is_class,
    is_module,
    lacking,
    own_attributes,
    plain_options,
)
from tracelet.host.discovery.metadata import metadata_of
from tracelet.host.discovery.modules import (
    contents,
    guarded,
    import_name,
    named_by,
    of_object,
    single_plugin,
)

__all__ = [
    "ASKED_FOR",
    "LIFECYCLE",
    "Found",
    "Implementation",
    "attributes",
    "broken",
    "checked_import",
    "contents",
    "describe",
    "dynamic",
    "entry_point_plugins",
    "forgotten_decorator",
    "guarded",
    "has_lifecycle",
    "hook_functions",
    "implementations",
    "import_name",
    "is_class",
    "is_module",
    "lacking",
    "load_described",
    "located",
    "metadata_of",
    "named_by",
    "of_object",
    "own_attributes",
    "path_plugins",
    "plain_options",
    "plugin_files",
    "single_plugin",
]
