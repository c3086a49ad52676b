"""A task on a ClearML server, through the server's REST API.

ClearML's own ``Task`` and ``Logger`` patch the process, hand data to threads and stamp their own time.
This module takes the address and the credentials from the client's configuration and sends the requests itself, so
that each call returns only after the server has answered.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.clearml import mapping
from tracelet_builtin_plugins.extras import import_extra
from tracelet_hookspecs import RunView, mask_text

__all__ = ["AnswerError", "Server", "ServerTask"]

MINIMUM: Final = "2.0"
TIMEOUT: Final = (5.0, 20.0)  # seconds to connect, and between two bytes; a hook may take 30
EVENTS_PER_REQUEST: Final = 2000


class AnswerError(Exception):
    """The server has refused a request. Delivery reads ``status_code``."""

    def __init__(self, text: str, status_code: int) -> None:
        super().__init__(text)
        self.status_code = status_code


class Server:
    """A ClearML server: its address, the token, and requests."""

    def __init__(self) -> None:
        import_extra("clearml.backend_api", plugin="clearml", distribution="clearml", minimum=MINIMUM)
        self._requests = import_extra("requests", plugin="clearml", distribution="requests")
        session = import_extra(
            "clearml.backend_api.session", plugin="clearml", distribution="clearml"
        ).Session
        self.host = str(session.get_api_server_host() or "").rstrip("/")
        self.files = str(session.get_files_server_host() or "").rstrip("/")
        if not self.host:
            raise ValueError(
                "plugin 'clearml': found no server address; run clearml-init, or set CLEARML_API_HOST"
            )
        self._keys = _credentials()
        self._http = self._requests.Session()
        self._token: str | None = None

    def __str__(self) -> str:
        return mask_text(self.host)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(self, action: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request, ``tasks.create`` for example, and return the data of the answer."""
        return self._send(action, json.dumps(body, allow_nan=False), "application/json")

    def add_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Store events. Raises ``ValueError`` if the server has refused some of them."""
        for at in range(0, len(events), EVENTS_PER_REQUEST):
            lines = [json.dumps(event, allow_nan=False) for event in events[at : at + EVENTS_PER_REQUEST]]
            data = self._send("events.add_batch", "\n".join(lines), "application/json-lines")
            if data.get("errors"):
                raise ValueError(
                    f"{self}: events.add_batch: {data['errors']} refused: {data.get('errors_info')}"
                )

    def upload(self, source: Path, path: str) -> str:
        """Store a file on the files server, and return its address."""
        with (
            _outages(f"the files server {mask_text(self.files)}", self._requests),
            open(source, "rb") as file,
        ):
            answer = self._http.post(
                self.files,
                files={path: (path, file)},
                headers={"Authorization": f"Bearer {self._login()}"},
                timeout=TIMEOUT,
            )
        if answer.status_code >= 300:
            raise AnswerError(
                f"{mask_text(self.files)}: upload of {path}: {answer.reason}", answer.status_code
            )
        return f"{self.files}/{path}"

    def _send(self, action: str, data: str, kind: str) -> dict[str, Any]:
        answer = self._post(action, data, kind)
        if answer.status_code == 401:  # the token has expired
            self._token = None
            answer = self._post(action, data, kind)
        return self._data_of(action, answer)

    def _post(self, action: str, data: str, kind: str) -> Any:
        token = self._login()
        with _outages(f"the server {self}", self._requests):
            return self._http.post(
                f"{self.host}/{action}",
                data=data.encode(),
                headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
                timeout=TIMEOUT,
            )

    def _login(self) -> str:
        if self._token is None:
            with _outages(f"the server {self}", self._requests):
                answer = self._http.post(f"{self.host}/auth.login", auth=self._keys, timeout=TIMEOUT)
            if answer.status_code in (400, 401, 403):
                raise PermissionError(
                    f"plugin 'clearml': the server {self} does not accept the credentials"
                    f" ({_message(answer)}); run clearml-init, or set CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY"
                )
            self._token = str(self._data_of("auth.login", answer)["token"])
        return self._token

    def _data_of(self, action: str, answer: Any) -> dict[str, Any]:
        if answer.status_code != 200:
            raise AnswerError(f"{self}: {action}: {_message(answer)}", answer.status_code)
        try:
            data = answer.json()["data"]
        except (ValueError, LookupError, TypeError):
            data = None
        if not isinstance(data, dict):
            raise ConnectionError(f"{self}: expected the answer of a ClearML server, found something else")
        return data


@contextmanager
def _outages(what: str, requests: Any) -> Iterator[None]:
    """Report a failed connection in one line."""
    try:
        yield
    except requests.RequestException as error:
        raise ConnectionError(f"plugin 'clearml': cannot reach {what}: {type(error).__name__}") from None


def _message(answer: Any) -> str:
    try:
        return mask_text(str(answer.json()["meta"]["result_msg"]))[:500]
    except (ValueError, LookupError, TypeError):
        return f"HTTP {answer.status_code} {answer.reason}"


def _credentials() -> tuple[str, str]:
    """Return the access key and the secret key of the client's configuration."""
    defs = import_extra("clearml.backend_api.session.defs", plugin="clearml", distribution="clearml")
    config = import_extra("clearml.config", plugin="clearml", distribution="clearml").config_obj
    key = defs.ENV_ACCESS_KEY.get(default=config.get("api.credentials.access_key", None))
    secret = defs.ENV_SECRET_KEY.get(default=config.get("api.credentials.secret_key", None))
    if not key or not secret:
        raise PermissionError(
            "plugin 'clearml': found no credentials; run clearml-init, or set CLEARML_API_ACCESS_KEY and"
            " CLEARML_API_SECRET_KEY, or record to a file with offline = true"
        )
    return str(key), str(secret)


