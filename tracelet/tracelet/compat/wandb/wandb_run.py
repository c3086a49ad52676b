"""``wandb.Run``: what ``wandb.init`` returns, recording into a run of tracelet."""

from __future__ import annotations

import getpass
import itertools
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import tracelet.run
from tracelet.compat.wandb.artifact_calls import ArtifactCalls
from tracelet.compat.wandb.axes import Axes, MetricDefinition
from tracelet.compat.wandb.config_values import Config
from tracelet.compat.wandb.current import remove_run
from tracelet.compat.wandb.errors import Error
from tracelet.compat.wandb.saved_files import SavedFiles
from tracelet.compat.wandb.settings import Settings
from tracelet.compat.wandb.summary_values import Summary
from tracelet.compat.wandb.values import record_value, split_row
from tracelet.logs import get_logger
from tracelet.run.run import outcome_of

DEFAULT_PROJECT: Final = "uncategorized"
log = get_logger("tracelet.compat")


class Run(ArtifactCalls):
    """A run with W&B's calls. ``tracelet_run`` is the run that it records into."""

    def __init__(
        self, recorded: tracelet.run.Run, arguments: Mapping[str, Any], *, allow_val_change: bool = False
    ) -> None:
        super().__init__(recorded)
        self._arguments = dict(arguments)
        self._config = Config(self._record_config, allow_val_change=allow_val_change)
        self._summary = Summary(self._record_summary)
        self._axes = Axes(self._summary)
        self._tags: tuple[str, ...] = ()
        self._watched: Any = None
        self.starting_step = 0 if recorded.last_step is None else recorded.last_step + 1
        self._step = self.starting_step
        self._steps = itertools.count(self.starting_step)
        self._files = SavedFiles(recorded)
        recorded.before_end.append(self._before_end)

    # -- recording --------------------------------------------------------------------------------------

    def log(
        self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None, sync: Any = None
    ) -> None:
        """Record a row of values, at once.

        Without ``step``, a row has the next step; with ``commit=False`` the next call adds to it. A step that is
        smaller than one before is recorded, while W&B drops it.

        Raises:
            TypeError: the row is not a mapping.
            Error: the step is not a whole number.
        """
        if not isinstance(data, Mapping):
            raise TypeError(f"Data must be a mapping of names to values, found {type(data).__name__}")
        if step is not None:
            at = _whole(step)
            following = at + 1 if commit else at
            if following > self._step:
                self._step, self._steps = following, itertools.count(following)
        elif commit is False:
            at = self._step
        else:
            at = next(self._steps)  # one step in C: rows of several threads have different steps
            self._step = max(self._step, at + 1)
        self._record_row(data, at)

    def _record_row(self, data: Mapping[str, Any], step: int) -> None:
        numbers, others = split_row(data)
        if numbers:
            if self._axes.definitions:
                for at, row in self._axes.place(numbers, step):
                    self.tracelet_run.log(row, at)
            else:
                self.tracelet_run.log(numbers, step)
            self._summary.note(numbers)
        for name, value in others:
            record_value(self.tracelet_run, name, value, self._axes.step_of(name, numbers, step))
        if self._watched is not None:
            self._watched.record(self.tracelet_run, step)

    def _record_config(self, values: Mapping[str, Any]) -> None:
        self.tracelet_run.log_params(values)

    def _record_summary(self, name: str, value: Any) -> None:
        """Record what the program sets in the summary: numbers as a metric of one point, others as a tag."""
        numbers, others = split_row({name: value})
        for each, number in numbers.items():
            label = f"summary/{each}" if self._summary.was_logged(each) else each
            self.tracelet_run.log_metric(label, number, self._step)
        for each, other in others:
            if isinstance(other, str):
                self.tracelet_run.set_tags({f"summary/{each}": other})
            else:
                record_value(self.tracelet_run, f"summary/{each}", other, None)

    def define_metric(
        self,
        name: str,
        step_metric: Any = None,
        step_sync: bool | None = None,
        hidden: bool | None = None,
        summary: str | None = None,
        goal: str | None = None,
        overwrite: bool | None = None,
    ) -> MetricDefinition:
        """Set which metric is the x-axis of another one, and what its summary keeps. ``*`` at the end is a pattern."""
        definition = self._axes.define(name, step_metric, summary, goal)
        best = {"min": "min", "max": "max", "minimize": "min", "maximize": "max"}
        wanted = best.get(str(goal or summary))
        if wanted is not None:
            self.tracelet_run.define_metric(name, goal=wanted)
        return definition

    def alert(self, title: str, text: str = "", level: Any = None, wait_duration: Any = None) -> None:
        """Record an alert as a text, and log it as a warning."""
        name = getattr(level, "name", level) or "INFO"
        self.tracelet_run.log_text(f"alerts/{title}", f"{name}: {text}", self._step)
        log.warning("alert %s (%s): %s", title, name, text)

    def watch(
        self,
        models: Any,
        criterion: Any = None,
        log: str | None = "gradients",
        log_freq: int = 1000,
        idx: int | None = None,
        log_graph: bool = False,
    ) -> list[Any]:
        """Record histograms of a model's gradients, parameters, or both, every ``log_freq`` batches.

        Raises:
            ValueError: ``log`` is something else.
        """
        from tracelet.compat.wandb.watching import Watching

        if self._watched is None:
            self._watched = Watching()
        self._watched.add(models, log, log_freq)
        if log_graph:
            for model in models if isinstance(models, (list, tuple)) else (models,):
                self.tracelet_run.log_text("graph", str(model))
        return []

    def unwatch(self, models: Any = None) -> None:
        """Stop recording what ``watch`` has begun."""
        if self._watched is not None:
            self._watched.remove(models)

    def save(
        self, glob_str: Any = None, base_path: Any = None, policy: str = "live", glob: bool = True
    ) -> bool | list[str]:
        """Keep files with the run: now, and again at its end if they changed (``live``) or only then (``end``)."""
        return True if glob_str is None else self._files.save(glob_str, base_path, policy, glob)

    def restore(
        self, name: str, run_path: str | None = None, replace: bool = False, root: str | None = None
    ) -> Any:
        """Open a file that a run has kept with ``save``.

        Raises:
            ValueError: the run has no such file.
        """
        return self._files.restore(name, run_path, root or self.dir)

    def mark_preempting(self) -> None:
        """Do nothing: tracelet sees the signal itself."""

    def pin_config_keys(self, keys: Sequence[str] = ()) -> None:
        """Do nothing: which parameters a page shows first is chosen there."""

    def write_logs(self, text: str) -> None:
        """Record a text."""
        self.tracelet_run.log_text("logs", text)

    # -- the run itself ---------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """What the run is configured with."""
        return self._config

    @property
    def config_static(self) -> Any:
        """The configuration as a dict."""
        return self._config.as_dict()

    @property
    def summary(self) -> Summary:
        """The last value of each metric, and what the program sets."""
        return self._summary

    @property
    def id(self) -> str:
        """The id."""
        return self.tracelet_run.id

    @property
    def name(self) -> str:
        """The name."""
        return self.tracelet_run.name

    @name.setter
    def name(self, name: str) -> None:
        self.tracelet_run.name = name

    @property
    def project(self) -> str:
        """The project."""
        return self.tracelet_run.project

    @property
    def entity(self) -> str:
        """Who the run belongs to: as given, else the user's name."""
        return str(self._arguments.get("entity") or _user())

    @property
    def group(self) -> str:
        """The group, empty if there is none."""
        return self.tracelet_run.group or ""

    @property
    def job_type(self) -> str:
        """What kind of job it is, empty if that was not given."""
        return self.tracelet_run.job_type or ""

    @property
    def notes(self) -> str | None:
        """A description."""
        return self.tracelet_run.notes

    @notes.setter
    def notes(self, notes: str) -> None:
        self.tracelet_run.notes = str(notes)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags. Assigning a longer tuple adds to them."""
        return self._tags

    @tags.setter
    def tags(self, tags: Sequence[str]) -> None:
        self.set_first_tags(tuple(tags))

    def set_first_tags(self, tags: Sequence[str]) -> None:
        """Record the tags that are new."""
        new = [str(tag) for tag in tags if tag not in self._tags]
        self._tags = tuple(str(tag) for tag in tags)
        if new:
            self.tracelet_run.set_tags(new)

    @property
    def dir(self) -> str:
        """A folder for the program's files: what is in it when the run ends is kept with the run."""
        return self._files.folder

    @property
    def sync_dir(self) -> str:
        """The run's folder."""
        return str(self.tracelet_run.dir)

    @property
    def step(self) -> int:
        """The step of the next row."""
        return self._step

    @property
    def start_time(self) -> float:
        """When it began, in seconds since the epoch."""
        return self.tracelet_run.started_at

    @property
    def path(self) -> str:
        """Entity, project and id."""
        return f"{self.entity}/{self.project}/{self.id}"

    @property
    def url(self) -> str:
        """The address of the run's folder: there is no page on a server."""
        return Path(self.tracelet_run.dir).absolute().as_uri()

    @property
    def project_url(self) -> str:
        """The address of the data folder."""
        return Path(self.tracelet_run.dir).absolute().parent.parent.as_uri()

    @property
    def sweep_id(self) -> str | None:
        """The sweep that this run belongs to."""
        from tracelet.compat.wandb.sweeps import current_sweep

        return current_sweep()

    sweep_url = None

    @property
    def resumed(self) -> bool:
        """Whether it continues an earlier run."""
        return bool(self._arguments.get("resumed"))

    @property
    def disabled(self) -> bool:
        """Whether it records nothing."""
        return self._arguments.get("mode") == "disabled"

    @property
    def offline(self) -> bool:
        """Always: a backend delivers what is recorded, if one is configured."""
        return True

    @property
    def settings(self) -> Settings:
        """The settings."""
        return Settings(
            **{**self._arguments, "run_id": self.id, "mode": self._arguments.get("mode") or "offline"}
        )

    def get_url(self) -> str:
        """Return the address."""
        return self.url

    def project_name(self) -> str:
        """Return the project."""
        return self.project

    def status(self) -> Any:
        """Return that everything is recorded."""
        return Settings(sync_items_total=0, sync_items_pending=0, sync_time=None)

    def display(self, height: int = 420, hidden: bool = False) -> bool:
        """Show nothing."""
        return False

    def to_html(self, height: int = 420, hidden: bool = False) -> str:
        """Return a line of HTML that names the run."""
        from html import escape

        return f"<code>{escape(self.name)} ({escape(self.id)})</code>"

    def take_over_config(self) -> None:
        """Take the parameters of a run that is continued."""
        from tracelet.compat.starting import find_run

        record = find_run(self.id)
        if record is not None:
            self._config._values.update(record.params)

    # -- the end ----------------------------------------------------------------------------------------

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run: as failed, if ``exit_code`` is not zero."""
        self._end("failed" if exit_code else "finished", f"exit code {exit_code}" if exit_code else None)

    join = finish

    def _end(self, outcome: str, error: str | None) -> None:
        remove_run(self)
        self.tracelet_run.finish(outcome, error=error)

    def _before_end(self) -> None:
        remove_run(self)
        if self._watched is not None:
            self._watched.remove(None)
        self._files.record_last()

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(*outcome_of(error))

    def _label(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: frameworks name themselves with it."""

    def __repr__(self) -> str:
        return f"<wandb.Run {self.name} ({self.id}) recorded by tracelet>"


class RunDisabled:
    """What some programs compare a run's class with; runs of the drop-in are never of this class."""


def _whole(step: Any) -> int:
    try:
        return int(step)
    except (TypeError, ValueError):
        raise Error(f"wandb.log: step: expected a whole number, found {step!r}") from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return os.environ.get("USER") or Path(tempfile.gettempdir()).name
