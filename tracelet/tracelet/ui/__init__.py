"""The page: recorded runs in a browser, and the JSON API behind it. docs/ui.md describes both."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracelet.ui.access import Access
    from tracelet.ui.app import create_app
    from tracelet.ui.server import serve

_LATER = {"Access": "access", "create_app": "app", "serve": "server"}

__all__ = ["Access", "create_app", "serve"]


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"tracelet.ui.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
