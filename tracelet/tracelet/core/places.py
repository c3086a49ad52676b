"""Where in a plugin's own code something happened, for messages: ``lines.py:12``."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Final

_HOST: Final = frozenset(
    {"tracelet", "tracelet_hookspecs", "pluggy", "threading", "importlib", "_frozen_importlib"}
)

Spot = tuple[str, str, int]  # name of the module, file, line
Call = tuple[CodeType, object]  # a function's code and its first argument, which for a method is the object


def of_error(error: BaseException) -> str:
    """Say where an exception was raised: the deepest line in the file of the plugin that was called."""
    return _deepest(_spots_of_traceback(error.__traceback__))


def of_thread(ident: int | None) -> tuple[str, str, list[Call]]:
    """Say where a thread is now: the line as for :func:`of_error`, its stack as text, and the calls on it."""
    frame = sys._current_frames().get(ident or 0)
    if frame is None:
        return "", "", []
    frames = list(reversed(list(_outward(frame))))
    spots = [(each.f_globals.get("__name__", ""), each.f_code.co_filename, each.f_lineno) for each in frames]
    return _deepest(spots), "".join(traceback.format_stack(frame)), [_call(each) for each in frames]


def calls_of_error(error: BaseException) -> list[Call]:
    """Return the calls that an exception went through, outermost first."""
    return [_call(frame) for frame, _ in traceback.walk_tb(error.__traceback__)]


def _call(frame: FrameType) -> Call:
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    return frame.f_code, frame.f_locals.get(names[0]) if names else None


def _outward(frame: FrameType | None) -> Iterable[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _spots_of_traceback(trace: TracebackType | None) -> Iterable[Spot]:
    for frame, line in traceback.walk_tb(trace):
        yield frame.f_globals.get("__name__", ""), frame.f_code.co_filename, line


def _deepest(spots: Iterable[Spot]) -> str:
    """Pick the deepest spot in the first file that is not the host's; below it are libraries, which tell less."""
    foreign = [spot for spot in spots if str(spot[0]).partition(".")[0] not in _HOST]
    inside = [spot for spot in foreign if spot[1] == foreign[0][1]]
    return f"{Path(inside[-1][1]).name}:{inside[-1][2]}" if inside else ""
