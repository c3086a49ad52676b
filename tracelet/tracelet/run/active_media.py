"""The calls of :class:`MediaCalls` as functions, for the active run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Concatenate, ParamSpec

from tracelet.run.active import require_run
from tracelet.run.media_calls import MediaCalls

P = ParamSpec("P")


def _for_active_run(method: Callable[Concatenate[MediaCalls, P], None]) -> Callable[P, None]:
    """Return a method as a function that calls it on the active run."""
    name = method.__name__

    @functools.wraps(method)
    def function(*args: P.args, **kwargs: P.kwargs) -> None:
        getattr(require_run(name), name)(*args, **kwargs)

    signature = inspect.signature(method)
    parameters = list(signature.parameters.values())[1:]  # without self
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    function.__module__, function.__qualname__ = __name__, name
    return function


log_audio = _for_active_run(MediaCalls.log_audio)
log_confusion_matrix = _for_active_run(MediaCalls.log_confusion_matrix)
log_embedding = _for_active_run(MediaCalls.log_embedding)
log_html = _for_active_run(MediaCalls.log_html)
log_mesh = _for_active_run(MediaCalls.log_mesh)
log_pr_curve = _for_active_run(MediaCalls.log_pr_curve)
log_roc_curve = _for_active_run(MediaCalls.log_roc_curve)
log_video = _for_active_run(MediaCalls.log_video)
