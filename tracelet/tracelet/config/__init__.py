"""Configuration: ``tracelet.toml`` or ``[tool.tracelet]``, the environment, the program, the command line."""

from tracelet.config.config_files import load_mapping
from tracelet.config.loading import load_config, program_config, program_file
from tracelet.config.model import Config, PluginOptions
from tracelet.config.project import find_root, user_config_dir
from tracelet.config.settings import DEADLINE_OF, DEADLINES, is_plugin_name

__all__ = [
    "DEADLINES",
    "DEADLINE_OF",
    "Config",
    "PluginOptions",
    "find_root",
    "is_plugin_name",
    "load_config",
    "load_mapping",
    "program_config",
    "program_file",
    "user_config_dir",
]
