"""Runs in wandb's folders (``wandb/offline-run-...``), read without wandb."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.wandb.history import records
from tracelet_builtin_plugins.backends.wandb.history.log_file import LogFile, is_log_file
from tracelet_builtin_plugins.backends.wandb.history.media import media_of
from tracelet_builtin_plugins.history_values import HistoryValues
from tracelet_builtin_plugins.numbers import is_step
from tracelet_hookspecs import ImportedFile, ImportedRun

__all__ = ["import_wandb_folders"]

_SUFFIX: Final = ".wandb"
_DEEPEST: Final = 4  # folders below the source
_ROWS: Final = 20_000  # records of one part
_MOST_FILES: Final = 10_000
_WRONG: Final = (ValueError, ArithmeticError, LookupError, TypeError, AttributeError, struct.error, OSError)
DAMAGED: Final = "damaged records"
CUT: Final = "records that are cut off"
_SPECIAL: Final = ("_step", "_timestamp", "_runtime", "_wandb")


def import_wandb_folders(source: str, *, follow: bool) -> Iterator[ImportedRun | None] | None:
    """Return the runs in wandb's folders below a folder, or of one file; ``None`` if there is none."""
    root = Path(source)
    files = _find_files(root)
    if not files:
        return None
    return _follow(root) if follow else _read_files(files)


def _find_files(root: Path) -> list[Path]:
    if root.is_file():
        return [root] if root.suffix == _SUFFIX and is_log_file(root) else []
    found: list[Path] = []
    depth = len(root.parts)
    for folder, folders, names in os.walk(root, followlinks=False):
        folders.sort()
        if len(Path(folder).parts) - depth >= _DEEPEST:
            folders.clear()
        found += [Path(folder, name) for name in sorted(names) if name.endswith(_SUFFIX)]
    return [path for path in found if is_log_file(path)][:_MOST_FILES]


def _run_id(path: Path) -> str:
    return path.stem.removeprefix("run-")


def _read_files(files: list[Path]) -> Iterator[ImportedRun]:
    ordered = sorted(files, key=lambda path: (_run_id(path), str(path)))
    for run_id, several in groupby(ordered, key=_run_id):
        run = WandbRun(run_id)
        for path in several:
            yield from run.read(path)
            yield run.finish(path)


def _follow(root: Path) -> Iterator[ImportedRun | None]:
    runs: dict[str, WandbRun] = {}
    while True:
        for path in sorted(_find_files(root), key=lambda path: (_run_id(path), str(path))):
            yield from runs.setdefault(_run_id(path), WandbRun(_run_id(path))).read(path)
        yield None


