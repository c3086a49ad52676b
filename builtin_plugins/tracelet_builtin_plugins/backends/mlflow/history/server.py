"""A tracking server of MLflow, by its REST interface."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, urlencode

from tracelet_builtin_plugins.backends.mlflow.history import runs
from tracelet_builtin_plugins.http_client import HttpClient, HttpStatusError
from tracelet_hookspecs import ImportedFile, ImportedRun

__all__ = ["read_server"]

_API: Final = "/api/2.0/mlflow/"
_PAGE: Final = 1000
_POINTS: Final = 25_000  # of one page of a metric's history
_TIMEOUT: Final = 60.0  # seconds
_LARGEST_FILE: Final = 256 << 20  # bytes of an artifact, which is held in memory
_MOST_FILES: Final = 10_000
_UNREADABLE: Final = "artifacts that cannot be downloaded"


def read_server(url: str) -> Iterator[ImportedRun]:
    """Yield the runs of all experiments.

    Credentials are those of the URL, or ``MLFLOW_TRACKING_USERNAME`` and ``MLFLOW_TRACKING_PASSWORD``, or
    ``MLFLOW_TRACKING_TOKEN``. Raises ``OSError`` or :class:`HttpStatusError` if the server cannot be read.
    """
    server = _Server(url)
    try:
        experiments = list(server.pages("experiments/search", {"max_results": _PAGE}, "experiments"))
        for experiment in experiments:
            body = {"experiment_ids": [experiment["experiment_id"]], "max_results": _PAGE}
            for run in server.pages("runs/search", {**body, "order_by": ["start_time ASC"]}, "runs"):
                yield _read_run(server, run, str(experiment.get("name", "")))
    finally:
        server.close()


class _Server:
    def __init__(self, url: str) -> None:
        headers = {"Accept": "application/json"}
        if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        user, password = (os.environ.get(f"MLFLOW_TRACKING_{part}") for part in ("USERNAME", "PASSWORD"))
        if user and password and "@" not in url:
            scheme, _, rest = url.partition("://")
            url = f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"
        self._client = HttpClient("import", url.rstrip("/"), headers, _TIMEOUT)
        self._base = self._client.path.partition("?")[0].rstrip("/")

    def close(self) -> None:
        self._client.close()

    def get(self, call: str, **query: Any) -> bytes:
        text = f"?{urlencode({key: value for key, value in query.items() if value is not None})}"
        return bytes(self._client.request("GET", path=f"{self._base}{call}{text}").body)

    def pages(self, call: str, body: dict[str, Any], key: str) -> Iterator[dict[str, Any]]:
        token = None
        while True:
            given = json.dumps({**body, **({"page_token": token} if token else {})}).encode()
            path = f"{self._base}{_API}{call}"
            answer = self._client.request("POST", given, {"Content-Type": "application/json"}, path=path)
            found = _parse(answer.body)
            yield from found.get(key) or ()
            token = found.get("next_page_token")
            if not token:
                return


def _parse(data: bytes) -> dict[str, Any]:
    found = json.loads(data)
    if not isinstance(found, dict):
        raise TypeError("expected an answer of MLflow, found something else; is this the URL of its server?")
    return found


def _read_run(server: _Server, found: dict[str, Any], experiment: str) -> ImportedRun:
    info, data = found["info"], found.get("data", {})
    run_id = str(info.get("run_id") or info["run_uuid"])
    params, tags = (
        {str(each["key"]): str(each.get("value", "")) for each in data.get(kind) or ()}
        for kind in ("params", "tags")
    )
    names = sorted({str(each["key"]) for each in data.get("metrics") or ()})
    damage: dict[str, int] = {}
    metrics = runs.as_series((row for name in names for row in _history(server, run_id, name)), damage)
    about = {**info, "name": info.get("run_name")}
    run = runs.make_run(run_id, experiment, about, params, tags, metrics)
    run.files = list(_artifacts(server, run_id, damage))
    run.damage = damage
    return run


def _history(server: _Server, run_id: str, name: str) -> Iterator[tuple[str, Any, Any, Any]]:
    token = None
    while True:
        path = f"{_API}metrics/get-history"
        page = _parse(server.get(path, run_id=run_id, metric_key=name, max_results=_POINTS, page_token=token))
        for each in page.get("metrics") or ():
            yield name, each.get("step", 0), each.get("value", 0.0), each.get("timestamp", 0)
        token = page.get("next_page_token")
        if not token:
            return


def _artifacts(server: _Server, run_id: str, damage: dict[str, int]) -> Iterator[ImportedFile]:
    folders: list[str | None] = [None]
    count = 0
    while folders and count < _MOST_FILES:
        folder = folders.pop()
        try:
            found = _parse(server.get(f"{_API}artifacts/list", run_id=run_id, path=folder)).get("files") or ()
        except (HttpStatusError, ValueError, TypeError):
            damage[_UNREADABLE] = damage.get(_UNREADABLE, 0) + 1
            continue
        for each in found:
            path, size = str(each["path"]), int(each.get("file_size") or 0)
            count += 1
            if each.get("is_dir"):
                folders.append(path)
            elif (data := _download(server, run_id, path, size)) is None:
                damage[_UNREADABLE] = damage.get(_UNREADABLE, 0) + 1
            else:
                place, _, name = path.rpartition("/")
                yield ImportedFile(name, data=data, artifact_path=place or None)


def _download(server: _Server, run_id: str, path: str, size: int) -> bytes | None:
    if size > _LARGEST_FILE:
        return None
    try:
        return server.get("/get-artifact", path=path, run_uuid=run_id)
    except HttpStatusError:
        return None
