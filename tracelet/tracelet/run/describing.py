"""What a run says of its place among others: its name, project, group, parent, kind of work and notes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import UsageError
from tracelet.journal.writing.values import plain_name, short
from tracelet.run.recording import Recording

if TYPE_CHECKING:
    from tracelet.journal import Recorder
    from tracelet.store import RunRecord

ABOUT: Final = ("group", "parent", "job_type", "notes")
GOALS: Final = ("min", "max", "last")


class Describing(Recording):
    """The part of a run that describes it. Each change is recorded, in the store as well as for backends."""

    def __init__(
        self, run_dir: Path, recorder: Recorder, *, name: str, project: str, records: bool, strict: bool
    ) -> None:
        super().__init__(run_dir, recorder, records=records, strict=strict)
        self._name = name
        self.project = project
        self._about: dict[str, str] = {}
        self._given: Mapping[str, str] = {}  # what the program itself recorded before a resumed run went on

    def take_over(self, known: Mapping[str, str], given: Mapping[str, str]) -> None:
        """Begin with what was recorded before: ``known`` counts, ``given`` is what the program itself said."""
        self._about = {key: value for key, value in known.items() if key in ABOUT and value}
        self._given = given

    def without_known(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out what the program said before the run was resumed: repeating it must not undo a later edit."""
        return {key: value for key, value in about.items() if value != self._given.get(key)}

    @property
    def name(self) -> str:
        """The run's name. Setting it renames the run, in the store as well."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self.rename(check_run_name(name))

    def rename(self, name: str | None = None, project: str | None = None) -> None:
        """Give the run another name, or move it to another project."""
        wanted = {"name": name, "project": project}
        changed = {key: value for key, value in wanted.items() if value and value != getattr(self, key)}
        if changed:
            self._name, self.project = name or self._name, project or self.project
            self._recorder.event("run", changed)

    @property
    def group(self) -> str | None:
        """The group that the run belongs to, such as a sweep. It may be set."""
        return self._about.get("group") or None

    @group.setter
    def group(self, group: str | None) -> None:
        self.describe(group=group or "")

    @property
    def parent(self) -> str | None:
        """The id of the run that this one is part of. It may be set, to an id or a run."""
        return self._about.get("parent") or None

    @parent.setter
    def parent(self, parent: Any) -> None:
        self.describe(parent=parent or "")

    @property
    def job_type(self) -> str | None:
        """What kind of work the run does: ``train``, ``eval``, ... It may be set."""
        return self._about.get("job_type") or None

    @job_type.setter
    def job_type(self, job_type: str | None) -> None:
        self.describe(job_type=job_type or "")

    @property
    def notes(self) -> str | None:
        """Notes, as Markdown. They may be set."""
        return self._about.get("notes") or None

    @notes.setter
    def notes(self, notes: str | None) -> None:
        self.describe(notes=notes or "")

    def describe(
        self,
        *,
        group: str | None = None,
        parent: Any = None,
        job_type: str | None = None,
        notes: str | None = None,
    ) -> None:
        """Change the run's group, parent (an id or a run), kind of work and notes. An empty text removes one.

        Raises:
            UsageError: one of them is not a text, or the parent is not a run's id.
        """
        about = {"group": group, "parent": parent, "job_type": job_type, "notes": notes}
        self.record_about(check_about(about))

    def record_about(self, about: Mapping[str, str]) -> None:
        """Record what has changed of these checked values."""
        changed = {key: value for key, value in about.items() if value != self._about.get(key, "")}
        if changed.get("parent") and changed["parent"] == self.dir.name:
            raise UsageError(f"parent: run {changed['parent']!r} cannot be its own parent")
        if changed:
            self._about.update(changed)
            self._recorder.event("run", changed)

    def plot(self, *metrics: str, **style: Any) -> Any:
        """Return the curves recorded so far as a figure. Takes what :meth:`RunRecord.plot` takes."""
        return self._record().plot(*metrics, **style)

    def _record(self) -> RunRecord:
        from tracelet.store import RunRecord

        return RunRecord.read(self.dir)

    def _repr_html_(self) -> str | None:
        # A disabled run has no folder; notebooks then show its repr.
        return self._record()._repr_html_() if self.dir.is_dir() else None

    def _ipython_display_(self) -> None:
        if not self.dir.is_dir():
            raise NotImplementedError
        self._record()._ipython_display_()

    def define_metric(self, name: str, *, goal: str) -> None:
        """Say which value of a metric counts: ``"min"``, ``"max"`` or ``"last"``.

        Tables, summaries, ``record.best`` and ``metrics.NAME.best`` in expressions use it. ``name`` may be a pattern
        (``"val/*"``). Without a rule, ``[goals]`` of the configuration decides, then the words of the metric's name.

        Raises:
            UsageError: the name is not a text, or the goal is none of these.
            NoActiveRunError: the run has ended.
        """
        if not isinstance(name, str) or not name:
            raise UsageError(
                f"define_metric: expected the name of a metric or a pattern, found {short(name)}"
            )
        if goal not in GOALS:
            raise UsageError(
                f"define_metric({short(name)}): expected goal 'min', 'max' or 'last', found {short(goal)}"
            )
        self._recorder.event("metric", {"name": plain_name(name), "goal": goal})


def check_about(about: Mapping[str, Any]) -> dict[str, str]:
    """Return what was given of a run's group, parent, kind of work and notes, as it is recorded.

    Raises:
        UsageError: one of them is not a text, or the parent is not a run's id.
    """
    given = {key: value for key, value in about.items() if value is not None}
    if not given:
        return {}
    from tracelet.store.editing import check_about_text, check_parent_id

    checked: dict[str, str] = {}
    for key, value in given.items():
        if key == "parent" and isinstance(getattr(value, "id", None), str):
            value = value.id
        if not isinstance(value, str):
            expected = "a run or its id" if key == "parent" else "a text"
            raise UsageError(
                f"{key}: expected {expected}, found {short(value)} of type {type(value).__qualname__}"
            )
        checked[key] = check_parent_id(value) if key == "parent" else check_about_text(key, value)
    return checked


def check_run_name(name: Any) -> str | None:
    """Return the name of a run as a plain text, or None for no name.

    Raises:
        UsageError: it is not a text, such as parameters in its place.
    """
    if name is None or isinstance(name, str):
        return plain_name(name) if name else None
    hint = "; pass parameters as params=" if isinstance(name, Mapping) else ""
    raise UsageError(
        f"start_run: expected a name (a text), found {short(name)} of type {type(name).__qualname__}{hint}"
    )
