"""Plugins that ship with tracelet. They use nothing that a stranger's plugin could not."""

from typing import Final

__all__ = ["AUTHOR", "VERSION"]

AUTHOR: Final = "tracelet developers"
VERSION: Final = "0.1.0"  # of every plugin in here; they are released together with tracelet
