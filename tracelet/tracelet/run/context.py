"""What the parts of a run know of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tracelet.run.job import Job

if TYPE_CHECKING:
    from tracelet.config import Config
    from tracelet.journal import Recorder


class RunContext(NamedTuple):
    """A run as its plugins, its budget and its ending see it: its identity and its writer."""

    id: str
    dir: Path
    writer: Recorder
    config: Config
    job: Job | None = None  # of the ranks that share the run
    hosted: bool = False  # inside ``tracelet run`` of the job's launcher, which measures this host

    @property
    def is_enabled(self) -> bool:
        """Whether the run records at all."""
        return self.config.mode != "disabled"

    @property
    def records(self) -> bool:
        """Whether this process records what the program logs: on rank zero, unless ``ranks`` says otherwise."""
        ranks = self.config.settings.get("ranks", (0,))
        return self.is_enabled and (self.job is None or ranks is None or self.job.rank in ranks)

    @property
    def delivers(self) -> bool:
        """Whether this process delivers to backends: one process of a job does, and none while offline."""
        return self.config.mode == "online" and (self.job is None or self.job.rank == 0)

    @property
    def measures(self) -> bool:
        """Whether this process runs collectors: one process on each host does."""
        return self.is_enabled and not self.hosted and (self.job is None or self.job.local_rank == 0)
