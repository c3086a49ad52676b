"""The calls that record files, and what all calls that make files share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import RecordingError
from tracelet.journal.writing.metric_table import check_name
from tracelet.journal.writing.values import LONG_NAME, as_step, plain_name
from tracelet.layout import media_type

if TYPE_CHECKING:
    from tracelet.journal import Recorder
    from tracelet.run.artifacts import ArtifactStore
    from tracelet.run.media.media_folder import MediaFolder
    from tracelet.run.refusals import Refusals
    from tracelet.run.run_files import WrittenFiles

_LISTING: Final = 4 << 20  # bytes of JSON that one event holds of an artifact's list of files
_NAMED: Final = 5  # entries of a folder that a warning names
_LISTED: Final = 1000  # entries of a folder that are recorded as missing


class FileCalls:
    """Files and folders of the program, copied into the run, and the files that media become."""

    def __init__(self, run_dir: Path, recorder: Recorder, refusals: Refusals, *, records: bool) -> None:
        self.dir = run_dir
        self._recorder = recorder
        self._refusals = refusals
        self._records = records
        self._files: _RunFolders | None = None

    def _check_name(self, name: Any) -> str | None:
        """Return a name as a plain text, or None if it is too long to be recorded."""
        check_name(name)
        try:
            return plain_name(name)
        except RecordingError as error:
            if error.reason != LONG_NAME:
                raise
            refused = error.with_traceback(None)
        self._refusals.add(name[:200], refused)
        return None

    def log_artifact(self, local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Copy a file or folder into the run. ``artifact_path`` is the folder among its artifacts to put it in.

        A second artifact of the same name becomes another version; the first one is not changed. What a folder holds
        and cannot be kept (a named pipe, a file that may not be read) is reported, and the rest is kept.

        Raises:
            RecordingError: there is nothing at the path, or ``artifact_path`` leads outside.
            NoActiveRunError: the run has ended.
        """
        self.keep_artifact(local_path, artifact_path)

    def keep_artifact(
        self,
        local_path: str | os.PathLike[str],
        artifact_path: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Copy a file or folder into the run as :meth:`log_artifact` does, with what a reader has to know of it."""
        if not self._records:
            return
        self._recorder.check_open()
        refused = None
        try:
            record = self._folders.artifacts.add(local_path, artifact_path)
            if metadata:
                record["metadata"] = dict(metadata)
        except RecordingError as error:
            if error.reason not in _OF_THE_FILE:
                raise
            refused = error.with_traceback(None)
        except OSError as error:
            refused = _lost(f"artifact {str(local_path)[:200]}", error)
        if refused is not None:
            self._refusals.add(str(local_path), refused)
            return
        self._record_artifact({**record, "media": None, "step": None})

    def _record_artifact(self, record: dict[str, Any]) -> None:
        missing = record.pop("missing", [])
        if missing:
            record["missing"], record["missing_count"] = missing[:_LISTED], len(missing)
        first, *more = _listings(record["files"])
        listed = {"file_count": len(record["files"])} if more else {}
        self._recorder.event("artifact", {**record, **listed, "files": first})
        for files in more:
            self._recorder.event("artifact_files", {"path": record["path"], "files": files})
        if missing:
            named = ", ".join(f"{one['path']} ({one['reason']})" for one in missing[:_NAMED])
            rest = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            text = f"artifact {record['name']!r}: kept without {named}{rest}"
            self._refusals.add(
                record["name"], RecordingError(text, reason="artifact: files missing"), len(missing)
            )
        if any(file.get("changed") for file in record["files"]):
            text = f"artifact {record['name']!r}: files changed while they were copied; log them when they are complete"
            self._refusals.report(record["name"], "changed", text)

    def _log_medium(
        self, kind: str, name: Any, step: Any, encode: Callable[[], tuple[bytes, str, dict[str, Any]]]
    ) -> None:
        checked = self._check_name(name)
        if checked is None:
            return
        name = checked
        step = None if step is None else as_step(step, name)
        if not self._records:
            return
        self._recorder.check_open()
        label = f"{kind} {name[:200]!r}"
        try:
            data, suffix, facts = encode()
            file = self._folders.media.write(name, step, suffix, data)
        except RecordingError as error:
            refused = RecordingError(f"{label}: {error}", reason=error.reason)
        except OSError as error:
            refused = _lost(label, error)
        except Exception as error:  # from the object's own code, or a library's
            text = f"{label}: it cannot be read: {type(error).__name__}: {error}"
            refused = RecordingError(text, reason=f"{kind}: unreadable")
        else:
            self._recorder.event("artifact", _medium(media_type(kind), name, step, file, facts))
            return
        self._refusals.add(label, refused)

    @property
    def _folders(self) -> _RunFolders:
        if self._files is None:
            self._files = _RunFolders(self.dir)
        return self._files

    def _sync_files(self) -> None:
        """Wait until the disk has the artifacts and media that were logged: before the events that name them."""
        if self._files is not None:
            self._files.written.sync()


class _RunFolders:
    """Where artifacts and media go."""

    def __init__(self, run_dir: Path) -> None:
        from tracelet.run.artifacts import ArtifactStore
        from tracelet.run.media.media_folder import MediaFolder
        from tracelet.run.run_files import WrittenFiles

        self.written: WrittenFiles = WrittenFiles(run_dir)
        self.artifacts: ArtifactStore = ArtifactStore(run_dir, self.written)
        self.media: MediaFolder = MediaFolder(run_dir, self.written)


_OF_THE_FILE: Final = frozenset({"unreadable file"})  # why a file is left out, while the call is right


def _lost(what: str, error: OSError) -> RecordingError:
    """Return the error for what the disk did not take."""
    from tracelet.safe_files import UnsafeFileError

    is_unsafe = isinstance(error, UnsafeFileError)
    reason = "no folder of the run" if is_unsafe else (error.strerror or type(error).__name__).lower()
    return RecordingError(f"{what} is not recorded: {error}", reason=f"file: {reason}")


def _medium(
    kind: str, name: str, step: int | None, file: dict[str, Any], facts: dict[str, Any]
) -> dict[str, Any]:
    record = {
        "path": file["path"],
        "artifact_path": str(Path(file["path"]).parent),
        "name": name,
        "media": kind,
        "step": step,
        "files": [file],
    }
    return {**record, "metadata": facts} if facts else record


def _listings(files: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield a list of files in parts that fit into one event each."""
    part: list[dict[str, Any]] = []
    size = 0
    for file in files:
        size += len(json.dumps(file)) + 2
        if size > _LISTING and part:
            yield part
            part, size = [], 0
        part.append(file)
    yield part
