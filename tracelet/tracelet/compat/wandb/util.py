"""What programs use of ``wandb.util``."""

from __future__ import annotations

import secrets
import string
from typing import Any

_LETTERS = string.ascii_lowercase + string.digits


def generate_id(length: int = 8) -> str:
    """Return a random id."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def to_forward_slash_path(path: str) -> str:
    """Return a path with forward slashes."""
    return path.replace("\\", "/")


def get_module(name: str, required: Any = None, lazy: bool = True) -> Any:
    """Import a module, or return None; ``required`` is the text of the error for a missing one."""
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        if required:
            from tracelet.compat.wandb.errors import Error

            raise Error(required) from None
        return None
