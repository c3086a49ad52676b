"""Typed artifacts: files, objects, models and references under one name, with a type and versions."""

from __future__ import annotations

import enum
import json
import os
import pickle
import shutil
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tracelet.compat.starting import store_of
from tracelet.errors import RecordingError, UsageError
from tracelet.messages import did_you_mean
from tracelet.run import Run

_KEY: Final = "typed"  # of an artifact's metadata
_FORMATS: Final = ("pickle", "json", "yaml")


class ArtifactType(enum.Enum):
    """What an artifact is."""

    MODEL = "model"
    CHECKPOINT = "checkpoint"
    WEIGHTS = "weights"
    DATASET = "dataset"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    TEXT = "text"
    VISUALIZATION = "visualization"
    REPORT = "report"
    CONFIG = "config"
    CODE = "code"
    CUSTOM = "custom"


@dataclass
class ArtifactResult:
    """What became of an artifact that was logged."""

    name: str
    version: str
    artifact_id: str
    uri: str
    size_bytes: int
    success: bool = True
    error: str | None = None


@dataclass
class ArtifactRecord:
    """An artifact that was recorded."""

    name: str
    type: ArtifactType
    version: str
    path: Path
    run_id: str
    metadata: dict[str, Any] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> list[Path]:
        """The files."""
        return (
            sorted(path for path in self.path.rglob("*") if path.is_file())
            if self.path.is_dir()
            else [self.path]
        )

    def load(self, name: str) -> Any:
        """Return an object that was added: of a pickle, JSON or YAML file. Load pickles only of runs that you trust.

        Raises:
            UsageError: there is no such object.
        """
        for suffix in (".json", ".yaml", ".pkl"):
            path = self.path / f"{name}{suffix}"
            if path.exists():
                return _read_object(path)
        known = [path.stem for path in self.files]
        raise UsageError(f"artifact {self.name!r}: no object {name!r}{did_you_mean(name, known)}")


class Artifact:
    """Collects what belongs to an artifact. Each call that adds something returns the artifact."""

    def __init__(
        self,
        name: str,
        type: ArtifactType | str = ArtifactType.CUSTOM,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        tags: Sequence[str] | None = None,
    ) -> None:
        if not isinstance(name, str) or not name.strip() or "/" in name or name in (".", ".."):
            raise UsageError(f"create_artifact: expected a name without '/', found {name!r}")
        self.name = name
        self.type = _type_of(type)
        self.description = description
        self.metadata: dict[str, Any] = dict(metadata or {})
        self.tags = list(tags or ())
        self.references: dict[str, str] = {}
        self._folder = tempfile.mkdtemp(prefix="tracelet-artifact-")
        self._cleaner = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.folder = Path(self._folder, name)
        self.folder.mkdir()

    def add_file(self, local_path: str | os.PathLike[str], name: str | None = None) -> Artifact:
        """Add a file or folder, under its own name or another.

        Raises:
            RecordingError: there is nothing at the path.
        """
        source = Path(local_path)
        target = self._inside(name or source.name)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.is_file():
            shutil.copyfile(source, target)
        else:
            raise RecordingError(
                f"artifact {self.name!r}: expected a file or folder, found nothing at {source}"
            )
        return self

    def add_reference(self, uri: str, name: str | None = None, size_bytes: int | None = None) -> Artifact:
        """Add the address of something that stays where it is."""
        self.references[name or uri.rstrip("/").rpartition("/")[2]] = uri
        return self

    def add_object(self, obj: Any, name: str, serializer: str = "pickle") -> Artifact:
        """Add an object, as ``pickle``, ``json`` or ``yaml``.

        Raises:
            UsageError: the format is unknown.
        """
        if serializer not in _FORMATS:
            raise UsageError(
                f"add_object: serializer: expected one of {', '.join(_FORMATS)}, found {serializer!r}"
            )
        _write_object(obj, self._inside(name), serializer)
        return self

    def add_model(
        self,
        model: Any,
        name: str = "model",
        framework: str | None = None,
        signature: Any = None,
        input_example: Any = None,
    ) -> Artifact:
        """Add a model: of PyTorch by ``torch.save``, of Keras by its own ``save``, of others as a pickle."""
        if callable(getattr(model, "state_dict", None)) and callable(
            getattr(model, "named_parameters", None)
        ):
            import torch

            torch.save(model.state_dict(), self._inside(f"{name}.pt"))
        elif callable(getattr(model, "save", None)) and type(model).__module__.startswith(
            ("keras", "tensorflow")
        ):
            model.save(str(self._inside(f"{name}.keras")))
        else:
            self.add_object(model, name)
        about = {"class": f"{type(model).__module__}.{type(model).__qualname__}", "framework": framework}
        described = {**about, "signature": signature}
        self.metadata.setdefault("models", {})[name] = {
            key: one for key, one in described.items() if one is not None
        }
        if input_example is not None:
            self.add_object(input_example, f"{name}-input_example")
        return self

    def _inside(self, name: str) -> Path:
        path = Path(os.path.normpath(self.folder / name))
        if self.folder not in path.parents:
            raise UsageError(f"artifact {self.name!r}: expected a name below the artifact, found {name!r}")
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def __repr__(self) -> str:
        return f"<Artifact {self.name} ({self.type.value})>"


