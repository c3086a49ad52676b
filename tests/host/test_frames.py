"""Looking at the frames of other threads never makes the program hang (python/cpython#106883)."""

from __future__ import annotations

import gc
import threading

import pytest

from tracelet.host import leftovers
from tracelet.host.frames import current_frames

#: Threads end all the time, while each allocation may collect objects whose finalizers release the GIL. The threads
#: stop by themselves, since eight of them can keep the GIL from the main thread for minutes.
BUSY = """
import gc, os, sys, threading, time
from {module} import {function} as look

class Finalized:
    def __del__(self):
        time.sleep(0)

def litter():
    one = Finalized()
    one.itself = one

def spawn():
    while time.monotonic() < end:
        thread = threading.Thread(target=litter)
        thread.start()
        thread.join()

end = time.monotonic() + 3
for _ in range(8):
    threading.Thread(target=spawn, daemon=True).start()
gc.set_threshold(5, 1, 1)
while time.monotonic() < end:
    litter()
    look()
print("done", flush=True)
os._exit(0)
"""


def test_it_does_not_hang_while_threads_end(project):
    text = BUSY.format(module="tracelet.host.frames", function="current_frames")
    assert project.python("-c", text, timeout=60).stdout == "done\n"


def test_it_finds_every_thread():
    go = threading.Event()
    other = threading.Thread(target=go.wait)
    other.start()
    try:
        found = current_frames()
    finally:
        go.set()
        other.join()
    assert {other.ident, threading.get_ident()} <= found.keys()
    assert found[threading.get_ident()].f_code.co_name == "current_frames"


@pytest.mark.parametrize("is_enabled", [True, False])
def test_the_collector_is_left_as_it_was(is_enabled):
    was_enabled = gc.isenabled()
    (gc.enable if is_enabled else gc.disable)()
    try:
        current_frames()
        assert gc.isenabled() == is_enabled
    finally:
        (gc.enable if was_enabled else gc.disable)()


def test_the_frames_are_not_looked_at_while_nothing_is_left_behind(monkeypatch):
    def look():
        raise AssertionError("looked at")

    monkeypatch.setattr(leftovers, "current_frames", look)
    assert leftovers._left_behind() == []
