"""The framework plugin ``sklearn``: records what estimators of scikit-learn fit.

``docs/plugins/sklearn.md`` says what is recorded.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, ClassVar

from tracelet_builtin_plugins.capturing import CapturePlugin, Patches, load_integration

__all__ = ["SklearnCapture"]


class SklearnCapture(CapturePlugin):
    """Turns on ``tracelet.integrations.sklearn``'s capture, from the import of scikit-learn to the end of the run."""

    NAME = "sklearn"
    DESCRIPTION = "Records what scikit-learn fits: parameters, scores, searches, cross-validation"
    MODULES = {"sklearn.base": "capture_fits", "sklearn.model_selection": "capture_validation"}
    _capture: ClassVar[Any] = None

    @classmethod
    def capture_fits(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the estimators."""
        if cls._capture is None:
            cls._capture = load_integration("sklearn")(cls._choose_run)
            cls._capture.start()

    @classmethod
    def capture_validation(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the functions that cross-validate."""
        if cls._capture is not None:
            cls._capture.wrap_validation(module.cross_validate)

    @classmethod
    def _choose_run(cls) -> Any:
        plugin = cls.current()
        return plugin.run if plugin is not None else None

    def let_go(self) -> None:
        """Restore everything."""
        capture, type(self)._capture = type(self)._capture, None
        if capture is not None:
            capture.stop()
