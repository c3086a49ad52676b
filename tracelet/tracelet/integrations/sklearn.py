"""Records what scikit-learn fits: ``with capture(): model.fit(X, y)``."""

from __future__ import annotations

import copy
import functools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakSet

from tracelet.errors import TraceletError
from tracelet.integrations.joining import JoinedRun, fits_for_search, is_called_by
from tracelet.integrations.patching import Patches
from tracelet.integrations.run_slot import missing_package
from tracelet.integrations.sklearn_fits import record_fit, record_validation
from tracelet.logs import get_logger
from tracelet.run import Run

try:
    from sklearn import base
except ImportError as error:
    raise missing_package("sklearn", ["scikit-learn"], error) from error

__all__ = ["Capture", "capture"]

log = get_logger("tracelet.integrations")

_FITTING: Final = ("fit", "fit_transform", "fit_predict", "partial_fit")
_NO_METHODS: Final = (staticmethod, classmethod, type)
_captures: list[Capture] = []  # those that are on, the latest last


@contextmanager
def capture(run: Run | None = None) -> Iterator[None]:
    """Record what scikit-learn's estimators, and those of others that follow it, fit while the block runs.

    One call of ``fit`` is one record, whatever it fits inside: a pipeline's steps, an ensemble's members, a search's
    candidates. It has the parameters, the number of samples and features, the time, the training score if it is
    cheap, and the curves that the estimator keeps. A search has a table of its results and the best parameters;
    ``cross_validate`` and ``cross_val_score`` have the scores of each fold.

    Everything goes to ``run``, else to the active run, else to one that is started.
    """
    from sklearn import model_selection

    joined = JoinedRun(run)
    capturing = Capture(joined.join)
    capturing.start()
    try:
        capturing.wrap_validation(model_selection.cross_validate)
        yield
    finally:
        capturing.stop()


class Capture:
    """Wraps the methods that fit, from :meth:`start` to :meth:`stop`.

    ``choose`` returns the run that a fit is recorded in, or None to leave it out.
    """

    def __init__(self, choose: Callable[[], Run | None]) -> None:
        self._choose = choose
        self._patches = Patches()
        self._inside = threading.local()
        self._open = 0  # fits that are recorded and have not ended
        self._started_in_parts: WeakSet[Any] = WeakSet()  # estimators of which partial_fit is recorded

    def start(self) -> None:
        """Wrap the estimators that are defined, and those that will be."""
        _captures.append(self)
        for kind in _kinds(base.BaseEstimator):
            self._wrap(kind)
        root = base.BaseEstimator
        original = root.__init_subclass__.__func__

        def init_subclass(cls: Any, **options: Any) -> None:
            original(cls, **options)
            if self in _captures:
                self._wrap(cls)

        wrapped: Any = functools.wraps(original)(init_subclass)
        self._patches.replace(root, "__init_subclass__", classmethod(wrapped))

    def __reduce__(self) -> tuple[Any, ...]:
        # A class of the program's main module is pickled with its methods, for worker processes: they record nothing.
        return _make_idle_capture, ()

    def stop(self) -> None:
        """Restore everything. A second call does nothing."""
        if self in _captures:
            _captures.remove(self)
        self._patches.undo()

    def _wrap(self, kind: Any) -> None:
        for name in _FITTING:
            method = vars(kind).get(name)
            if hasattr(method, "fn") and hasattr(
                method, "check"
            ):  # there only if the estimator inside has it
                available = copy.copy(method)
                available.fn = self._wrapped_fit(method.fn, name)
                self._patches.replace(kind, name, available)
            elif callable(method) and not isinstance(method, _NO_METHODS):
                self._patches.replace(kind, name, self._wrapped_fit(method, name))

    # -- fits --------------------------------------------------------------------------------------------

    def _wrapped_fit(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(method)
        def fit(estimator: Any, *arguments: Any, **named: Any) -> Any:
            if self._is_nested() or (name == "partial_fit" and not self._is_first_part(estimator)):
                return method(estimator, *arguments, **named)
            with self._recorded() as seconds:
                result = method(estimator, *arguments, **named)
            data = (*arguments, *(named[key] for key in ("X", "y") if key in named))[:2]
            self._record(lambda joined: record_fit(joined, estimator, data, seconds(), name))
            return result

        return fit

    def _is_first_part(self, estimator: Any) -> bool:
        try:
            is_first = estimator not in self._started_in_parts
            self._started_in_parts.add(estimator)
        except TypeError:  # an estimator of the program's own that has no hash
            return False
        return is_first

    def wrap_validation(self, function: Callable[..., Any]) -> None:
        """Wrap ``cross_validate``, which ``cross_val_score`` calls, too."""

        @functools.wraps(function)
        def cross_validate(estimator: Any, *arguments: Any, **named: Any) -> Any:
            if self._is_nested():
                return function(estimator, *arguments, **named)
            with self._recorded() as seconds:
                result = function(estimator, *arguments, **named)
            data = arguments[0] if arguments else named.get("X")
            self._record(lambda joined: record_validation(joined, estimator, data, result, seconds()))
            return result

        self._patches.replace_function(function, cross_validate)

    def _is_nested(self) -> bool:
        """Whether a fit belongs to another one, in this thread or in one that joblib has started for it."""
        if getattr(self._inside, "depth", 0) or not _captures or _captures[-1] is not self:
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

    def _record(self, record: Callable[[JoinedRun], None]) -> None:
        """Record something. What is fitted meanwhile is no record, and no failure reaches the program."""
        self._inside.depth = 1
        try:
            run = self._choose()
            joined = JoinedRun(run)
            if run is not None and joined.join() is not None:
                record(joined)
        except TraceletError:  # the run is strict, or cannot be started
            raise
        except Exception as error:  # from an estimator of the program's own
            log.warning("a fit is not recorded: %s: %s", type(error).__name__, error)
        finally:
            self._inside.depth = 0


def _make_idle_capture() -> Capture:
    return Capture(lambda: None)


def _kinds(root: type) -> list[type]:
    """Return a class and all classes below it, each once, and the mixins that define methods which fit."""
    found: dict[type, None] = {}
    waiting = [root]
    while waiting:
        kind = waiting.pop()
        if kind not in found:
            found[kind] = None
            waiting.extend(type.__subclasses__(kind))
    parents = {parent: None for kind in found for parent in kind.__mro__ if parent is not object}
    mixins = [*vars(base).values(), *parents]
    for mixin in mixins:
        if isinstance(mixin, type) and mixin.__module__.startswith("sklearn."):
            found.setdefault(mixin, None)
    return list(found)
