"""The calls of a run that log and use artifacts."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tracelet.run
from tracelet.compat.wandb.artifact_records import find_artifact, log_draft, record_changes
from tracelet.compat.wandb.artifacts import Artifact


class ArtifactCalls:
    """What a run does with artifacts. ``tracelet_run`` is the run that it records into."""

    entity: Any
    project: Any
    id: Any

    def __init__(self, recorded: tracelet.run.Run) -> None:
        self.tracelet_run = recorded

    def log_artifact(
        self,
        artifact_or_path: Any,
        name: str | None = None,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> Artifact:
        """Record an artifact, or a file or folder as one, and return it with its version."""
        artifact = artifact_or_path
        if not isinstance(artifact, Artifact):
            path = Path(artifact_or_path)
            artifact = Artifact(name or _name_of(f"run-{self.id}-{path.name}"), type or "unspecified")
            if path.is_dir():
                artifact.add_dir(path)
            else:
                artifact.add_file(path)
        given = [aliases] if isinstance(aliases, str) else list(aliases or ())
        if artifact.is_draft():
            log_draft(self.tracelet_run, artifact, given, list(tags or ()), (self.entity, self.project))
        return artifact

    def save_artifact(self, artifact: Artifact) -> None:
        """Log a draft, or record what has changed in a version: aliases, description, metadata."""
        if artifact.is_draft():
            self.log_artifact(artifact)
        else:
            record_changes(self.tracelet_run, artifact)

    upsert_artifact = finish_artifact = log_artifact

    def use_artifact(
        self,
        artifact_or_name: Any,
        type: str | None = None,
        aliases: Sequence[str] | None = None,
        use_as: str | None = None,
    ) -> Artifact:
        """Return an artifact that a run has logged, and record that this run uses it.

        Raises:
            CommError: there is none of this name.
        """
        artifact = artifact_or_name
        if not isinstance(artifact, Artifact):
            artifact = find_artifact(str(artifact_or_name), self.tracelet_run, self.project, type)
            artifact._where = (self.entity, artifact.project)
        elif artifact.is_draft():
            artifact = self.log_artifact(artifact)
        self.tracelet_run.set_tags({f"used_artifacts/{artifact.collection}": artifact.name})
        return artifact

    def link_artifact(
        self, artifact: Artifact, target_path: str, aliases: Sequence[str] | None = None
    ) -> Artifact:
        """Record that an artifact has a place in a registry."""
        if artifact.is_draft():
            self.log_artifact(artifact)
        self.tracelet_run.set_tags({f"linked_artifacts/{target_path}": artifact.name})
        return artifact

    def log_model(self, path: Any, name: str | None = None, aliases: Sequence[str] | None = None) -> Artifact:
        """Record a file or folder as an artifact of type ``model``."""
        return self.log_artifact(path, name or _name_of(f"run-{self.id}-{Path(path).name}"), "model", aliases)

    def use_model(self, name: str) -> str:
        """Return the path of a model that was logged: of its file, or of a folder."""
        artifact = self.use_artifact(name)
        folder = artifact.download()
        files = artifact.files()
        return os.path.join(folder, files[0].path) if len(files) == 1 else folder

    def link_model(
        self,
        path: Any,
        registered_model_name: str,
        name: str | None = None,
        aliases: Sequence[str] | None = None,
    ) -> Artifact:
        """Record a model, and that it has a place in a registry."""
        artifact = self.log_model(path, name, aliases)
        return self.link_artifact(artifact, f"model-registry/{registered_model_name}", aliases)

    def log_code(
        self,
        root: str | None = ".",
        name: str | None = None,
        include_fn: Callable[..., bool] | None = None,
        exclude_fn: Callable[..., bool] | None = None,
    ) -> Artifact | None:
        """Record the Python files below a folder as an artifact; None if there are none."""
        top = Path(root or ".").absolute()
        chosen = []
        for path in sorted(top.rglob("*")):
            inner = path.relative_to(top)
            hidden = any(
                part.startswith(".") or part in ("wandb", "__pycache__", "artifacts") for part in inner.parts
            )
            wanted = path.is_file() and not hidden and _call(include_fn, path, top, path.suffix == ".py")
            if wanted and not _call(exclude_fn, path, top, False):
                chosen.append((path, inner.as_posix()))
        if not chosen:
            return None
        artifact = Artifact(name or _name_of(f"source-{self.project}-{top.name}"), "code")
        for path, place in chosen:
            artifact.add_file(path, place)
        return self.log_artifact(artifact)


def _call(function: Callable[..., bool] | None, path: Path, root: Path, default: bool) -> bool:
    """Ask a filter of the program, which takes the path and perhaps the root."""
    if function is None:
        return default
    try:
        return bool(function(str(path), str(root)))
    except TypeError:
        return bool(function(str(path)))


def _name_of(text: str) -> str:
    """Return a text as the name of an artifact."""
    return re.sub(r"[^a-zA-Z0-9_\-.]", "_", text)
