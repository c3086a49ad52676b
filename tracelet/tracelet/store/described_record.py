"""What a list shows of a run, as properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracelet.store.details import Details


class DescribedRecord:
    """The part of a record that needs no more than the run's details."""

    def __init__(self, run_dir: Path, details: Details) -> None:
        self.dir = run_dir
        self._details = details

    @property
    def id(self) -> str:
        """The run's unique id."""
        return self._details.id

    @property
    def name(self) -> str:
        """The run's name, which other runs may share."""
        return self._details.name

    @property
    def project(self) -> str:
        """The project that the run belongs to."""
        return self._details.project

    @property
    def started_at(self) -> float:
        """When the run began, in seconds since the epoch."""
        return self._details.started_at

    @property
    def ended_at(self) -> float | None:
        """When the run ended, or gave its last sign of life if it was killed; ``None`` while it is running."""
        return self._details.ended_at

    @property
    def duration(self) -> float:
        """How long the run was active so far, in seconds. The time between two attempts does not count."""
        return self._details.duration

    @property
    def outcome(self) -> str:
        """``running``, ``finished``, ``failed``, ``killed``, ``unreadable``, ``empty``, or what the program set."""
        return self._details.outcome

    @property
    def error(self) -> str | None:
        """The text of the exception that ended the run."""
        return self._details.error

    @property
    def host(self) -> str | None:
        """The host that the run began on."""
        return self._details.host

    @property
    def params(self) -> dict[str, Any]:
        """The parameters; a later value replaces an earlier one."""
        return self._details.params

    @property
    def tags(self) -> dict[str, Any]:
        """The tags."""
        return self._details.tags

    @property
    def group(self) -> str | None:
        """The group that the run belongs to, such as a sweep."""
        return self._details.group

    @property
    def parent(self) -> str | None:
        """The id of the run that this one is part of. Nothing guarantees that there is such a run."""
        return self._details.parent

    @property
    def job_type(self) -> str | None:
        """What kind of work the run did: ``train``, ``eval``, ..."""
        return self._details.job_type

    @property
    def notes(self) -> str | None:
        """Notes, as Markdown."""
        return self._details.notes

    @property
    def archived(self) -> bool:
        """Whether the run is left out of lists unless they ask for it."""
        return self._details.archived

    @property
    def problem(self) -> str | None:
        """Why the run cannot be read, ``None`` if it can."""
        return self._details.problem
