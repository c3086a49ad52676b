"""``PluginManager``: the adapter over pluggy's registry."""

from tracelet.host.plugins.handle import PluginHandle
from tracelet.host.plugins.manager import PluginManager

__all__ = ["PluginHandle", "PluginManager"]
