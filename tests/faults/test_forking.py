"""A fork while a plugin imports something: the child waits for no lock of a thread that stayed behind."""

from __future__ import annotations

import tracelet

PLUGIN = """
import tracelet, slow

@tracelet.hookimpl
def run_started(run):
    pass
"""

SLOW = """
import pathlib, time
pathlib.Path("importing").touch()
time.sleep(0.5)
made = 1
"""

TRAIN = """
import os, signal, threading, time
from pathlib import Path

import tracelet

def fork():
    while not Path("importing").exists():
        time.sleep(0.001)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # nobody waits for one that hangs
        import slow
        with tracelet.start_run("child") as own:
            own.log_metric("made", slow.made)
        os._exit(0)
    print(os.waitpid(child, 0)[1])

forking = threading.Thread(target=fork)
forking.start()
with tracelet.start_run("parent"):
    forking.join()
"""


def test_a_child_forked_amid_an_import_imports_the_same_itself(project):
    project.write("slow.py", SLOW)
    project.write("tracelet_plugins.py", PLUGIN)
    project.write("train.py", TRAIN)
    assert project.python("train.py").stdout == "0\n"
    assert list(tracelet.open_store(project.path).run("child").metric("made").values) == [1]
