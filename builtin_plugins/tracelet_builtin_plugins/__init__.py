"""Plugins that ship with tracelet. They use nothing that third-party plugins could not use."""

from typing import Final

__all__ = ["AUTHOR", "VERSION"]

AUTHOR: Final = "tracelet developers"
VERSION: Final = "0.1.0"  # of all built-in plugins; they are released together with tracelet
