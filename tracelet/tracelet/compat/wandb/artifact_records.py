"""The artifacts of a data folder: what runs have logged under names, with versions and aliases."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.compat.starting import store_of
from tracelet.compat.wandb.artifact_entries import Entry
from tracelet.compat.wandb.artifacts import Artifact
from tracelet.compat.wandb.errors import CommError
from tracelet.messages import did_you_mean
from tracelet.run import Run

#: The key of an artifact's metadata that says which artifact it is.
KEY: Final = "wandb"
_VERSION: Final = re.compile(r"v(\d+)")


class Logged(NamedTuple):
    """A version that a run has logged."""

    about: dict[str, Any]
    record: dict[str, Any]
    run_dir: Path
    run_id: str
    project: str

    @property
    def number(self) -> int:
        """The number of the version."""
        match = _VERSION.fullmatch(str(self.about.get("version")))
        return int(match[1]) if match else -1


_ended: dict[Path, list[Logged]] = {}  # of runs that have ended, by folder


def _all(run: Run | None) -> Iterator[Logged]:
    store = store_of(run)
    for record in reversed(store.runs() if store is not None else []):
        found = _ended.get(record.dir)
        if found is None:
            found = [
                Logged(one["metadata"][KEY], one, record.dir, record.id, record.project)
                for one in record.artifacts
                if isinstance(one.get("metadata"), dict) and isinstance(one["metadata"].get(KEY), dict)
            ]
            if record.outcome != "running":
                _ended[record.dir] = found
        yield from (one._replace(project=record.project) for one in found)


def versions_of(name: str, project: str | None, run: Run | None) -> list[Logged]:
    """Return the versions of an artifact in a project, the oldest first, each as it was logged last."""
    known: dict[int, Logged] = {}
    for one in _all(run):
        if one.about.get("name") == name and project in (None, one.project):
            if one.number in known and "path" not in one.about:  # a later change of its aliases or metadata
                earlier = known[one.number]
                one = earlier._replace(about={**earlier.about, **one.about})
            known[one.number] = one
    return [known[number] for number in sorted(known)]


def log_draft(
    run: Run, artifact: Artifact, aliases: list[str], tags: list[str], where: tuple[str, str]
) -> None:
    """Record a draft as a version: the latest one, if its contents are the same."""
    before = versions_of(artifact._name, run.project, run)
    digest = artifact.digest
    same = bool(before) and before[-1].about.get("digest") == digest
    number = 0 if not before else before[-1].number + (0 if same else 1)
    kept = list(before[-1].about.get("aliases", ())) if same else []
    artifact.aliases = list(dict.fromkeys([*kept, *(aliases or ()), "latest"]))
    artifact.tags = tags
    artifact._version, artifact._where, artifact._run_id = f"v{number}", where, run.id
    artifact._created_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    about = {**_about(artifact), "digest": digest}
    run.keep_artifact(_folder_named(artifact), None, {KEY: about, "type": artifact.type})


def _folder_named(artifact: Artifact) -> Path:
    """Return the artifact's folder under the artifact's name, which the copy in the run takes over."""
    folder = Path(artifact._folder)
    named = folder.parent / f"{folder.name}-named" / artifact._name
    if not named.exists():
        named.parent.mkdir(exist_ok=True)
        folder.rename(named)
        artifact._cleaner.detach()
        _clean(artifact, named.parent)
        for path, entry in artifact._entries.items():
            if entry.local is not None:
                entry.local = named / path
    artifact._folder = str(named)
    return named


def _clean(artifact: Artifact, folder: Path) -> None:
    import shutil
    import weakref

    artifact._cleaner = weakref.finalize(artifact, shutil.rmtree, folder, ignore_errors=True)


def _about(artifact: Artifact) -> dict[str, Any]:
    from tracelet.run.json_values import json_value

    references = {path: entry.ref for path, entry in artifact._entries.items() if entry.ref is not None}
    about = {
        "name": artifact._name,
        "type": artifact.type,
        "version": artifact._version,
        "aliases": artifact.aliases,
        "description": artifact.description,
        "metadata": json_value(artifact.metadata),
        "tags": artifact.tags,
        "created_at": artifact._created_at,
    }
    return {**about, **({"references": references} if references else {})}


def record_changes(run: Run, artifact: Artifact) -> None:
    """Record changed aliases, description or metadata of a version, by logging it again."""
    about = {**_about(artifact), "digest": artifact.digest}
    run.keep_artifact(_folder_named(artifact), None, {KEY: about, "type": artifact.type})


def find_artifact(text: str, run: Run | None, project: str | None, type: str | None = None) -> Artifact:
    """Return the version that ``NAME:VERSION`` or ``ENTITY/PROJECT/NAME:ALIAS`` means.

    Raises:
        CommError: there is none.
        ValueError: its type is another one.
    """
    place, _, last = text.rpartition("/")
    name, _, wanted = last.partition(":")
    project = place.rpartition("/")[2] or project
    versions = versions_of(name, project, run) or versions_of(name, None, run)
    chosen = _choose(versions, wanted or "latest")
    if chosen is None:
        raise CommError(_not_found(text, name, wanted, versions, run))
    if type is not None and chosen.about.get("type") != type:
        raise ValueError(
            f"expected an artifact of type {type}, found {text} of type {chosen.about.get('type')}"
        )
    return _load(chosen)


def artifacts_of(run_id: str) -> list[Artifact]:
    """Return the versions that a run has logged."""
    return [_load(one) for one in _all(None) if one.run_id == run_id]


def _choose(versions: list[Logged], wanted: str) -> Logged | None:
    if wanted == "latest":
        return versions[-1] if versions else None
    one: Logged
    for one in reversed(versions):
        known = (one.about.get("version"), *one.about.get("aliases", ()))
        if wanted in known:
            return one
    return None


def _not_found(text: str, name: str, wanted: str, versions: list[Logged], run: Run | None) -> str:
    if versions:
        known = sorted({each for one in versions for each in (one.about["version"], *one.about["aliases"])})
        return f"artifact {text!r}: no version or alias {wanted!r}{did_you_mean(wanted, known)}"
    names = {str(one.about["name"]) for one in _all(run)}
    hint = did_you_mean(name, names) if names else "; no run here has logged an artifact"
    return f"artifact {text!r} not found: expected one that a run in this data folder has logged{hint}"


def _load(one: Logged) -> Artifact:
    """Return an artifact whose files are those in the run's folder."""
    about = one.about
    artifact = Artifact(about["name"], about["type"], about.get("description"), about.get("metadata"))
    top = one.record["path"].rstrip("/") + "/"
    for file in one.record["files"]:
        path = file["path"].removeprefix(top)
        artifact._entries[path] = Entry(path, local=one.run_dir / file["path"])
    for path, address in (about.get("references") or {}).items():
        artifact._entries[path] = Entry(path, ref=address)
    artifact.aliases = list(about.get("aliases", ()))
    artifact.tags = list(about.get("tags", ()))
    artifact._version = about["version"]
    artifact._where = ("", one.project)
    artifact._run_id = one.run_id
    artifact._created_at = about.get("created_at")
    return artifact
