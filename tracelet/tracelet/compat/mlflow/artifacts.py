"""``mlflow.artifacts``: the files that runs have kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from tracelet.compat.mlflow.entities import FileInfo
from tracelet.compat.mlflow.exceptions import MlflowException, missing
from tracelet.compat.mlflow.recorded import record_of

if TYPE_CHECKING:
    from tracelet.store.record import RunRecord


def artifact_paths(record: RunRecord) -> dict[str, Path]:
    """Return where each file is, by its path among the run's artifacts; of several versions, the last one."""
    found: dict[str, Path] = {}
    for one in record.artifacts:
        if one["media"] is None:
            top = "/".join(filter(None, (one["artifact_path"], one["name"])))
            for file in one["files"]:
                inner = file["path"].removeprefix(one["path"]).lstrip("/")
                found[f"{top}/{inner}" if inner else top] = record.dir / file["path"]
    return found


def list_run_artifacts(record: RunRecord, path: str | None = None) -> list[FileInfo]:
    """Return the files and folders in a folder of a run's artifacts."""
    prefix = f"{path.strip('/')}/" if path else ""
    found: dict[str, FileInfo] = {}
    for name, file in artifact_paths(record).items():
        if name.startswith(prefix):
            first, _, rest = name.removeprefix(prefix).partition("/")
            size = None if rest else file.stat().st_size
            found[prefix + first] = FileInfo(prefix + first, bool(rest), size)
    return [found[name] for name in sorted(found)]


def copy_artifacts(record: RunRecord, path: str, target: str | None) -> str:
    """Copy a file or folder of a run's artifacts and return its new path.

    Raises:
        MlflowException: the run has nothing there.
    """
    wanted = path.strip("/")
    files: Mapping[str, Path] = {
        name: file
        for name, file in artifact_paths(record).items()
        if wanted in ("", name) or name.startswith(f"{wanted}/")
    }
    if not files:
        raise missing(f"No such artifact: {path!r} of run {record.id}")
    root = Path(target or tempfile.mkdtemp(prefix="mlflow-artifacts-"))
    for name, file in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, root / name)
    return str(root / wanted)


def split_uri(uri: str) -> tuple[str, str]:
    """Return the run and the path of an address: ``runs:/RUN/PATH``, or that of a file.

    Raises:
        MlflowException: it is neither.
    """
    if uri.startswith("runs:/"):
        run_id, _, path = uri.removeprefix("runs:/").lstrip("/").partition("/")
        return run_id, path
    if uri.startswith("models:/"):
        from tracelet.compat.mlflow.registry import uri_of_model

        return split_uri(uri_of_model(uri))
    raise MlflowException.invalid_parameter_value(
        f"expected an address runs:/RUN/PATH or models:/NAME/VERSION, found {uri!r}"
    )


def local_path(uri: str, target: str | None = None) -> str:
    """Return the path of what an address means: a copy of a run's artifacts, or a file as it is."""
    parsed = urlparse(str(uri))
    if parsed.scheme in ("runs", "models"):
        run_id, path = split_uri(str(uri))
        return copy_artifacts(record_of(run_id), path, target)
    return unquote(parsed.path) if parsed.scheme == "file" else str(uri)


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | None = None,
    tracking_uri: Any = None,
    registry_uri: Any = None,
) -> str:
    """Copy artifacts of a run and return their path.

    Raises:
        MlflowException: neither an address nor a run is given, or there is nothing there.
    """
    if artifact_uri is not None:
        return local_path(artifact_uri, dst_path)
    if run_id is None:
        raise MlflowException.invalid_parameter_value("One of `run_id` or `artifact_uri` must be provided")
    return copy_artifacts(record_of(run_id), artifact_path or "", dst_path)


def list_artifacts(
    artifact_uri: str | None = None, run_id: str | None = None, artifact_path: str | None = None, **_: Any
) -> list[FileInfo]:
    """Return the files and folders of a run."""
    if artifact_uri is not None:
        run_id, artifact_path = split_uri(artifact_uri)
    if run_id is None:
        raise MlflowException.invalid_parameter_value("One of `run_id` or `artifact_uri` must be provided")
    return list_run_artifacts(record_of(run_id), artifact_path)


def load_text(artifact_uri: str) -> str:
    """Return the text of an artifact."""
    return Path(local_path(artifact_uri)).read_text(encoding="utf-8")


def load_dict(artifact_uri: str) -> Any:
    """Return what an artifact of JSON holds."""
    import json

    return json.loads(load_text(artifact_uri))


def load_image(artifact_uri: str) -> Any:
    """Return a picture among the artifacts, as Pillow's image."""
    from PIL import Image

    return Image.open(local_path(artifact_uri))