class ServerTask:
    """One task on the server."""

    def __init__(self, server: Server, run: RunView, project: str, task_type: str) -> None:
        self._server = server
        found = self._find(run.id)
        self.id = str(found["id"]) if found else self._create(run, project, task_type)
        self._tags = list(found.get("tags") or ()) if found else [mapping.run_tag(run.id)]

    @property
    def place(self) -> str:
        """The server, for people."""
        return str(self._server)

    @property
    def tags(self) -> list[str]:
        """The task's tags."""
        return list(self._tags)

    def start(self) -> None:
        """Mark the task as running, also one that has ended before."""
        self._server.call("tasks.started", {"task": self.id, "force": True})

    def end(self, outcome: str) -> None:
        """Store how the run ended."""
        action = f"tasks.{mapping.status_of(outcome)}"
        body = {"task": self.id, "force": True, "status_reason": mapping.clean_text(outcome)}
        self._server.call(action, body)

    def add_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Store events. The server keeps one for each title, series and iteration: a repeat replaces it."""
        self._server.add_events(events)

    def set_params(self, items: Sequence[Mapping[str, str]]) -> None:
        """Store parameters; others stay."""
        body = {"task": self.id, "hyperparams": list(items), "replace_hyperparams": "none", "force": True}
        self._server.call("tasks.edit_hyper_params", body)

    def set_tags(self, tags: Sequence[str]) -> None:
        """Replace all tags."""
        self._server.call("tasks.edit", {"task": self.id, "tags": list(tags), "force": True})
        self._tags = list(tags)

    def set_fields(self, fields: Mapping[str, Any]) -> None:
        """Change the name, the comment or the project."""
        changes = dict(fields)
        if "project" in changes:
            self._server.call("tasks.move", {"ids": [self.id], "project_name": changes.pop("project")})
        if changes:
            self._server.call("tasks.edit", {"task": self.id, "force": True, **changes})

    def set_parent(self, run_id: str) -> None:
        """Put the task below that of another run, if there is one."""
        found = self._find(run_id)
        if found:
            self._server.call("tasks.edit", {"task": self.id, "parent": str(found["id"]), "force": True})

    def upload(self, source: Path, path: str) -> str:
        """Store a file on the files server, and return its address."""
        return self._server.upload(source, path)

    def add_artifacts(self, artifacts: Sequence[Mapping[str, Any]]) -> None:
        """List artifacts; a later one replaces an earlier one with the same key."""
        body = {"task": self.id, "artifacts": list(artifacts), "force": True}
        self._server.call("tasks.add_or_update_artifacts", body)

    def _find(self, run_id: str) -> dict[str, Any] | None:
        query = {"tags": [mapping.run_tag(run_id)], "only_fields": ["id", "tags"], "search_hidden": True}
        tasks = self._server.call("tasks.get_all", query).get("tasks") or []
        return dict(tasks[0]) if tasks else None

    def _create(self, run: RunView, project: str, task_type: str) -> str:
        body = {
            "name": mapping.task_name(run.name),
            "type": task_type,
            "project": self._project(mapping.task_name(project)),
            "tags": [mapping.run_tag(run.id)],
        }
        task = str(self._server.call("tasks.create", body)["id"])
        self._server.call("tasks.started", {"task": task, "force": True})
        return task

    def _project(self, name: str) -> str:
        query = {"name": f"^{re.escape(name)}$", "only_fields": ["id"], "search_hidden": True}
        projects = self._server.call("projects.get_all", query).get("projects") or []
        if projects:
            return str(projects[0]["id"])
        return str(self._server.call("projects.create", {"name": name, "description": ""})["id"])
