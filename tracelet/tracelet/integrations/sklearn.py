"""Records what scikit-learn fits: ``with capture(): model.fit(X, y)``."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakSet

from tracelet.integrations import sklearn_fits
from tracelet.integrations.frameworks import missing_framework
from tracelet.integrations.joining import JoinedRun, fits_for_search, is_called_by
from tracelet.integrations.patching import Patches
from tracelet.run import Run

try:
    import sklearn.base
except ImportError as error:
    raise missing_framework(error, "sklearn", "scikit-learn") from error

__all__ = ["Capture", "capture"]

_FITTING: Final = ("fit", "fit_transform", "fit_predict", "partial_fit")
_captures: list[Capture] = []  # those that are on, the latest last


@contextmanager
def capture(run: Run | None = None) -> Iterator[Capture]:
    """Record what scikit-learn's estimators, and those of others that follow it, fit while the block runs.

    One call of ``fit`` is one record, whatever it fits inside: a pipeline's steps, an ensemble's members, a search's
    candidates. It has the parameters, the number of samples and features, the time, the training score if it is
    cheap, and the curves that the estimator keeps. A search has a table of its results and the best parameters;
    ``cross_validate`` and ``cross_val_score`` have the scores of each fold.

    Everything goes to ``run``, else to the active run, else to one that is started.
    """
    capturing = Capture(JoinedRun(run))
    capturing.start()
    try:
        yield capturing
    finally:
        capturing.stop()


class Capture:
    """Wraps the methods that fit, from :meth:`start` to :meth:`stop`."""

    def __init__(self, joined: JoinedRun) -> None:
        self._joined = joined
        self._patches = Patches()
        self._inside = threading.local()
        self._open = 0  # fits that are recorded and have not ended
        self._started_in_parts: WeakSet[Any] = WeakSet()  # estimators of which partial_fit is recorded

    def start(self) -> None:
        """Wrap the estimators that are defined, those that will be, and the functions that cross-validate."""
        _captures.append(self)
        for kind in _kinds(sklearn.base.BaseEstimator):
            self._wrap(kind)
        base = sklearn.base.BaseEstimator
        original = base.__init_subclass__.__func__

        def init_subclass(cls: Any, **options: Any) -> None:
            original(cls, **options)
            self._wrap(cls)

        self._patches.replace(
            base, "__init_subclass__", classmethod(functools.wraps(original)(init_subclass))
        )
        from sklearn import model_selection

        validate = model_selection.cross_validate
        self._patches.replace_function(validate, self._wrapped_validation(validate))

    def stop(self) -> None:
        """Restore everything. A second call does nothing."""
        if self in _captures:
            _captures.remove(self)
        self._patches.undo()

    def _wrap(self, kind: Any) -> None:
        for name in _FITTING:
            method = vars(kind).get(name)
            if callable(method) and not getattr(method, "__isabstractmethod__", False):
                self._patches.replace(kind, name, self._wrapped_fit(method, name))

    # -- fits --------------------------------------------------------------------------------------------

    def _wrapped_fit(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(method)
        def fit(estimator: Any, *arguments: Any, **named: Any) -> Any:
            if self._is_nested() or (name == "partial_fit" and estimator in self._started_in_parts):
                return method(estimator, *arguments, **named)
            with self._recorded() as seconds:
                result = method(estimator, *arguments, **named)
            if name == "partial_fit":
                self._started_in_parts.add(estimator)
            data = (*arguments, *(named[key] for key in ("X", "y") if key in named))
            self._record(lambda: sklearn_fits.record_fit(self._joined, estimator, data[:2], seconds(), name))
            return result

        return fit

    def _wrapped_validation(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def cross_validate(estimator: Any, *arguments: Any, **named: Any) -> Any:
            if self._is_nested():
                return function(estimator, *arguments, **named)
            with self._recorded() as seconds:
                result = function(estimator, *arguments, **named)
            self._record(
                lambda: sklearn_fits.record_validation(
                    self._joined, estimator, arguments[:1], result, seconds()
                )
            )
            return result

        return cross_validate

    def _is_nested(self) -> bool:
        """Whether a fit belongs to another one, in this thread or in one that joblib has started for it."""
        if getattr(self._inside, "depth", 0) or (_captures and _captures[-1] is not self):
            return True  # of captures inside each other, the innermost records
        return (self._open > 0 and is_called_by("joblib")) or fits_for_search()

    @contextmanager
    def _recorded(self) -> Iterator[Callable[[], float]]:
        self._inside.depth = 1
        self._open += 1
        began = time.perf_counter()
        ended: list[float] = []
        try:
            yield lambda: ended[0] - began
        finally:
            ended.append(time.perf_counter())
            self._open -= 1
            self._inside.depth = 0

    def _record(self, record: Callable[[], None]) -> None:
        """Record something; what is fitted or asked for meanwhile is not a record of its own."""
        self._inside.depth = 1
        try:
            if self._joined.join() is not None:
                record()
        finally:
            self._inside.depth = 0


def _kinds(base: type) -> list[type]:
    """Return a class and all classes below it, each once."""
    found: dict[type, None] = {}
    waiting = [base]
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found[kind] = None
            waiting.extend(type.__subclasses__(kind))
    return [*found, *_mixins(found)]


def _mixins(kinds: Any) -> list[type]:
    """Return the classes that these inherit from besides: mixins define ``fit_transform`` and ``fit_predict``."""
    mixins = {parent: None for kind in kinds for parent in kind.__mro__ if parent is not object}
    return [parent for parent in mixins if parent not in kinds and parent.__module__.startswith("sklearn.")]
