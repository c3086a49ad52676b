"""``wandb.Artifact``: files under a name, with versions, aliases and metadata."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tracelet.compat.offered import note_once
from tracelet.compat.wandb.artifact_entries import Entry, Manifest, read_object, write_object
from tracelet.compat.wandb.errors import CommError

_NAME: Final = re.compile(r"[a-zA-Z0-9_\-.]+")


class ArtifactTTL:
    """How long an artifact is kept: makes no difference here."""

    INHERIT = None


class Artifact:
    """Files under a name. A draft collects them; ``run.log_artifact`` records them as a version."""

    def __init__(
        self,
        name: str,
        type: str,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
        storage_region: str | None = None,
        digest_algorithm: str = "MD5",
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(
                "Artifact name may only contain alphanumeric characters, dashes, underscores, and dots. "
                f"Invalid name: {name!r}"
            )
        if type in ("job", "wandb-history"):
            raise ValueError(
                f"Artifact types 'job' and 'wandb-history' are reserved for internal use, found {type!r}"
            )
        self._name = name
        self._type = type
        self.description = description
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.aliases: list[str] = []
        self.tags: list[str] = []
        self.ttl: Any = None
        self.use_as = use_as
        self.incremental = incremental
        self._entries: dict[str, Entry] = {}
        self._folder = tempfile.mkdtemp(prefix="wandb-artifact-")
        self._cleaner = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._version: str | None = None
        self._where: tuple[str, str] = ("", "")  # entity and project
        self._run_id: str | None = None
        self._created_at: str | None = None

    # -- adding -----------------------------------------------------------------------------------------

    def add_file(
        self,
        local_path: Any,
        name: str | None = None,
        is_tmp: bool | None = False,
        skip_cache: bool | None = False,
        policy: str | None = "mutable",
        overwrite: bool = False,
    ) -> Entry:
        """Add a file, under its own name or another.

        Raises:
            ValueError: it is not a file, or the artifact is logged already.
        """
        self._check_draft()
        path = Path(local_path)
        if not path.is_file():
            raise ValueError(f"Path is not a file: {os.fspath(local_path)!r}")
        return self._add(path, str(name) if name is not None else path.name)

    def add_dir(
        self, local_path: Any, name: str | None = None, skip_cache: bool | None = False, policy: str | None = "mutable",
        merge: bool = True,
    ) -> None:  # fmt: skip
        """Add what is in a folder, below ``name`` if that is given.

        Raises:
            ValueError: it is not a folder, or the artifact is logged already.
        """
        self._check_draft()
        root = Path(local_path)
        if not root.is_dir():
            raise ValueError(f"Path is not a directory: {os.fspath(local_path)!r}")
        prefix = "" if not name else name.rstrip("/") + "/"
        for path in sorted(root.rglob("*")):
            if path.is_file():
                self._add(path, prefix + path.relative_to(root).as_posix())

    def add_reference(
        self, uri: Any, name: str | None = None, checksum: bool = True, max_objects: int | None = None
    ) -> list[Entry]:
        """Add the address of something that stays where it is."""
        self._check_draft()
        address: str = uri.ref_url() if isinstance(uri, Entry) else str(uri)
        entry = Entry(name or address.rstrip("/").rpartition("/")[2], ref=address)
        self._entries[entry.path] = entry
        return [entry]

    def add(self, obj: Any, name: str, overwrite: bool = False) -> Entry:
        """Add a table or a medium, which ``get`` returns again.

        Raises:
            ValueError: it is neither.
        """
        self._check_draft()
        inner = write_object(obj, name, Path(self._folder))
        return self._register(inner)

    @contextlib.contextmanager
    def new_file(self, name: str, mode: str = "w", encoding: str | None = None) -> Iterator[Any]:
        """Open a new file of the artifact.

        Raises:
            ValueError: there is one of this name, or the artifact is logged already.
        """
        self._check_draft()
        if name in self._entries:
            raise ValueError(f"File with name {name!r} already exists")
        path = self._inside(name)
        with open(path, mode, encoding=encoding if "b" in mode else encoding or "utf-8") as file:
            yield file
        self._register(name)

    def remove(self, item: Any) -> None:
        """Take a file or folder out again.

        Raises:
            FileNotFoundError: there is none of this name.
        """
        self._check_draft()
        name = item.path if isinstance(item, Entry) else str(item)
        found = [path for path in self._entries if path == name or path.startswith(f"{name.rstrip('/')}/")]
        if not found:
            raise FileNotFoundError(f"No such file: {name}")
        for path in found:
            if self._entries.pop(path).local is not None:
                os.unlink(Path(self._folder, path))

    def _check_draft(self) -> None:
        if self._version is not None:
            raise ValueError(
                f"Artifact {self.name} is logged and cannot be changed; call new_draft() for another version"
            )

    def _inside(self, name: str) -> Path:
        path = Path(os.path.normpath(Path(self._folder, name)))
        if Path(self._folder) not in path.parents:
            raise ValueError(f"expected a name below the artifact, found {name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _add(self, source: Path, name: str) -> Entry:
        target = self._inside(name)
        shutil.copyfile(source, target)
        return self._register(target.relative_to(self._folder).as_posix())

    def _register(self, name: str) -> Entry:
        entry = Entry(name, local=Path(self._folder, name))
        self._entries[name] = entry
        return entry

    # -- what is in it ----------------------------------------------------------------------------------

    @property
    def manifest(self) -> Manifest:
        """The entries, by path."""
        return Manifest(self._entries)

    @property
    def digest(self) -> str:
        """A checksum of the contents."""
        entries = sorted((path, entry.digest) for path, entry in self._entries.items())
        return hashlib.md5(json.dumps(entries).encode(), usedforsecurity=False).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self._entries.values())

    @property
    def file_count(self) -> int:
        """The number of entries."""
        return len(self._entries)

    def files(self, names: Sequence[str] | None = None, per_page: int = 50) -> list[Entry]:
        """Return the entries, or those with the given names."""
        return [entry for path, entry in self._entries.items() if names is None or path in names]

    def get_entry(self, name: Any) -> Entry:
        """Return one entry.

        Raises:
            KeyError: there is none of this name.
        """
        try:
            return self._entries[str(name)]
        except KeyError:
            raise KeyError(f"Path not contained in artifact: {name}") from None

    get_path = get_entry

    def get(self, name: str) -> Any:
        """Return a table or medium that was added, or None."""
        return read_object(self._entries, name)

    def get_added_local_path_name(self, local_path: str) -> str | None:
        """Return the name that a file has in the artifact."""
        name = os.path.basename(local_path)
        return name if name in self._entries else None

    # -- which one it is --------------------------------------------------------------------------------

    @property
    def type(self) -> str:
        """What kind of thing it is: a data set, a model, ..."""
        return self._type

    @property
    def name(self) -> str:
        """The name, with the version once it is logged."""
        return self._name if self._version is None else f"{self._name}:{self._version}"

    source_name = name

    @property
    def version(self) -> str:
        """The version, ``v0`` and up.

        Raises:
            ValueError: it is not logged yet.
        """
        if self._version is None:
            raise ValueError("'Artifact.version' used prior to logging artifact or while in offline mode")
        return self._version

    source_version = version

    @property
    def id(self) -> str | None:
        """What identifies this version."""
        return None if self._version is None else f"{self._where[1]}/{self.name}"

    @property
    def entity(self) -> str:
        """Who the project belongs to."""
        return self._where[0]

    @property
    def project(self) -> str:
        """The project."""
        return self._where[1]

    @property
    def collection(self) -> str:
        """The name without a version."""
        return self._name

    @property
    def qualified_name(self) -> str:
        """Entity, project, name and version."""
        return "/".join((*self._where, self.name))

    source_qualified_name = qualified_name

    @property
    def state(self) -> str:
        """``PENDING`` or ``COMMITTED``."""
        return "PENDING" if self._version is None else "COMMITTED"

    @property
    def created_at(self) -> str | None:
        """When it was logged."""
        return self._created_at

    def is_draft(self) -> bool:
        """Return whether it is not logged yet."""
        return self._version is None

    def wait(self, timeout: float | None = None) -> Artifact:
        """Return it: what is logged is recorded."""
        return self

    def save(self, project: str | None = None, settings: Any = None) -> None:
        """Log it in the current run, or record changed aliases and metadata of a version."""
        from tracelet.compat.wandb.current import require_run

        require_run("Artifact.save()").save_artifact(self)

    def new_draft(self) -> Artifact:
        """Return a draft with the same files, to become another version."""
        draft = Artifact(self._name, self._type, self.description, self.metadata)
        for path, entry in self._entries.items():
            if entry.local is not None:
                draft._add(entry.local, path)
            else:
                draft._entries[path] = entry
        return draft

    # -- getting it -------------------------------------------------------------------------------------

    def download(
        self, root: Any = None, allow_missing_references: bool = False, skip_cache: bool | None = None,
        path_prefix: str | None = None, multipart: bool | None = None,
    ) -> str:  # fmt: skip
        """Copy the files into a folder, ``artifacts/NAME:VERSION`` by default, and return its path.

        Raises:
            ValueError: it is not logged yet.
        """
        target = Path(root) if root is not None else Path("artifacts", f"{self._name}:{self.version}")
        target.mkdir(parents=True, exist_ok=True)
        for path, entry in self._entries.items():
            if entry.local is not None and path.startswith(path_prefix or ""):
                entry.copy_to(target)
        return str(target)

    def checkout(self, root: str | None = None) -> str:
        """Copy the files into a folder and remove others from it."""
        target = Path(self.download(root))
        for path in target.rglob("*"):
            if path.is_file() and path.relative_to(target).as_posix() not in self._entries:
                path.unlink()
        return str(target)

    def file(self, root: str | None = None) -> str:
        """Copy the only file and return its path.

        Raises:
            ValueError: there are several files, or none.
        """
        if len(self._entries) != 1:
            raise ValueError("This artifact contains more than one file, call `.download()` to get all files")
        return str(Path(self.download(root)) / next(iter(self._entries)))

    def verify(self, root: str | None = None) -> None:
        """Check the files of a download.

        Raises:
            ValueError: one differs.
        """
        target = Path(root) if root is not None else Path("artifacts", f"{self._name}:{self.version}")
        for path, entry in self._entries.items():
            if entry.local is not None and Entry(path, local=target / path).digest != entry.digest:
                raise ValueError(f"Digest mismatch for file: {path}")

    def link(self, target_path: str, aliases: Sequence[str] | None = None) -> None:
        """Record in the current run that the artifact has a place in a registry."""
        from tracelet.compat.wandb.current import require_run

        require_run("Artifact.link()").link_artifact(self, target_path, list(aliases or ()))

    def delete(self, delete_aliases: bool = False) -> None:
        """Keep it: what a run has recorded is deleted with the run."""
        note_once("wandb.Artifact.delete: artifacts are kept with their runs; delete the run instead")

    def logged_by(self) -> Any:
        """Return the run that has logged it, as ``wandb.Api`` shows runs."""
        from tracelet.compat.wandb.recorded_runs import find_recorded_run

        if self._run_id is None:
            raise CommError(f"artifact {self.name} is not logged")
        return find_recorded_run(self._run_id)

    def __repr__(self) -> str:
        return f"<Artifact {self.qualified_name.lstrip('/')}>"
