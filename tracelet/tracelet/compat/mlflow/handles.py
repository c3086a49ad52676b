"""The runs that this process records into, by id, with MLflow's rules for what may be recorded."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final

import tracelet.run
from tracelet.compat.mlflow.exceptions import MlflowException, missing
from tracelet.compat.mlflow.experiments import project_of_id
from tracelet.compat.mlflow.recorded import NOTE, PARENT, record_of
from tracelet.compat.starting import start_apart

_SCALARS: Final = (str, int, float, bool, type(None))
_NAME: Final = "mlflow.runName"


class RunHandle:
    """A run that is being recorded."""

    def __init__(self, recorded: tracelet.run.Run, params: Mapping[str, Any] | None = None) -> None:
        self.run = recorded
        self._params: dict[str, str] = {key: str(value) for key, value in (params or {}).items()}
        self.tables: dict[str, dict[str, list[Any]]] = {}
        recorded.before_end.append(self._forget)

    def _forget(self) -> None:
        if self.run.dir.is_dir():  # a disabled run is nowhere else
            _open.pop(self.run.id, None)

    # -- values -----------------------------------------------------------------------------------------

    def log_metric(self, key: str, value: Any, step: int | None = None, timestamp: int | None = None) -> None:
        """Record a point; without a step, at step 0. ``timestamp`` is in milliseconds.

        Raises:
            MlflowException: the value is not a number.
        """
        at = 0 if step is None else int(step)
        when = timestamp / 1000 if timestamp else None
        self.run.log_metric(_key(key, "metric"), _number(key, value), at, timestamp=when)

    def log_metrics(
        self, metrics: Mapping[str, Any], step: int | None = None, timestamp: int | None = None
    ) -> None:
        """Record several points at one step, 0 if none is given."""
        if timestamp:
            for key, value in metrics.items():
                self.log_metric(key, value, step, timestamp)
            return
        row = {_key(key, "metric"): _number(key, value) for key, value in metrics.items()}
        self.run.log(row, 0 if step is None else int(step))

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters; one that is there already keeps its value.

        Raises:
            MlflowException: a parameter would get another value.
        """
        for key, value in params.items():
            before = self._params.get(_key(key, "param"))
            if before is not None and before != str(value):
                raise MlflowException.invalid_parameter_value(
                    "Changing param values is not allowed. "
                    f"Param with key='{key}' was already logged with value='{before}' for run ID='{self.run.id}'. "
                    f"Attempted logging new value '{value}'."
                )
        new = {str(key): _scalar(value) for key, value in params.items() if str(key) not in self._params}
        self._params.update({key: str(value) for key, value in new.items()})
        if new:
            self.run.log_params(new)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Record tags; those that MLflow gives a meaning have it here, too."""
        plain = {_key(key, "tag"): _scalar(value) for key, value in tags.items()}
        if _NAME in plain:
            self.run.name = str(plain.pop(_NAME))
        if NOTE in plain:
            self.run.notes = str(plain.pop(NOTE))
        if PARENT in plain:
            self.run.parent = str(plain.pop(PARENT))
        if plain:
            self.run.set_tags(plain)

    def delete_tag(self, key: str) -> None:
        """Remove a tag.

        Raises:
            MlflowException: the run has no such tag.
        """
        if key not in record_of(self.run.id).tags:
            raise missing(f"No tag with name: {key} in run with id {self.run.id}")
        self.run.writer.event("untag", {"tags": [key]})

    # -- files ------------------------------------------------------------------------------------------

    def log_artifact(self, local_path: Any, artifact_path: str | None = None) -> None:
        """Keep a file or folder."""
        self.run.log_artifact(local_path, artifact_path)

    def log_artifacts(self, local_dir: Any, artifact_path: str | None = None) -> None:
        """Keep what is in a folder.

        Raises:
            MlflowException: it is not a folder.
        """
        folder = Path(local_dir)
        if not folder.is_dir():
            raise MlflowException.invalid_parameter_value(f"No such directory: {str(local_dir)!r}")
        for entry in sorted(folder.iterdir()):
            self.run.log_artifact(entry, artifact_path)

    def log_file(self, artifact_file: str, write: Callable[[Path], None]) -> None:
        """Keep a file that ``write`` writes."""
        with new_file(artifact_file) as (path, folder):
            write(path)
            self.run.log_artifact(path, folder)

    def log_text(self, text: str, artifact_file: str) -> None:
        """Keep a text as a file."""
        self.log_file(artifact_file, lambda path: _write(path, text))

    def log_dict(self, dictionary: Any, artifact_file: str) -> None:
        """Keep a mapping or list as JSON, or as YAML if the file's name says so."""
        text = _yaml(dictionary) if artifact_file.lower().endswith((".yaml", ".yml")) else _json(dictionary)
        self.log_text(text, artifact_file)

    def log_figure(
        self, figure: Any, artifact_file: str, save_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Keep a figure of Matplotlib or Plotly in the format that the file's name says.

        Raises:
            TypeError: it is not a figure.
        """
        self.log_file(artifact_file, lambda path: _save_figure(figure, path, dict(save_kwargs or {})))

    def log_image(
        self, image: Any, artifact_file: str | None = None, key: str | None = None, step: int | None = None
    ) -> None:
        """Keep a picture as a file, or as the value of ``key`` at a step.

        Raises:
            TypeError: both a file and a key are given, or neither.
        """
        picture = getattr(image, "_mlflow_image", image)
        if (artifact_file is None) == (key is None):
            raise TypeError("Exactly one of 'artifact_file' and 'key' must be given to log_image")
        if key is not None:
            self.run.log_image(key, picture, 0 if step is None else int(step))
        else:
            assert artifact_file is not None
            self.log_file(artifact_file, lambda path: _save_picture(picture, path))

    def log_table(self, data: Any, artifact_file: str) -> None:
        """Keep a table; rows that are logged later to the same file are added.

        Raises:
            MlflowException: it is neither a mapping of columns nor a DataFrame.
        """
        rows = _columns(data)
        before = self.tables.setdefault(artifact_file, {})
        known = max((len(column) for column in before.values()), default=0)
        added = max((len(column) for column in rows.values()), default=0)
        for name in dict.fromkeys([*before, *rows]):
            column = before.setdefault(name, [None] * known)
            column += rows.get(name, [None] * added)
        names = list(before)
        plain = {"columns": names, "data": [list(row) for row in zip(*before.values(), strict=True)]}
        self.log_text(json.dumps(plain, default=str), artifact_file)


_open: dict[str, RunHandle] = {}
#: Called with each run that is started.
when_started: list[Callable[[tracelet.run.Run], None]] = []


def add_handle(recorded: tracelet.run.Run, params: Mapping[str, Any] | None = None) -> RunHandle:
    """Keep a run that was started."""
    handle = _open[recorded.id] = RunHandle(recorded, params)
    return handle


def open_handle(run_id: str) -> RunHandle | None:
    """Return the handle of a run that this process is recording, None for others."""
    return _open.get(run_id)


def handle_of(run_id: str) -> RunHandle:
    """Return the handle of a run. One that has ended is continued; it ends again with the program.

    Raises:
        MlflowException: there is no such run.
    """
    handle = _open.get(run_id)
    return handle if handle is not None else resume(run_id)


def resume(run_id: str) -> RunHandle:
    """Continue a run that has ended.

    Raises:
        MlflowException: there is no such run.
    """
    record = record_of(run_id)
    return add_handle(start_apart(None, project=None, run_id=record.id, resume=True), record.params)


def start(
    name: str | None,
    experiment_id: str | int | None,
    project: str | None,
    parent: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
) -> RunHandle:
    """Start a run."""
    chosen = project if experiment_id is None else project_of_id(experiment_id)
    labels = {str(key): _scalar(value) for key, value in (tags or {}).items()}
    name = str(labels.pop(_NAME)) if _NAME in labels and name is None else name
    parent = str(labels.pop(PARENT)) if PARENT in labels and parent is None else parent
    description = str(labels.pop(NOTE)) if NOTE in labels and description is None else description
    handle = add_handle(start_apart(name, project=chosen, parent=parent, notes=description))
    handle.set_tags(labels)
    for callback in when_started:
        callback(handle.run)
    return handle


# -- helpers ------------------------------------------------------------------------------------------


def _key(key: Any, what: str) -> str:
    if not isinstance(key, str) or not key:
        raise MlflowException.invalid_parameter_value(f"Invalid {what} name: {key!r}; expected a text")
    return key


def _number(key: str, value: Any) -> Any:
    if isinstance(value, str):
        raise MlflowException.invalid_parameter_value(
            f"Got invalid value {value!r} for metric {key!r} (timestamp, step and value must be numbers)"
        )
    return value


def _scalar(value: Any) -> Any:
    """Return a parameter's value: plain ones as they are, others as the text that MLflow makes of them."""
    return value if type(value) in _SCALARS else str(value)


@contextmanager
def new_file(artifact_file: str) -> Iterator[tuple[Path, str | None]]:
    """Return a path to write a file to, and the folder among the artifacts that it belongs into.

    Raises:
        MlflowException: the path leads outside.
    """
    place = PurePosixPath(os.fspath(artifact_file))
    if place.is_absolute() or ".." in place.parts or not place.name:
        raise MlflowException.invalid_parameter_value(f"Invalid artifact path: {artifact_file!r}")
    with tempfile.TemporaryDirectory(prefix="mlflow-") as folder:
        yield Path(folder, place.name), None if str(place.parent) == "." else str(place.parent)


def _write(path: Path, text: str) -> None:
    path.write_text(str(text), encoding="utf-8", errors="backslashreplace")


def _json(value: Any) -> str:
    from tracelet.run.json_values import json_value

    return json.dumps(value, indent=2, default=json_value)


def _yaml(value: Any) -> str:
    try:
        import yaml
    except ImportError:
        return _json(value)  # which is YAML, too
    return str(yaml.safe_dump(json.loads(_json(value)), sort_keys=False, allow_unicode=True))


def _save_figure(figure: Any, path: Path, save: dict[str, Any]) -> None:
    if callable(getattr(figure, "savefig", None)):
        figure.savefig(path, **save)
    elif callable(getattr(figure, "write_html", None)):
        write = figure.write_html if path.suffix == ".html" else figure.write_image
        write(str(path), **save)
    else:
        raise TypeError(f"Unsupported figure object type: '{type(figure)}'")


def _save_picture(picture: Any, path: Path) -> None:
    from tracelet.run.media.images import image_bytes

    if callable(getattr(picture, "save", None)):
        picture.save(path)
        return
    data, suffix, _ = image_bytes(picture)
    if path.suffix.lower() not in ("", suffix):
        import io

        from PIL import Image

        Image.open(io.BytesIO(data)).save(path)
        return
    path.write_bytes(data)


def _columns(data: Any) -> dict[str, list[Any]]:
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        return {str(name): list(values) for name, values in data.to_dict(orient="list").items()}
    if not isinstance(data, Mapping):
        raise MlflowException.invalid_parameter_value("data must be a pandas.DataFrame or a dictionary")
    columns = {
        str(name): list(values) if isinstance(values, (list, tuple)) else [values]
        for name, values in data.items()
    }
    return {name: [_cell(cell) for cell in column] for name, column in columns.items()}


def _cell(cell: Any) -> Any:
    return cell.item() if hasattr(cell, "item") and getattr(cell, "size", 0) == 1 else cell
