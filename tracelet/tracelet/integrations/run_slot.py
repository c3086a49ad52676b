"""The run that a framework's object records into: the active one, else one that it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from tracelet.errors import TraceletError, UsageError
from tracelet.logs import get_logger
from tracelet.run import Run, active_run, start_run

log = get_logger("tracelet.integrations")


class RunSlot:
    """The run of one object. It survives being copied and pickled, where the framework does that.

    The run is looked for when it is first needed: the one given, else the active one, else a new one with
    ``options``, the arguments of :func:`tracelet.start_run`. Only a run that was started here is ended here. In
    another process, a copy continues the same run, unless that process has one of its own.
    """

    def __init__(self, run: Run | str | None = None, **options: Any) -> None:
        """``run`` is the run itself, or the name of one to start."""
        if isinstance(run, str):
            run, options = None, {**options, "name": run}
        self.options = {key: value for key, value in options.items() if value is not None}
        self._run = run
        self._is_started = False
        self._origin: dict[str, Any] | None = None  # id, folder and process of the run of the original
        self._reported: set[str] = set()

    @property
    def is_started(self) -> bool:
        """Whether the run was started here, and so is to be ended here."""
        return self._is_started

    @property
    def known(self) -> Run | None:
        """The run, if there is one already: nothing is started."""
        if self._run is not None and self._run.outcome is None:
            return self._run
        return None if self._run is not None and self._is_started else active_run()

    @property
    def run(self) -> Run:
        """The run: looked for, or started, on first use, and again once it has ended."""
        if self._run is None or self._run.outcome is not None:
            self._run = active_run()
            self._is_started = self._run is None
            if self._run is None:
                self._run = self._continued() or start_run(**self.options)
        return self._run

    def _continued(self) -> Run | None:
        """Return the original's run in a process that has got a copy, such as a spawned worker."""
        origin = self._origin
        if origin is None or origin["pid"] == os.getpid():
            return None
        try:
            return start_run(run_id=origin["run_id"], dir=origin["dir"])
        except UsageError:  # it has ended meanwhile
            return start_run(run_id=origin["run_id"], dir=origin["dir"], resume=True)

    def finish(self, outcome: str = "finished", error: str | None = None) -> None:
        """End the run if it was started here. May be called several times."""
        if self._is_started and self._run is not None:
            self._run.finish(outcome, error=error)

    def try_log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record numbers; what is not recorded is logged once, since a training must not end for it."""
        try:
            self.run.log(metrics, step)
        except TraceletError as error:
            self.report(error)

    def log_params(self, params: Mapping[str, Any] | None) -> None:
        """Record parameters, if there are any."""
        if params:
            try:
                self.run.log_params(params)
            except TraceletError as error:
                self.report(error)

    def log_artifact(self, path: Any, artifact_path: str | None = None) -> None:
        """Copy a file or folder into the run. One that is missing, or was removed meanwhile, is reported."""
        try:
            self.run.log_artifact(path, artifact_path)
        except TraceletError as error:
            self.report(error)

    def report(self, error: Exception) -> None:
        """Log a failure, once for each text."""
        text = str(error)
        if text not in self._reported:
            self._reported.add(text)
            log.warning("%s", text)

    def __getstate__(self) -> dict[str, Any]:
        run, origin = self.known, self._origin
        if run is not None and run.outcome is None:
            origin = {"run_id": run.id, "dir": str(run.config.dir), "pid": os.getpid()}
        return {"options": self.options, "origin": origin}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(**state["options"])  # type: ignore[misc]
        self._origin = state["origin"]

    def __deepcopy__(self, memo: dict[int, Any]) -> RunSlot:
        """Return a slot with the same run: a run cannot be copied, and the copy is used beside the original."""
        copy = RunSlot(self._run, **self.options)
        copy._is_started, copy._origin = self._is_started, self._origin
        return copy


class RecordsIntoRun:
    """What the objects in frameworks' slots share: the run that they record into."""

    records_into_tracelet = True

    def __init__(
        self,
        run: Run | str | None = None,
        *,
        name: str | None = None,
        project: str | None = None,
        tags: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        self._slot = RunSlot(run, name=name, project=project, tags=tags, **options)

    @property
    def run(self) -> Run:
        """The run that is recorded into."""
        return self._slot.run


def missing_package(framework: str, packages: Sequence[str], error: ImportError) -> ImportError:
    """Return the error for a framework that is not installed, naming the pip packages that have it."""
    names = " or ".join(f"pip install {package}" for package in packages)
    return ImportError(
        f"tracelet.integrations.{framework} needs {packages[0]}, which is not installed; run: {names}"
        f" ({error})"
    )
