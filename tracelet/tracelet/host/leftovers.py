"""What plugins leave behind must not keep the program from ending: threads, child processes, exit functions.

At its end Python waits, without limit, for every thread that is not a daemon, for the workers of executors, for child
processes and for exit functions. A plugin that has left one of these behind, and that hangs, would keep the program
alive forever. So each is marked with the plugin that started it. Once the program has ended and nothing but marked
ones is left to wait for, they get a few seconds; then they are named and the process ends without them.

Whatever the program itself has started is waited for as usual.
"""

from __future__ import annotations

import atexit
import functools
import os
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from tracelet.host.frames import current_frames
from tracelet.logs import get_logger

log = get_logger("tracelet.plugins")

GRACE: Final = 3.0  # seconds that threads and processes left behind by plugins get at the end
OWNER: Final = "tracelet_plugin"  # attribute of a thread or process: the plugin that started it
PLUGIN_THREAD: Final = "tracelet_plugin_thread"  # attribute of a plugin's own thread: what runs on it
STARTED_IN: Final = "tracelet_started_in"  # attribute of a thread: the plugin's step that it was started in
_EXITING: Final = 60.0  # seconds that the program's exit functions get
_STEP: Final = 0.1  # seconds between two checks of what is left
_IDLE_STEP: Final = 0.5  # the same while the program runs

#: Called before the process ends without waiting, and the exit status that it ends with. Set by the run.
before_leaving: list[Callable[[], None]] = []
#: Called first in each thread that a plugin starts in one of its steps, with the step. Set by the run.
in_new_thread: list[Callable[[str], None]] = []
exit_status: list[Callable[[], int]] = []

_installed: set[int] = set()  # processes that have the watch
_running_exit: list[tuple[str, str]] = []  # the plugin's exit function that is running: plugin, function


def install() -> None:
    """Mark what plugins start from now on, and watch the end of the program. Once per process."""
    if os.getpid() in _installed or _is_threading_replaced():
        return
    if not _installed:
        _mark_threads()
        _mark_exit_functions()
    _installed.add(os.getpid())
    threading.Thread(target=_watch, name="tracelet exit", daemon=True).start()


def _is_threading_replaced() -> bool:
    """Return whether threads are greenlets, for which the end of the main thread cannot be awaited."""
    gevent = sys.modules.get("gevent.monkey")
    return gevent is not None and bool(gevent.is_module_patched("threading"))


def current_owner() -> str:
    """Return the plugin that the current thread belongs to; an empty text for one of the program's or the host's."""
    owner: str = threading.current_thread().__dict__.get(OWNER, "")
    return owner


def current_step() -> str:
    """Return the plugin's step that the current thread is in, or was started in; an empty text for any other thread."""
    here = threading.current_thread().__dict__
    calls = here.get(PLUGIN_THREAD)
    task = calls.current if calls is not None else None
    step: str = task.step if task is not None else here.get(STARTED_IN, "")
    return step


def _start_in(thread: threading.Thread, step: str) -> None:
    """Mark a thread that is about to start with the step that starts it."""
    run = thread.run

    def run_in_step() -> None:
        for prepare in in_new_thread:
            prepare(step)
        run()

    thread.__dict__[STARTED_IN] = step
    thread.run = run_in_step  # type: ignore[method-assign]


# -- marking -------------------------------------------------------------------------------------------


def _mark_threads() -> None:
    start = threading.Thread.start

    @functools.wraps(start)
    def marking_start(self: threading.Thread) -> None:
        owner = current_owner()
        if owner:
            self.__dict__.setdefault(OWNER, owner)
            if step := current_step():
                _start_in(self, step)
        start(self)

    threading.Thread.start = marking_start  # type: ignore[method-assign]


class _ExitFunction:
    """An exit function that a plugin registered. Equal to the function itself, so that it can be unregistered."""

    def __init__(self, owner: str, function: Callable[..., Any]) -> None:
        self.owner = owner
        self.function = function

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        name = getattr(self.function, "__qualname__", type(self.function).__name__)
        _running_exit.append((self.owner, str(name)))
        try:
            return self.function(*arguments, **keywords)
        finally:
            _running_exit.pop()

    def __eq__(self, other: object) -> bool:
        return other is self or bool(self.function == other)

    __hash__ = None  # type: ignore[assignment]


