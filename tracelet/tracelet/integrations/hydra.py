"""A callback for Hydra, named in its configuration: each job is a run, and a multirun is a group of runs.

.. code-block:: yaml

    hydra:
      callbacks:
        tracelet:
          _target_: tracelet.integrations.hydra.TraceletCallback
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracelet.integrations.run_slot import missing_package
from tracelet.run import Run, active_run, start_run

try:
    from hydra.core.utils import JobReturn
    from hydra.experimental.callback import Callback
    from omegaconf import DictConfig, OmegaConf
except ImportError as error:
    raise missing_package("hydra", ["hydra-core"], error) from error

__all__ = ["TraceletCallback"]


class TraceletCallback(Callback):  # type: ignore[misc]
    """Starts a run for each job, with the composed configuration as parameters, and ends it with the job's outcome.

    The jobs of a multirun are a group. A ``start_run`` in the job's code joins the run.
    """

    records_into_tracelet = True

    def __init__(self, name: str | None = None, project: str | None = None, dir: str | None = None) -> None:
        """``name`` is the run's name, by default the job's; ``project`` and ``dir`` are as in ``start_run``."""
        self.name = name
        self.project = project
        self.dir = dir
        self.group: str | None = None
        self.parent: str | None = None
        self._run: Run | None = None

    def on_run_start(self, config: DictConfig, **more: Any) -> None:
        """Note the data folder: a job may change the current folder."""
        self._note_folder()

    def on_multirun_start(self, config: DictConfig, **more: Any) -> None:
        """Name the group, before a launcher takes the jobs elsewhere."""
        self._note_folder()
        self.group = f"{_job_name(config)}-{Path(str(config.hydra.sweep.dir)).name}"
        outer = active_run()
        if outer is not None:
            if outer.adoptable:
                outer.adopt()  # of `tracelet run`: it holds the sweep, and each job has a run of its own
                outer.settle_name()
            self.parent = outer.id

    def _note_folder(self) -> None:
        if self.dir is None:
            from tracelet.config import program_config, program_file

            self.dir = str(program_config(program_file(), {}).dir.absolute())

    def on_job_start(self, config: DictConfig, **more: Any) -> None:
        """Start the job's run."""
        outer = active_run()
        joins = outer is not None and not outer.adoptable and self.group is None
        if joins:
            outer.log_params(_Configuration(config))  # type: ignore[union-attr, arg-type]
            return
        number = OmegaConf.select(config, "hydra.job.num", throw_on_missing=False)
        name = self.name or _job_name(config)
        is_one_of_many = self.group is not None and number is not None
        run = start_run(
            f"{name}-{number}" if is_one_of_many else name,
            project=self.project,
            dir=self.dir,
            group=self.group,
            parent=self.parent,
        )
        self._run = run
        run.adoptable = True
        run.log_params(_Configuration(config))  # type: ignore[arg-type]
        run.set_tags(_tags(config, number))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **more: Any) -> None:
        """End the job's run."""
        run, self._run = self._run, None
        if run is None:
            return
        run.adoptable = False
        value = getattr(job_return, "_return_value", None)
        if isinstance(value, BaseException):
            run.finish("failed", error=f"{type(value).__name__}: {value}")
            return
        if isinstance(value, (int, float)) and not isinstance(value, bool) and run.outcome is None:
            run.log({"objective": value})  # what a sweeper optimizes
        run.finish()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_run": None}


class _Configuration:
    """A composed configuration without Hydra's own part. Its values still resolve against the whole."""

    def __init__(self, config: DictConfig) -> None:
        self._config = config

    def keys(self) -> list[str]:
        """Return the names at the top."""
        return [str(key) for key in self._config if key != "hydra"]

    def __getitem__(self, key: str) -> Any:
        if OmegaConf.is_missing(self._config, key):
            return "???"
        value = self._config[key]
        if not OmegaConf.is_config(value):
            return value
        try:
            return OmegaConf.to_container(value, resolve=True)
        except Exception:  # one value does not resolve: the others are recorded all the same
            return value


def _tags(config: DictConfig, number: Any) -> dict[str, Any]:
    overrides = OmegaConf.select(config, "hydra.overrides.task") or []
    # The values are among the parameters, where the secret ones are masked.
    names = ", ".join(str(each).partition("=")[0].strip() for each in overrides)
    return {"hydra": {"overrides": names, **({"job": number} if number is not None else {})}}


def _job_name(config: DictConfig) -> str:
    return str(OmegaConf.select(config, "hydra.job.name", throw_on_missing=False) or "job")
