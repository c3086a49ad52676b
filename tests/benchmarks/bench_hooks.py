"""What a data hook costs: ``python tests/benchmarks/bench_hooks.py [--calls N] [BACKENDS ...]``.

``log_metric`` for 1, 3 and 10 backends, microseconds per point given to all of them, the best of several repetitions in
turns: pluggy's own call of all implementations at once; the host's caller for each backend, as delivery uses it in its
loops; the same inside another plugin's wrapper, against pluggy's call inside it; and ``handle.call`` from another
thread, which hands each point over to the backend's own thread and waits for it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import pluggy

import tracelet_hookspecs as contract
from tracelet.core.plugins import BackendPlugin, PluginManager, PluginMetadata, hookimpl

POINT = {"name": "train/loss", "value": 0.5, "iteration": 7, "timestamp": 1.7e9, "run": None}


class Plain:
    """A backend for pluggy alone."""

    @hookimpl
    def log_metric(self, name: str, value: Any, iteration: int | None) -> None: ...


class Wrapper:
    """Wraps every call."""

    @hookimpl(wrapper=True)
    def log_metric(self) -> Any:
        return (yield)


def backend(number: int) -> type[BackendPlugin]:
    """Make a backend for the host."""

    class Backend(BackendPlugin):
        @classmethod
        def get_metadata(cls) -> PluginMetadata:
            return PluginMetadata(f"backend-{number}", "1.0", "backend")  # type: ignore[arg-type]

        def initialize(self, config: Any) -> None: ...
        def start(self) -> None: ...
        def stop(self) -> None: ...
        def get_status(self) -> dict[str, Any]:
            return {}

        def log_metric(self, name: str, value: Any, iteration: int | None) -> None: ...
        def log_params(self, params: Any) -> None: ...
        def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None: ...

    return Backend


def bare(count: int, wrapped: bool) -> Callable[[int], None]:
    """Return what calls pluggy's own hook a number of times."""
    manager = pluggy.PluginManager(contract.PROJECT_NAME)
    manager.add_hookspecs(contract.specs)
    for plugin in [*(Plain() for _ in range(count)), *([Wrapper()] if wrapped else [])]:
        manager.register(plugin)

    def call(calls: int) -> None:
        log_metric = manager.hook.log_metric
        for _ in range(calls):
            log_metric(**POINT)

    return call


def hosts(count: int, wrapped: bool) -> PluginManager:
    """Return a manager with so many active backends."""
    manager = PluginManager(use_default_paths=False)
    names = [manager.register_plugin(backend(number)).name for number in range(count)]
    if wrapped:
        names.append(manager.register_plugin(Wrapper(), "wrapper").name)
    assert all(manager.start_plugins(names).values())
    return manager


def adapted(manager: PluginManager) -> Callable[[int], None]:
    """Return what calls each backend's hook on that backend's thread, a number of times."""
    backends = [manager.handle(name) for name in manager.active("log_metric")]

    def call(calls: int) -> None:
        for handle in backends:
            caller = handle.caller("log_metric")

            def loop(caller: Callable[..., Any] = caller) -> None:
                for _ in range(calls):
                    caller(**POINT)

            handle.submit(loop, step="log_metric", deadline=600)

    return call


def handed_over(manager: PluginManager) -> Callable[[int], None]:
    """Return what hands each point over to each backend's thread."""
    backends = [manager.handle(name) for name in manager.active("log_metric")]

    def call(calls: int) -> None:
        for handle in backends:
            for _ in range(calls // 20):  # it takes so much longer
                handle.call("log_metric", **POINT)

    return call


def best(ways: dict[str, Callable[[int], None]], calls: int, repeat: int) -> dict[str, float]:
    """Return microseconds per point, the best of several repetitions in turns."""
    took = dict.fromkeys(ways, float("inf"))
    for _ in range(repeat):
        for way, function in ways.items():
            began = time.perf_counter()
            function(calls)
            share = calls // 20 if way == "handed over" else calls
            took[way] = min(took[way], (time.perf_counter() - began) / share * 1e6)
    return took


def lines(counts: list[int], calls: int, repeat: int) -> Iterator[str]:
    """Yield the table."""
    yield f"{'microseconds per point':24}" + "".join(f"{name:>22}" for name in ("pluggy", "host", "ratio"))
    for count in counts:
        with hosts(count, False) as plain, hosts(count, True) as wrapped:
            ways = {"pluggy": bare(count, False), "host": adapted(plain), "handed over": handed_over(plain)}
            ways |= {"pluggy, wrapped": bare(count, True), "host, wrapped": adapted(wrapped)}
            took = best(ways, calls, repeat)
        backends = f"{count} backend{'s' if count > 1 else ''}"
        for kind in ("", ", wrapped"):
            pluggys, ours = took[f"pluggy{kind}"], took[f"host{kind}"]
            yield f"{backends + kind:24}{pluggys:>22.2f}{ours:>22.2f}{f'x {ours / pluggys:.2f}':>22}"
        over, ratio = took["handed over"], took["handed over"] / took["pluggy"]
        yield f"{backends + ', one by one':24}{'':>22}{over:>22.2f}{f'x {ratio:.2f}':>22}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backends", nargs="*", type=int, default=[1, 3, 10], metavar="BACKENDS")
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=7)
    arguments = parser.parse_args()
    for line in lines(arguments.backends, arguments.calls, arguments.repeat):
        print(line)


if __name__ == "__main__":
    main()
