"""A Hugging Face Space, or a Trackio server, through Trackio's own client for its HTTP API."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tracelet_builtin_plugins.backends.trackio import mapping
from tracelet_builtin_plugins.backends.trackio.mapping import Row
from tracelet_builtin_plugins.backends.trackio.store import Config, RunKey, load_trackio, make_artifact
from tracelet_hookspecs import mask_text

__all__ = ["SpaceStore"]


class SpaceStore:
    """Sends what :class:`LocalStore` writes. Each call waits for the server's answer."""

    def __init__(self, space: str) -> None:
        """Connect. Raises ``ConnectionError`` if the Space or the server does not answer."""
        load_trackio(None)
        self._space = space
        self._configs: dict[str, Config] = {}  # by run; JSON that comes back has no NaN
        self._token = import_module("huggingface_hub").get_token()
        self._errors = import_module("httpx").RequestError
        with self._connection_errors():
            self._client = import_module("trackio.remote_client").RemoteClient(space, hf_token=self._token)

    def close(self) -> None:
        """Nothing to release: every call has its own connection."""

    def where(self) -> str:
        """Return the Space or the server's URL, for people; without its write token."""
        return mask_text(self._space)

    def add_rows(self, run: RunKey, rows: Sequence[Row]) -> int:
        """Add rows of one kind. The server leaves out those whose ids it has."""
        if not rows:
            return 0
        about = self._about(run)
        logs = [
            {
                **about,
                "metrics": import_module("trackio.utils").serialize_values(row.metrics()),
                "log_id": mapping.log_id(row),
                **(
                    {"timestamp": mapping.iso_time(row.timestamp)}
                    if row.is_system
                    else {"step": row.step or 0}
                ),
            }
            for row in rows
        ]
        self._call("/bulk_log_system" if rows[0].is_system else "/bulk_log", logs=logs)
        return sum(len(row.values) for row in rows)

    def add_value(
        self, run: RunKey, key: str, value: Any, step: int, when: float, log_id: str | None
    ) -> None:
        """Add a row with one medium."""
        self._call(
            "/bulk_log", logs=[{**self._about(run), "metrics": {key: value}, "step": step, "log_id": log_id}]
        )

    def update_config(self, run: RunKey, change: Callable[[Config], None]) -> None:
        """Change the run's config."""
        if run.run_id not in self._configs:
            self._configs[run.run_id] = self._summary(run).get("config") or {}
        before = self._configs[run.run_id]
        config = json.loads(json.dumps(before))
        change(config)
        if config != before:
            entry = {**self._about(run), "metrics": {}, "step": 0, "config": config, "log_id": run.row_id}
            self._call("/bulk_log", logs=[mapping.config_value(entry)])
            self._configs[run.run_id] = config

    def find_name(self, run: RunKey) -> str | None:
        """Return the name under which a run is stored."""
        runs = self._call("/get_runs_for_project", project=run.project, token=False) or []
        return next((each["name"] for each in runs if each.get("id") == run.run_id), None)

    def rename(self, run: RunKey, name: str) -> None:
        """Rename a run that is stored."""
        # Only the page's own session may rename; the config has the new name.
        self.update_config(run, lambda config: config.setdefault(mapping.OWN_KEY, {}).update(name=name))

    def add_file(self, run: RunKey, path: Path, name: str) -> str:
        """Upload a medium's file, and return its path in the server's media folder."""
        step, _, file = name.partition("/")
        folder = mapping.folder_of(run.run_id)
        upload = {
            **self._about(run),
            "run": folder,
            "step": int(step),
            "relative_path": None,
            "uploaded_file": self._file_data(path, file),
        }
        self._call("/bulk_upload_media", uploads=[upload])
        return f"{run.project}/{folder}/{name}"

    def add_artifact(self, run: RunKey, path: Path, target: str, kind: str) -> None:
        """Store a file or folder as an artifact: files that the server has are not sent again."""
        artifact = make_artifact(path, target, kind)
        if artifact is None:
            return
        hash_file = import_module("trackio.cas").hash_file
        manifest = []
        for source, place in artifact._pending_files:
            digest, size = hash_file(source)
            self._call(
                "/bulk_upload_artifact_blob",
                project=run.project,
                uploads=[
                    {
                        "project": run.project,
                        "digest": digest,
                        "uploaded_file": self._file_data(source, source.name),
                    }
                ],
            )
            manifest.append({"path": place, "digest": digest, "size": size})
        self._call(
            "/artifact_log",
            project=run.project,
            name=artifact.name,
            type=kind,
            description=target,
            metadata=None,
            manifest=manifest,
            aliases=None,
            run_name=run.name,
            run_id=run.run_id,
        )

    def _about(self, run: RunKey) -> dict[str, Any]:
        return {"project": run.project, "run": run.name, "run_id": run.run_id}

    def _summary(self, run: RunKey) -> dict[str, Any]:
        about = self._about(run)
        return dict(self._call("/get_run_summary", **about, token=False) or {})

    def _file_data(self, path: Path, name: str) -> dict[str, Any]:
        return {"path": str(path), "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def _call(self, api: str, *, token: bool = True, **arguments: Any) -> Any:
        if token:
            arguments["hf_token"] = self._token
        with self._connection_errors():
            return self._client.predict(api_name=api, **arguments)

    @contextmanager
    def _connection_errors(self) -> Iterator[None]:
        """Raise a failed connection as ``ConnectionError``; a status of the server keeps its own exception."""
        try:
            yield
        except (self._errors, ConnectionError) as error:
            raise ConnectionError(f"{self.where()}: {mask_text(str(error))}") from None