def _mark_exit_functions() -> None:
    register = atexit.register

    def marking_register(function: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Any:
        owner = current_owner()
        if owner and callable(function):
            register(_ExitFunction(owner, function), *arguments, **keywords)
            return function
        return register(function, *arguments, **keywords)

    atexit.register = marking_register


def children() -> set[Any]:
    """Return the child processes of ``multiprocessing``, if it is in use."""
    module = sys.modules.get("multiprocessing.process")
    return set(module._children) if module is not None else set()


def mark_children(before: set[Any], owner: str) -> None:
    """Mark the child processes that a plugin's call has started."""
    for child in children() - before:
        child.__dict__.setdefault(OWNER, owner)


# -- the end -------------------------------------------------------------------------------------------


def _watch() -> None:
    # The main thread cannot be joined for this: the workers of executors are awaited while it still counts as alive.
    since = None
    while True:
        left = _left_behind()
        if not left:
            since = None
        elif since is None:
            since = time.monotonic()
        elif time.monotonic() > since + GRACE:
            _leave(left)
        time.sleep(_STEP if since is not None else _IDLE_STEP)


def _left_behind() -> list[str]:
    """Return what the interpreter is waiting for, if all of it is plugins'."""
    if _running_exit:
        plugin, function = _running_exit[-1]
        return [f"plugin {plugin!r}: its exit function {function}()"]
    # Nearly always there is neither, so that the frames need not be looked at.
    threads = _all_marked([each for each in threading.enumerate() if _is_awaited(each)], "thread")
    processes = _all_marked([each for each in children() if not each.daemon], "child process")
    main = current_frames().get(threading.main_thread().ident or 0) if threads or processes else None
    if threads and _is_in(main, threading.__file__, "_shutdown"):
        return threads
    if processes and _is_in(main, _file_of("multiprocessing.util"), "_exit_function"):
        return processes
    return []


def _all_marked(awaited: list[Any], kind: str) -> list[str]:
    owners = [each.__dict__.get(OWNER) for each in awaited]
    if not all(owners):
        return []  # the program itself is not done
    return [
        f"plugin {owner!r}: its {kind} {each.name!r}" for owner, each in zip(owners, awaited, strict=True)
    ]


def _is_awaited(thread: threading.Thread) -> bool:
    """Return whether the interpreter waits for a thread: for executors' workers even if they are daemons."""
    if thread in (threading.main_thread(), threading.current_thread()):
        return False
    executors = sys.modules.get("concurrent.futures.thread")
    return not thread.daemon or (executors is not None and thread in executors._threads_queues)


def _is_in(frame: FrameType | None, file: str, function: str) -> bool:
    while frame is not None:
        if frame.f_code.co_name == function and frame.f_code.co_filename == file:
            return True
        frame = frame.f_back
    return False


def _file_of(module: str) -> str:
    return str(getattr(sys.modules.get(module), "__file__", ""))


def _leave(left: list[str]) -> None:
    """Name what is left, do what the interpreter would still have done, and end the process."""
    for what in left:
        log.warning(
            "%s has not ended %g s after the program, which ends without it; end it in stop()", what, GRACE
        )
    actions = list(before_leaving)
    if not _running_exit and "thread" in left[0]:
        actions.append(atexit._run_exitfuncs)
    finishing = threading.Thread(target=_run_all, args=(actions,), name="tracelet leaving", daemon=True)
    finishing.start()
    end = time.monotonic() + _EXITING
    while finishing.is_alive() and time.monotonic() < end:
        finishing.join(_STEP)
        if _running_exit and time.monotonic() > end - _EXITING + GRACE:
            break  # an exit function of a plugin's hangs as well
    for stream in (sys.stdout, sys.stderr):
        _run_all([getattr(stream, "flush", int)])
    os._exit(exit_status[-1]() if exit_status else int(hasattr(sys, "last_value")))


def _run_all(actions: list[Callable[[], Any]]) -> None:
    for action in actions:
        try:
            action()
        except BaseException as error:  # the process ends in any case
            log.debug("while leaving: %r", error)
