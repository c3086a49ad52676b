"""Runs that are recorded into a folder, delivered to a lake in another folder, and read from both."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tracelet.config import load_config
from tracelet.delivery.sync import sync
from tracelet.host.plugins import PluginManager
from tracelet.journal import Writer
from tracelet.store import Store, open_store

BIG = (1 << 63) - 1
NAMES = (
    "train/acc",
    "a*b[c]?",
    "it's",
    'quo"te',
    "Größe",
    "x@y",
    "100%",
    "a=b",
    " ",
    "not\udc80text",
    "not\udc81text",
)
HARD = (0.1, math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308)


def deliver_to_lake(run_dir: Path, url: str, **options: Any) -> None:
    """Deliver everything of a run to a lake, as ``tracelet sync`` does."""
    from tracelet_builtin_plugins.backends.lake import LakeBackend

    table = {"url": url, "isolation": "thread", **options}
    config = load_config(root=run_dir.parent, overrides={"plugins": {"lake": table}}, environ={})
    manager = PluginManager(use_default_paths=False, config=config)
    manager.register_plugin(LakeBackend)
    (done,) = sync(run_dir, manager, ["lake"])
    assert done.complete, done


@pytest.fixture
def deliver() -> Callable[..., None]:
    return deliver_to_lake


class Both(NamedTuple):
    """The same runs in a folder and in a lake."""

    data: Path
    url: str
    folder: Store
    lake: Store


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    """Keep local copies of lakes out of the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def both(tmp_path_factory, cache) -> Both:
    """Return a store with several kinds of runs, and the lake that they were delivered to."""
    data, lake = tmp_path_factory.mktemp("recorded") / ".tracelet", tmp_path_factory.mktemp("lake")
    record_plain(data)
    record_ranks(data)
    record_killed(data)
    record_edited(data)
    record_failed(data)
    for folder in sorted((data / "runs").iterdir()):
        deliver_to_lake(folder, str(lake))
    return Both(data, str(lake), open_store(data), open_store(str(lake)))


def artifact(run_dir: Path, path: str, content: bytes, **more: Any) -> dict[str, Any]:
    """Write a file into a run's folder, and return the event that lists it."""
    file = run_dir / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    listed = {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {"path": path, "artifact_path": None, "media": None, "files": [listed], **more}


def record_plain(data: Path) -> None:
    """One process with everything that an event can say, and values that are hard to keep."""
    folder = data / "runs" / "plain-1"
    run = {"id": "plain-1", "name": "plain", "project": "digits", "group": "sweep", "notes": "*one*"}
    with Writer(folder, {"run": run, "host": "a"}) as writer:
        writer.event(
            "params", {"params": {"lr": 0.1, "nested": {"a": [1, None, "x"], "b": math.inf}, "s": "ü"}}
        )
        writer.event("tags", {"tags": {"team": "vision", "gone": "1", "": ""}})
        writer.event("fact", {"source": "environment", "facts": {"python": "3", "env": {"A": 1}}})
        for step, value in enumerate(HARD):
            writer.point("loss", value, step)
        for step in (0, BIG, -BIG, 7, 7):
            writer.point("steps", float(step % 7), step)
        for place, name in enumerate(NAMES):
            writer.point(name, place / 3, place)
        writer.point("only nan", math.nan, 0)
        writer.row({"row/a": 1.0, "row/b": 2.0, "loss": 3.0}, 9)
        writer.point("cpu", 50.0, 0, "system", "system")
        writer.point("loss", 9.0, 3, "system", "system")
        writer.event("metric", {"name": "train/*", "goal": "max"})
        writer.event("params", {"params": {"lr": 0.2}})
        writer.event("untag", {"tags": ["gone"]})
        writer.event("artifact", artifact(folder, "artifacts/weights.bin", b"\0\1\2" * 1000))
        picture = artifact(folder, "media/p.png", b"png", name="picture", media="image", step=3)
        writer.event("artifact", picture)
        writer.event("run", {"name": "renamed", "job_type": "train"})
        writer.event("drops", {"drops": {"not a number": 3}})
        writer.event("plugins", {"plugins": {"x": {"type": "collector", "calls": 2, "wall_s": 0.5}}})
        writer.close("finished")


def record_ranks(data: Path) -> None:
    """Two ranks, one of which was resumed and computed a stretch again."""
    folder = data / "runs" / "ranks-1"
    run = {"id": "ranks-1", "name": "ranks", "project": "digits", "parent": "plain-1"}
    for rank, attempt in ((0, 0), (1, 0), (0, 1)):
        about = {"run": run, "rank": rank, "world_size": 2, "attempt": attempt, "resumed": attempt > 0}
        with Writer(folder, {**about, "host": f"h{rank}"}) as writer:
            for step in range(5 * attempt, 10 + 5 * attempt):
                writer.row({"loss": step + rank / 10 + attempt, "acc": step / 3}, step)
            writer.close("finished" if rank == 0 else "failed", "Error: x" if rank else None)


def record_killed(data: Path) -> None:
    """A process that kills itself while it records."""
    program = """
import os, signal, sys
from tracelet.journal import Writer
folder = sys.argv[1] + "/runs/killed-1"
writer = Writer(folder, {"run": {"id": "killed-1", "name": "killed", "project": "other"}, "pid": os.getpid()})
writer.event("params", {"params": {"lr": 3}})
for step in range(100):
    writer.point("loss", 1 / (step + 1), step)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program, str(data)], check=False)


def record_edited(data: Path) -> None:
    """A run that was archived and tagged after its end."""
    run = {"id": "edited-1", "name": "edited", "project": "digits"}
    with Writer(data / "runs" / "edited-1", {"run": run}) as writer:
        writer.point("loss", 1.0, 1)
        writer.close("finished")
    open_store(data).edit("edited-1", tags={"best": "yes"}, archived=True, notes="later")


def record_failed(data: Path) -> None:
    """A run without any metric that failed."""
    run = {"id": "failed-1", "name": "failed", "project": ""}
    with Writer(data / "runs" / "failed-1", {"run": run}) as writer:
        writer.close("failed", "ValueError: no")
