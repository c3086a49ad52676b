"""What plugins cost to find, start and stop: ``python tests/benchmarks/bench_plugins.py [--repeat N] [COUNT ...]``.

For each number of plugins (10, 100 and 1000), in a process of its own: milliseconds per plugin, the best of several
repetitions, and the ratio to the smallest number. What stays flat has ratios near 1. The last lines put starting beside
the least that could be done for it: a thread for each plugin, ``pluggy``'s own registration, and a call of each step.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pluggy

import tracelet_hookspecs as contract
from tracelet.core.plugins import BackendPlugin, PluginManager, PluginMetadata, PluginType

METHODS = """
    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...
    def get_status(self): return {}
    def log_metric(self, name, value, iteration): ...
    def log_params(self, params): ...
    def log_artifact(self, local_path, artifact_path=None): ...
"""

LITERAL = f"""
from tracelet.core.plugins import BackendPlugin, PluginMetadata, PluginType

class Backend(BackendPlugin):
    @classmethod
    def get_metadata(cls):
        return PluginMetadata(name="NAME", version="1.0", type=PluginType.BACKEND)
{METHODS}"""

FUNCTION = """
import tracelet

@tracelet.hookimpl
def collect():
    return {"one": 1}
"""

WHAT = {
    "listed": "list files, by their source",
    "imported": "list files that have to be imported",
    "entry points": "list entry points",
    "registered": "register classes",
    "started": "validate, initialize and start them",
    "asked": "get_status of all",
    "stopped": "stop them",
    "bare": "bare: thread, pluggy, calls",
}


def backend(number: int) -> type[BackendPlugin]:
    """Make a backend class."""
    namespace: dict[str, object] = {}
    exec("class Body:\n" + METHODS, namespace)
    body = {name: value for name, value in vars(namespace["Body"]).items() if not name.startswith("__")}
    metadata = PluginMetadata(f"backend-{number}", "1.0", PluginType.BACKEND)
    return type("Backend", (BackendPlugin,), {**body, "get_metadata": classmethod(lambda cls: metadata)})


class Clock:
    """Takes the milliseconds that each of several things needs."""

    def __init__(self) -> None:
        self.took: dict[str, float] = {}

    def __call__(self, what: str, function: Callable[[], object]) -> None:
        began = time.perf_counter()
        function()
        self.took[what] = (time.perf_counter() - began) * 1e3


def files(folder: Path, count: int, text: str) -> Path:
    """Write plugin files."""
    folder.mkdir()
    for number in range(count):
        (folder / f"plugin_{number}.py").write_text(text.replace("NAME", f"plugin-{number}"))
    return folder


def distribution(folder: Path, count: int) -> None:
    """Put a distribution with entry points on the path."""
    info = folder / "many-1.0.dist-info"
    info.mkdir(parents=True)
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: many\nVersion: 1.0\nSummary: Many\n")
    points = "".join(f"many-{number} = many_plugins:Backend\n" for number in range(count))
    info.joinpath("entry_points.txt").write_text(f"[tracelet.plugins]\n{points}")
    sys.path.append(str(folder))


def discovered(expected: int, **sources: object) -> Callable[[], None]:
    """Return what discovers plugins, and sees that all are found."""

    def discover() -> None:
        found = PluginManager(**sources).discover_plugins()  # type: ignore[arg-type]
        assert len(found) >= expected, [info.error for info in found]

    return discover


def measure_one(count: int) -> dict[str, float]:
    """Measure everything for one number of plugins, in this process."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        folder = Path(temporary)
        paths = {text: files(folder / name, count, text) for name, text in (("a", LITERAL), ("b", FUNCTION))}
        discovered(0, use_default_paths=False)()  # what is imported once and for all
        clock("listed", discovered(count, plugin_paths=[paths[LITERAL]], use_default_paths=False))
        clock("imported", discovered(count, plugin_paths=[paths[FUNCTION]], use_default_paths=False))
        distribution(folder / "site", count)
        discovered(0)()
        clock("entry points", discovered(count))
        os.chdir("/")
    classes = [backend(number) for number in range(count)]
    names = [cls.get_metadata().name for cls in classes]
    warm_up()
    manager = PluginManager(use_default_paths=False)
    clock("registered", lambda: [manager.register_plugin(cls) for cls in classes])
    clock("started", lambda: manager.start_plugins(names))
    assert manager.get_status()["active"] == count
    clock("asked", manager.get_status)
    clock("stopped", manager.stop_all_plugins)
    clock("bare", lambda: bare(classes))
    return clock.took


def warm_up() -> None:
    """Import what starting a plugin imports."""
    with PluginManager(use_default_paths=False) as manager:
        manager.register_plugin(backend(0))
        manager.start_plugins(["backend-0"])


def bare(classes: list[type[BackendPlugin]]) -> None:
    """Do the least that a host with a thread per plugin could do."""
    registry = pluggy.PluginManager(contract.PROJECT_NAME)
    registry.add_hookspecs(contract.specs)
    gate = threading.Event()
    threads = []
    for cls in classes:
        done = threading.Event()

        def live(cls: type[BackendPlugin] = cls, done: threading.Event = done) -> None:
            plugin = cls()
            registry.register(plugin)
            plugin.initialize({})
            plugin.start()
            done.set()
            gate.wait()

        threads.append(threading.Thread(target=live))
        threads[-1].start()
        done.wait()
    gate.set()
    for thread in threads:
        thread.join()


def measure(count: int, repeat: int) -> dict[str, float]:
    """Measure in fresh processes, and return the best of each, in milliseconds per plugin."""
    runs = []
    for _ in range(repeat):
        command = [sys.executable, __file__, "--one", str(count)]
        runs.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    return {what: min(run[what] for run in runs) / count for what in WHAT}


def lines(counts: list[int], results: dict[int, dict[str, float]]) -> Iterator[str]:
    """Yield the table."""
    heads = "".join(f"{f'{count} plugins':>22}" for count in counts)
    yield f"{'milliseconds per plugin':38}{heads}"
    for what, label in WHAT.items():
        cells = []
        for count in counts:
            ratio = results[count][what] / results[counts[0]][what]
            cells.append(f"{results[count][what]:>12.3f}   x {ratio:4.2f} ")
        yield f"{label:38}{''.join(cells)}"
    yield ""
    for count in counts:
        took = results[count]
        ratio = (took["registered"] + took["started"]) / took["bare"]
        yield f"registering and starting {count} plugins takes {ratio:.1f} times what the bare thing does"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("counts", nargs="*", type=int, default=[10, 100, 1000], metavar="COUNT")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure_one(arguments.one)))
        return
    results = {count: measure(count, arguments.repeat) for count in arguments.counts}
    print("\n".join(lines(arguments.counts, results)))


if __name__ == "__main__":
    main()