def create_artifact(
    name: str,
    artifact_type: ArtifactType | str = ArtifactType.CUSTOM,
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    tags: Sequence[str] | None = None,
) -> Artifact:
    """Return a new artifact to add files, objects, models and references to."""
    return Artifact(name, artifact_type, description, metadata, tags)


class ArtifactCalls:
    """What an experiment does with typed artifacts."""

    @property
    def run(self) -> Run:
        """The run that records."""
        raise NotImplementedError

    def create_artifact(
        self,
        name: str,
        artifact_type: ArtifactType | str = ArtifactType.CUSTOM,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Artifact:
        """Return a new artifact."""
        return Artifact(name, artifact_type, description, metadata, **more)

    def log_typed(self, artifact: Artifact) -> ArtifactResult:
        """Record an artifact as its next version."""
        run = self.run
        version = f"v{len(_recorded(run, artifact.name)) + 1}"
        from tracelet.run.json_values import json_value

        about = {
            "type": artifact.type.value,
            "version": version,
            "description": artifact.description,
            "metadata": json_value(artifact.metadata),
            "tags": artifact.tags,
            "references": artifact.references,
            "created_at": time.time(),
        }
        run.keep_artifact(artifact.folder, None, {_KEY: about, "type": artifact.type.value})
        size = sum(path.stat().st_size for path in artifact.folder.rglob("*") if path.is_file())
        where = _recorded(run, artifact.name)[-1].path if run.dir.is_dir() else run.dir
        return ArtifactResult(
            artifact.name, version, f"{run.id}/{artifact.name}:{version}", where.as_uri(), size
        )

    def log_file_artifact(
        self,
        local_path: str | os.PathLike[str],
        name: str | None = None,
        artifact_type: ArtifactType | str = ArtifactType.CUSTOM,
        description: str | None = None,
        **more: Any,
    ) -> ArtifactResult:
        """Record one file or folder as an artifact."""
        artifact = Artifact(name or Path(local_path).name, artifact_type, description, **more)
        return self.log_typed(artifact.add_file(local_path))

    def get_artifact(self, name: str, version: str | int | None = None) -> ArtifactRecord:
        """Return an artifact that this run has recorded: a version (``2``, ``"v2"``), or the latest one.

        Raises:
            UsageError: there is none.
        """
        found = _recorded(self.run, name)
        if not found:
            known = {one.name for one in self.list_artifacts()}
            raise UsageError(
                f"get_artifact: run {self.run.id} has no artifact {name!r}{did_you_mean(name, known)}"
            )
        if version in (None, "latest"):
            return found[-1]
        wanted = f"v{str(version).lstrip('v')}"
        for one in found:
            if one.version == wanted:
                return one
        raise UsageError(
            f"get_artifact: artifact {name!r} has no version {wanted}; it has v1 to v{len(found)}"
        )

    def list_artifacts(self, type_filter: ArtifactType | str | None = None) -> list[ArtifactRecord]:
        """Return the typed artifacts that this run has recorded, all or those of one type."""
        wanted = None if type_filter is None else _type_of(type_filter)
        return [one for one in _recorded(self.run, None) if wanted in (None, one.type)]


def _recorded(run: Run, name: str | None) -> list[ArtifactRecord]:
    store = store_of(run)
    record = store.run(run.id) if store is not None and run.dir.is_dir() else None
    found = []
    for one in record.artifacts if record is not None else ():
        about = (one.get("metadata") or {}).get(_KEY)
        if isinstance(about, dict) and name in (None, one["name"]):
            kind = _type_of(about["type"])
            rest = about.get("metadata") or {}, about.get("references") or {}
            found.append(
                ArtifactRecord(one["name"], kind, about["version"], run.dir / one["path"], run.id, *rest)
            )
    return found


def _type_of(given: Any) -> ArtifactType:
    if isinstance(given, ArtifactType):
        return given
    try:
        return ArtifactType(str(given).lower())
    except ValueError:
        known = [one.value for one in ArtifactType]
        raise UsageError(f"artifact type: unknown type {given!r}{did_you_mean(given, known)}") from None


def _write_object(obj: Any, path: Path, serializer: str) -> None:
    if serializer == "pickle":
        path.with_name(path.name + ".pkl").write_bytes(pickle.dumps(obj))
    elif serializer == "json":
        path.with_name(path.name + ".json").write_text(json.dumps(obj, indent=2), encoding="utf-8")
    else:
        import yaml

        path.with_name(path.name + ".yaml").write_text(yaml.safe_dump(obj, sort_keys=False), encoding="utf-8")


def _read_object(path: Path) -> Any:
    if path.suffix == ".pkl":
        return pickle.loads(path.read_bytes())
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    import yaml

    return yaml.safe_load(path.read_text(encoding="utf-8"))
