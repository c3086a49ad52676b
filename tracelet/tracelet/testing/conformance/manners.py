"""Promises of every plugin: it is valid, light, keeps secrets, and leaves the process as it found it."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tracelet.testing.conformance.promises import broken, promise
from tracelet.testing.conformance.suite import Suite
from tracelet.testing.harness import Harness
from tracelet.testing.program import Program, run_program

#: Packages that take long to import, or much memory.
HEAVY: Final = (
    *(
        "numpy",
        "pandas",
        "polars",
        "pyarrow",
        "torch",
        "tensorflow",
        "jax",
        "scipy",
        "sklearn",
        "matplotlib",
        "PIL",
    ),
    *("mlflow", "wandb", "aim", "clearml", "trackio", "gradio", "comet_ml", "neptune", "tensorboard", "grpc"),
    *("google.protobuf", "opentelemetry", "psycopg", "sqlalchemy", "requests", "httpx", "aiohttp", "boto3"),
    *(
        "fsspec",
        "ray",
        "dask",
        "duckdb",
        "IPython",
        "plotly",
        "transformers",
        "lightning",
        "keras",
        "xgboost",
    ),
)
SLOW: Final = 0.4  # seconds of CPU time
_IMPORT: Final = """\
import json, sys, time, threading
import tracelet.core.plugins
sys.path[:] = json.loads(sys.argv[2])
from tracelet.testing.plugins import load_module
import tracelet_hookspecs._bases, logging, typing, dataclasses, pathlib, importlib.metadata, inspect, json
before, began = set(sys.modules), time.process_time()
load_module(sys.argv[1])
took = time.process_time() - began
threads = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
print(json.dumps({"new": sorted(set(sys.modules) - before), "took": took, "threads": threads}))
"""


class Manners(Suite):
    """What every plugin promises, whatever its type."""

    #: Modules that the plugin may import at import time although they are heavy: those that its users have anyway.
    may_import: tuple[str, ...] = ()

    def use(self, harness: Harness) -> None:
        """Have the plugin do some of its work."""
        harness.send([("loss", step / 2, step) for step in range(10)])
        harness.run.log_params({"lr": 0.1})
        harness.run.set_tags({"team": "vision"})
        harness.wait()

    @promise("valid", "`tracelet plugins check` finds no fault")
    def test_it_is_valid(self) -> None:
        """Metadata, hooks and their arguments, dependencies, schema, configuration."""
        from tracelet.host.plugins import PluginManager

        manager = PluginManager(use_default_paths=False)
        info = manager.register_plugin(self._object)
        faults, _ = manager.examine_plugin(info.name)
        if faults:
            broken("; ".join(faults))

    @promise("restarts", "It can be stopped and started again")
    def test_it_can_be_stopped_and_started_again(self) -> None:
        """Two lives in one process."""
        harness = self.harness()
        self.use(harness)
        harness.stop()
        harness.restart()
        self.use(harness)
        harness.stop()
        harness.check()

    @promise("status", "get_status() returns what JSON can hold, at any time", both=True)
    def test_get_status_is_json(self, isolation: str) -> None:
        """Before and after it has worked, and while a call fails."""
        harness = self.harness()
        self._check_status(harness, "right after the start")
        self.use(harness)
        self._check_status(harness, "after it has worked")

    def _check_status(self, harness: Harness, when: str) -> None:
        answer = harness.manager.handle(harness.name).call("get_status")
        if not isinstance(answer, Mapping):
            broken(f"get_status, {when}: expected a mapping, found {type(answer).__name__}")
        try:
            json.dumps(dict(answer), allow_nan=False)
        except (TypeError, ValueError) as error:
            broken(f"get_status, {when}: {error}")

    @promise("process", "It runs in a process of its own, isolation = 'process'")
    def test_it_runs_in_a_process_of_its_own(self) -> None:
        """Started, used and stopped there."""
        if (kind := self.metadata.type.value) in ("processor", "framework"):
            self.not_applicable(f"a {kind} works in the process of what it changes")
        if why := self._why_not_elsewhere():
            self.not_applicable(why)
        harness = self.harness(isolation="process")
        self.use(harness)
        if harness.pid == os.getpid():
            broken("it runs in this process")
        harness.stop()
        harness.check()

    @promise("leftovers", "It leaves no thread behind, and prints nothing")
    def test_it_leaves_nothing_behind_and_prints_nothing(self) -> None:
        """Threads that keep the program from ending, and output of its hooks."""
        harness = self.harness(strict="all")
        self.use(harness)
        harness.stop()
        harness.check()

    # -- secrets ---------------------------------------------------------------------------------------

    @promise("secrets", "No secret of its configuration appears in a status, a repr, a log or an exception")
    def test_no_secret_is_shown(self) -> None:
        """While it works, while its calls fail, and in its object's repr."""
        secrets = dict(self._secrets())
        if not secrets:
            self.not_applicable(
                "the configuration has no secret; add one, for example a token that is not needed"
            )
        with _listening() as seen:
            harness = self.harness(start="try")
            fault = harness.fail_with(ConnectionError("injected"), times=2)
            with contextlib.suppress(AssertionError):
                self.use(harness)
            harness.clear(fault)
            texts = {
                "the status": json.dumps(harness.status(), default=repr),
                "the repr": f"{harness.instance!r} {harness.instance}",
                "the error": str(harness.info.error),
                "the traceback": str(harness.info.traceback),
                "an exception": " ".join(call.error or "" for call in harness.calls),
            }
            harness.stop()
        texts["the log"] = seen.getvalue()
        for key, secret in secrets.items():
            for where, text in texts.items():
                if secret in text:
                    broken(f"{where} shows the value of {key!r}")

    def _secrets(self) -> Iterator[tuple[str, str]]:
        from urllib.parse import urlsplit

        from tracelet.config.validation import declared_keys
        from tracelet_hookspecs import is_secret_key

        schema = self.metadata.config_schema
        marked = {
            key
            for key in declared_keys(schema)
            if isinstance(schema, Mapping)
            and isinstance(schema.get(key), Mapping)
            and schema[key].get("secret")
        }
        for key, value in self.table().items():
            if isinstance(value, Mapping) and (key in marked or is_secret_key(key)):  # headers, for example
                yield from (
                    (f"{key}.{name}", one) for name, one in value.items() if isinstance(one, str) and one
                )
            if isinstance(value, str) and value and (key in marked or is_secret_key(key)):
                yield key, value
            if isinstance(value, str) and "://" in value and (password := _password(urlsplit, value)):
                yield key, password

    # -- the process -----------------------------------------------------------------------------------

    @promise("import", "Its import is light: nothing heavy, no thread, little time")
    def test_nothing_heavy_at_import(self) -> None:
        """In a fresh process, so that nothing is imported already."""
        if why := self._why_not_elsewhere():
            self.not_applicable(why)
        module = self._spec()[0]
        if module.endswith(".py"):
            self.not_applicable("the plugin is in a file, which imports what its tests need")
        argv = [sys.executable, "-c", _IMPORT, module, json.dumps([path for path in sys.path if path])]
        done = subprocess.run(
            argv, capture_output=True, encoding="utf-8", timeout=120, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            broken(f"its import fails: {done.stderr.strip().splitlines()[-1]}")
        found = json.loads(done.stdout.splitlines()[-1])
        heavy = [name for name in HEAVY if name in found["new"] and name not in self.may_import]
        if heavy:
            broken(f"its import imports {', '.join(heavy)}; import them inside the functions that use them")
        if found["threads"]:
            broken(f"its import starts threads: {', '.join(found['threads'])}")
        if found["took"] > SLOW:
            broken(f"its import takes {found['took']:.1f} s of CPU time; import less, or inside functions")

    @promise(
        "global_state", "It changes nothing of the process: folder, environment, logging, signals, hooks"
    )
    def test_it_changes_nothing_of_the_process(self) -> None:
        """In a program of its own, from before its first import until after the end of the run."""
        if why := self._why_not_elsewhere():
            self.not_applicable(why)
        folder = self.folder()
        steps = [
            ("points", "loss", 0, 10),
            ("params", {"lr": 0.1}),
            ("flush",),
            ("state",),
            ("finish",),
            ("state",),
        ]
        ended = run_program(
            Program(
                plugin=self._spec(),
                name=self.metadata.name,
                config=self.table(),
                folder=folder,
                run_id="run-1",
                steps=steps,
                watch=True,
            )
        )
        if ended.status:
            broken(f"the program ended with status {ended.status}: {ended.err.strip()[-500:]}")
        changes = [change for answer in ended.answers for change in answer.get("changes", ())]
        if changes:
            broken("; ".join(dict.fromkeys(changes)))


def _password(split: Any, url: str) -> str | None:
    try:
        password: str | None = split(url).password
    except ValueError:
        return None
    return password


@contextlib.contextmanager
def _listening() -> Iterator[io.StringIO]:
    """Keep what is logged anywhere, at any level."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    root = logging.getLogger()
    level = root.level
    own = logging.getLogger("tracelet")
    root.addHandler(handler)
    own.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield text
    finally:
        root.removeHandler(handler)
        own.removeHandler(handler)
        root.setLevel(level)