class WandbRun:
    """One run, in one folder or, if it was resumed, in several."""

    def __init__(self, run_id: str) -> None:
        self._id = run_id
        self._key = run_id
        self._about: dict[str, Any] = {"name": run_id, "facts": {"wandb_id": run_id}}
        self._files: dict[Path, LogFile] = {}
        self._values = HistoryValues("wandb")
        self._lines: list[str] = []
        self._summary: dict[str, Any] = {}
        self._in_history: set[str] = set()
        self._media: list[ImportedFile] = []
        self._ticks = 0
        self._started: float | None = None
        self._is_known = False  # whether the record that identifies the run was read

    # --- parts -------------------------------------------------------------------------------------------------

    def read(self, path: Path) -> Iterator[ImportedRun]:
        """Yield what is new in a file."""
        file = self._files.setdefault(path, LogFile(path))
        count = 0
        try:
            for data in file.records():
                self._take(data, path.parent)
                count += 1
                if count % _ROWS == 0 and self._is_known:
                    yield self._part(file)
        except OSError:
            self._values.count("files that cannot be read")
        if (count or self._values.damage) and self._is_known:
            yield self._part(file)

    def finish(self, path: Path) -> ImportedRun:
        """Return what is known only at the end of a file: the files beside it, and what could not be read."""
        file = self._files[path]
        if file.is_cut:
            self._values.count(CUT)
        part = self._part(file)
        part.files = [*self._values.tables(), *self._folder_files(path.parent)]
        part.outcome = self._about.get("outcome") or "killed"
        summary = {key: value for key, value in self._summary.items() if key not in self._in_history}
        if summary:
            part.facts = {**part.facts, "summary": summary}
        return part

    def _part(self, file: LogFile) -> ImportedRun:
        if file.damaged:
            self._values.count(DAMAGED, file.damaged)
            file.damaged = 0
        points, damage = self._values.take_points(), self._values.take_damage()
        part = ImportedRun(self._key, points=points, files=self._media, damage=damage, **self._about)
        self._media = []
        return part

    # --- records -----------------------------------------------------------------------------------------------

    def _take(self, data: bytes, folder: Path) -> None:
        try:
            record = records.read_record(data)
            if record is not None:
                getattr(self, f"_take_{record.kind}")(record.content, folder)
        except _WRONG:
            self._values.count(DAMAGED)

    def _take_run(self, content: dict[int, list[Any]], folder: Path) -> None:
        self._is_known = True
        entity, project = records.text_of(content, 2), records.text_of(content, 3)
        self._id = records.text_of(content, 1) or self._id
        self._key = "/".join(filter(None, (entity, project, self._id)))
        for field, number in (("name", 8), ("group", 6), ("job_type", 7), ("notes", 9)):
            if text := records.text_of(content, number):
                self._about[field] = text
        if project:
            self._about["project"] = project
        self._about["tags"] = dict.fromkeys(records.texts_of(content, 10), "")
        started = records.seconds_of(content, 17)
        if started and self._started is None:
            self._started = self._about["started_at"] = started
        facts = {
            "host": records.text_of(content, 13),
            "entity": entity,
            "sweep": records.text_of(content, 12),
        }
        self._about["facts"].update({key: text for key, text in facts.items() if text})
        for config in content.get(4, ()):
            self._take_config(records.gather(config), folder)

    def _take_config(self, content: dict[int, list[Any]], _: Path) -> None:
        params = {"/".join(path): value for path, value in records.items_of(content) if path[0] != "_wandb"}
        self._about["params"] = {**self._about.get("params", {}), **params}

    def _take_environment(self, content: dict[int, list[Any]], _: Path) -> None:
        named = (
            ("host", 12),
            ("script", 6),
            ("python", 2),
            ("os", 1),
            ("root", 11),
            ("gpu", 18),
            ("cuda", 25),
        )
        facts: dict[str, Any] = {key: records.text_of(content, number) for key, number in named}
        if 5 in content:
            facts["argv"] = [facts["script"] or "", *records.texts_of(content, 5)]
        for git in content.get(9, ()):
            found = records.gather(git)
            facts.update(git_remote=records.text_of(found, 1), git_commit=records.text_of(found, 2))
        self._about["facts"].update({key: fact for key, fact in facts.items() if fact})

    def _take_exit(self, content: dict[int, list[Any]], _: Path) -> None:
        code = content.get(1, [0])[-1]
        self._about["outcome"] = "failed" if code else "finished"
        runtime = content.get(2, [0])[-1]
        if self._started is not None and runtime:
            self._about["ended_at"] = self._started + runtime

    def _take_summary(self, content: dict[int, list[Any]], _: Path) -> None:
        for path, value in records.items_of(content):
            if not path[0].startswith("_") and isinstance(value, (int, float, str, bool)):
                self._summary["/".join(path)] = value

    def _take_output(self, content: dict[int, list[Any]], _: Path) -> None:
        self._lines.append(records.text_of(content, 3) or "")

    def _take_artifact(self, content: dict[int, list[Any]], _: Path) -> None:
        if not (records.text_of(content, 4) or "").startswith(
            "run_table"
        ):  # a copy of a table in the history
            self._values.count("artifacts, whose files are not in the folder")

    def _take_stats(self, content: dict[int, list[Any]], _: Path) -> None:
        when = records.seconds_of(content, 2) or 0.0
        for path, value in records.items_of(content, 3):
            if isinstance(value, (int, float)):
                self._values.add("/".join(("system", *path)), self._ticks, value, when, is_system=True)
        self._ticks += 1

    def _take_history(self, content: dict[int, list[Any]], folder: Path) -> None:
        row: dict[str, Any] = {}
        for path, value in records.items_of(content):
            at = row
            for name in path[:-1]:
                inner = at.get(name)
                if not isinstance(inner, dict):
                    inner = at[name] = {}
                at = inner
            at[path[-1]] = value
        step = row.get("_step")
        if not isinstance(step, int):
            found = dict(records.fields(content[2][-1])).get(1, 0) if 2 in content else 0
            step = found - (found >> 63 << 64)
        if not is_step(step):
            raise ValueError("a step beyond 64 bits")
        when = row.get("_timestamp")
        when = float(when) if isinstance(when, (int, float)) else 0.0
        for name, value in row.items():
            if name not in _SPECIAL:
                self._take_value(name, value, step, when, folder)

    def _take_value(self, name: str, value: Any, step: int, when: float, folder: Path) -> None:
        self._in_history.add(name)
        if isinstance(value, (int, float)):  # truth values, too
            self._values.add(name, step, value, when)
        elif isinstance(value, dict) and "_type" in value:
            try:
                files = media_of(name, value, folder / "files", step, when)
            except _WRONG:
                self._values.count("media that cannot be read")
            else:
                if files is None:
                    self._values.count(f"media of type {value['_type']}")
                self._media += files or []
        elif isinstance(value, dict):
            for key, inner in value.items():
                self._take_value(f"{name}/{key}", inner, step, when, folder)
        elif isinstance(value, list) and value and all(isinstance(one, (int, float)) for one in value):
            for index, number in enumerate(value[:1000]):
                self._values.add(f"{name}/{index}", step, number, when)
        elif value is not None:
            self._values.add_text(name, step, value)

    # --- files -------------------------------------------------------------------------------------------------

    def _folder_files(self, folder: Path) -> list[ImportedFile]:
        """Return the files that the run has saved; media belong to the history."""
        top = folder / "files"
        found: list[ImportedFile] = []
        for at, folders, names in os.walk(top, followlinks=False):
            if Path(at) == top and "media" in folders:
                folders.remove("media")
            folders.sort()
            place = Path(at).relative_to(folder).as_posix()
            paths = [Path(at, name) for name in sorted(names)]
            found += [
                ImportedFile(path.name, path=str(path), artifact_path=place)
                for path in paths
                if path.is_file() and not path.is_symlink()
            ]
        if self._lines and not any(file.name == "output.log" for file in found):
            data = "".join(self._lines).encode()
            found.append(ImportedFile("output.log", data=data, artifact_path="files"))
        return found[:_MOST_FILES]
