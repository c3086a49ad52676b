"""Where plugins come from: entry points, modules and files, and what can be learned without running them."""

from tracelet.host.discovery.candidate import Candidate, broken_candidate, describe, describe_with_location
from tracelet.host.discovery.entrypoints import entry_point_plugins
from tracelet.host.discovery.fileimport import shadowed_neighbors
from tracelet.host.discovery.inspection import (
    DYNAMIC_HOOKS,
    LIFECYCLE,
    Implementation,
    attributes,
    dynamic_attribute,
    forgotten_decorator,
    has_lifecycle,
    hook_functions,
    implementations,
    is_class,
    is_module,
    missing_methods,
    own_attributes,
    plain_options,
)
from tracelet.host.discovery.metadata import metadata_of
from tracelet.host.discovery.modules import (
    describe_object,
    foreign_classes,
    import_by_name,
    modules_named_by,
    plugins_in_module,
    reexported,
    run_guarded,
    single_plugin,
    why_no_plugin,
)
from tracelet.host.discovery.pluginfiles import (
    checked_import,
    find_unloaded,
    load_described,
    path_plugins,
    plugin_files,
)

__all__ = [
    "DYNAMIC_HOOKS",
    "LIFECYCLE",
    "Candidate",
    "Implementation",
    "attributes",
    "broken_candidate",
    "checked_import",
    "describe",
    "describe_object",
    "describe_with_location",
    "dynamic_attribute",
    "entry_point_plugins",
    "find_unloaded",
    "foreign_classes",
    "forgotten_decorator",
    "has_lifecycle",
    "hook_functions",
    "implementations",
    "import_by_name",
    "is_class",
    "is_module",
    "load_described",
    "metadata_of",
    "missing_methods",
    "modules_named_by",
    "own_attributes",
    "path_plugins",
    "plain_options",
    "plugin_files",
    "plugins_in_module",
    "reexported",
    "run_guarded",
    "shadowed_neighbors",
    "single_plugin",
    "why_no_plugin",
]
