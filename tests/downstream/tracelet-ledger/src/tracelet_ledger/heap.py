"""A collector that watches the Python heap."""

import gc
import platform

from tracelet.core.plugins import CollectorPlugin, PluginMetadata, PluginType


class Heap(CollectorPlugin):
    _collection_interval = 0.2

    def get_metadata(self):
        return PluginMetadata(
            name="heap",
            version="1.2.0",
            type=PluginType.COLLECTOR,
            description="Objects that Python's garbage collector tracks",
        )

    def initialize(self, config):
        super().initialize(config)
        self.asked = 0

    def start(self):
        self._active = True

    def stop(self):
        self._active = False

    def get_status(self):
        return {"active": self._active, "asked": self.asked}

    def collect(self):
        self.asked += 1
        return {
            "heap": {
                "objects": len(gc.get_objects()),
                "pending": list(gc.get_count()),
                "interpreter": platform.python_implementation(),
            }
        }
