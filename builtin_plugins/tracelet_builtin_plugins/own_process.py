"""Whether a plugin has a process of its own, where it may set what is global."""

from __future__ import annotations

import os

__all__ = ["in_own_process"]


def in_own_process() -> bool:
    """Say whether the host runs the plugin in a separate process (``isolation = "process"``).

    The host sets ``TRACELET_PLUGIN_PROCESS`` there, to the process id, so that programs that are started from there
    do not take themselves for it.
    """
    return os.environ.get("TRACELET_PLUGIN_PROCESS") == str(os.getpid())
