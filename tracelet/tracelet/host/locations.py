"""The position in a plugin's own code, for messages: ``lines.py:12``."""

from __future__ import annotations

import traceback
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

from tracelet.host.frames import current_frames

_HOST: Final = frozenset(
    {"tracelet", "tracelet_hookspecs", "pluggy", "threading", "importlib", "_frozen_importlib", "ast"}
)

_IMPORTS: Final = ("_find_and_load", "_lock_unlock_module")  # importlib's, with the module's name in ``name``

Spot = tuple[str, str, int]  # name of the module, file, line
Call = tuple[CodeType, object]  # a function's code and its first argument, which is the object for a method


#: By plugin file: the thread that imports it, or has imported it last.
importers: dict[Path, int] = {}


def of_error(error: BaseException) -> str:
    """Return where an exception was raised: the deepest line in the file of the plugin that was called."""
    return _deepest([_spot(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)])


def of_thread(ident: int | None) -> tuple[str, str, list[Call]]:
    """Return where a thread is now: the line as for :func:`of_error`, its stack as text, and the calls on it."""
    frame = current_frames().get(ident or 0)
    if frame is None:
        return "", "", []
    frames = [each for each, _ in traceback.walk_stack(frame)][::-1]
    spots = [_spot(each, each.f_lineno) for each in frames]
    stack = traceback.format_stack(frame)
    importer = _importer(frames) if not _deepest(spots) else None
    if importer not in (None, ident):
        return of_thread(importer)  # the position of the thread that this one waits for
    text = "".join(stack[_count_host(spots) :] or stack)
    return _deepest(spots) + _awaited_import(frames), text, [_call(each) for each in frames]


def _importer(frames: list[FrameType]) -> int | None:
    """Return the thread that is importing the plugin file which a thread waits for."""
    files = [each.f_locals.get("file") for each in frames if each.f_code.co_name == "import_file"]
    file = files[-1] if files else None
    return importers.get(file) if isinstance(file, Path) else None


def _awaited_import(frames: list[FrameType]) -> str:
    """Return which module a thread waits for, because another thread is importing it."""
    importing = [each for each in frames if each.f_code.co_filename == "<frozen importlib._bootstrap>"]
    if not importing or importing[-1].f_code.co_name != "acquire" or importing[-1] is not frames[-1]:
        return ""
    names = [each.f_locals.get("name") for each in importing if each.f_code.co_name in _IMPORTS]
    return f", waiting for the import of {names[-1]!r} on another thread," if names else ""


def format_plugin_traceback(error: BaseException) -> str:
    """Return an exception's traceback as text, starting at the plugin's own code.

    Empty if it never entered the plugin's code. For code that is not valid Python, the offending line is shown.
    """
    trace = error.__traceback__
    while trace is not None and _is_host(_spot(trace.tb_frame, trace.tb_lineno)):
        trace = trace.tb_next
    if trace is None:
        return "".join(traceback.format_exception_only(error)) if isinstance(error, SyntaxError) else ""
    return "".join(traceback.format_exception(type(error), error, trace))


def calls_of_error(error: BaseException) -> list[Call]:
    """Return the calls that an exception went through, outermost first."""
    return [_call(frame) for frame, _ in traceback.walk_tb(error.__traceback__)]


def _call(frame: FrameType) -> Call:
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    return frame.f_code, frame.f_locals.get(names[0]) if names else None


def _spot(frame: FrameType, line: int) -> Spot:
    return str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename, line


def _is_host(spot: Spot) -> bool:
    return spot[0].partition(".")[0] in _HOST


def _count_host(spots: list[Spot]) -> int:
    """Count the host's own spots at the outside of the stack."""
    return next((at for at, spot in enumerate(spots) if not _is_host(spot)), len(spots))


def _deepest(spots: list[Spot]) -> str:
    """Return the deepest spot in the first file that is not the host's. Libraries further down say less."""
    foreign = [spot for spot in spots if not _is_host(spot)]
    in_files = [spot for spot in foreign if not spot[1].startswith("<")] or foreign  # not in generated code
    inside = [spot for spot in in_files if spot[1] == in_files[0][1]]
    return f"{Path(inside[-1][1]).name}:{inside[-1][2]}" if inside else ""
