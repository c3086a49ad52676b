"""A stand-in for a ClearML server on a loopback port: the requests of the backend and of ``import_offline_session``.

It keeps what the real server keeps: one event for each task, type, iteration, title, series and key (lines of the
console are always added), and it refuses what Elasticsearch refuses.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

KEY, SECRET = "key-of-the-tests", "secret-of-the-tests"
HEAD = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
FLOAT32 = 3.4028234663852886e38


class RefusedError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class StandIn:
    """The server's state."""

    def __init__(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = {}
        self.projects: dict[str, str] = {}
        self.events: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.is_down = False
        self.status: int | None = None  # answered to everything but a login
        self.tokens: set[str] = set()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"stand_in": self}))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def environment(self) -> dict[str, str]:
        return {
            "CLEARML_API_HOST": self.url,
            "CLEARML_WEB_HOST": self.url,
            "CLEARML_FILES_HOST": f"{self.url}/files",
            "CLEARML_API_ACCESS_KEY": KEY,
            "CLEARML_API_SECRET_KEY": SECRET,
            "CLEARML_CONFIG_FILE": "/nonexistent/clearml.conf",
        }

    def task_of(self, run_id: str) -> dict[str, Any] | None:
        found = [task for task in self.tasks.values() if f"tracelet={run_id}" in task.get("tags", ())]
        assert len(found) < 2, "two tasks for one run"
        return found[0] if found else None

    def events_of(self, task: str, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events.values() if event["task"] == task and event["type"] == kind]

    def answer(self, action: str, body: Any) -> dict[str, Any]:
        with self._lock:
            self.requests.append(action)
            if self.status is not None:
                raise RefusedError(self.status, "as the test wants")
            method = getattr(self, action.replace(".", "_"), None)
            if method is None:
                raise RefusedError(400, f"unknown action {action}")
            return method(body)

    def _task(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["task"] not in self.tasks:
            raise RefusedError(400, f"Invalid task id: id={body['task']}")
        return self.tasks[body["task"]]

    def _editable(self, body: dict[str, Any]) -> dict[str, Any]:
        task = self._task(body)
        if task["status"] != "created" and not body.get("force"):
            raise RefusedError(400, "Invalid task status")
        return task

    def projects_get_all(self, body: dict[str, Any]) -> dict[str, Any]:
        wanted = body.get("name") or "."
        return {"projects": [{"id": i, "name": n} for n, i in self.projects.items() if re.search(wanted, n)]}

    projects_get_all_ex = projects_get_all

    def projects_create(self, body: dict[str, Any]) -> dict[str, Any]:
        if len(body["name"]) < 3:
            raise RefusedError(400, "name too short")
        return {"id": self.projects.setdefault(body["name"], f"p{len(self.projects)}")}

    def tasks_create(self, body: dict[str, Any]) -> dict[str, Any]:
        if len(body["name"]) < 3 or not body["type"]:
            raise RefusedError(400, "name too short")
        task = f"{len(self.tasks):032x}"
        self.tasks[task] = {
            "status": "created",
            "tags": [],
            "hyperparams": {},
            "execution": {},
            **body,
            "id": task,
        }
        return {"id": task}

    def tasks_get_all(self, body: dict[str, Any]) -> dict[str, Any]:
        tasks = list(self.tasks.values())
        if body.get("tags"):
            tasks = [task for task in tasks if set(body["tags"]) & set(task.get("tags", ()))]
        if body.get("id"):
            tasks = [task for task in tasks if task["id"] in body["id"]]
        return {"tasks": tasks}

    tasks_get_all_ex = tasks_get_all

    def tasks_get_by_id(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"task": self._task(body)}

    def tasks_edit(self, body: dict[str, Any]) -> dict[str, Any]:
        task = self._editable(body)
        task.update({key: value for key, value in body.items() if key not in ("task", "force")})
        return {"updated": 1, "fields": {}}

    tasks_update = tasks_edit

    def tasks_move(self, body: dict[str, Any]) -> dict[str, Any]:
        project = self.projects_create({"name": body["project_name"]})["id"]
        for task in body["ids"]:
            self.tasks[task]["project"] = project
        return {"project_id": project}

    def tasks_edit_hyper_params(self, body: dict[str, Any]) -> dict[str, Any]:
        params = self._editable(body)["hyperparams"]
        for item in body["hyperparams"]:
            if not isinstance(item["value"], str):
                raise RefusedError(400, "expected a text")
            params.setdefault(item["section"], {})[item["name"]] = item
        return {"updated": 1}

    def tasks_add_or_update_artifacts(self, body: dict[str, Any]) -> dict[str, Any]:
        listed = self._task(body)["execution"].setdefault("artifacts", [])
        keys = {item["key"] for item in body["artifacts"]}
        listed[:] = [item for item in listed if item["key"] not in keys] + body["artifacts"]
        return {"updated": 1}

    def _moved_to(self, status: str, body: dict[str, Any]) -> dict[str, Any]:
        task = self._task(body)
        task["status"] = status
        return {"updated": 1, "fields": {"status": status}, "started": 1}

    def tasks_started(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._moved_to("in_progress", body)

    def tasks_completed(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._moved_to("completed", body)

    def tasks_failed(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._moved_to("failed", body)

    def tasks_stopped(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._moved_to("stopped", body)

    def tasks_ping(self, body: dict[str, Any]) -> dict[str, Any]:
        return {}

    def events_add_batch(self, lines: list[dict[str, Any]]) -> dict[str, Any]:
        errors: dict[str, int] = {}
        for event in lines:
            fault = self._fault_of(event)
            if fault:
                errors[fault] = errors.get(fault, 0) + 1
                continue
            identity = tuple(event.get(key) for key in ("type", "task", "iter", "metric", "variant", "key"))
            if event["type"] == "log":
                identity = ("log", len(self.events))
            self.events[identity] = event
        if sum(errors.values()) == len(lines):
            raise RefusedError(400, f"Events not added: {errors}")
        return {
            "added": len(lines) - sum(errors.values()),
            "errors": sum(errors.values()),
            "errors_info": errors,
        }

    def _fault_of(self, event: dict[str, Any]) -> str | None:
        if event.get("task") not in self.tasks:
            return "Invalid task id"
        value = event.get("value", 0.0)
        if not isinstance(value, int | float) or not abs(value) <= FLOAT32:
            return "number out of range"
        if not -(2**63) <= event.get("iter", 0) < 2**63 or not isinstance(event.get("timestamp"), int):
            return "Iteration number"
        return "keyword too long" if len(event.get("metric", "").encode()) > 32766 else None


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None: ...

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.stand_in.is_down:
            self.close_connection = True
            return
        path = urlsplit(self.path).path
        try:
            if path.startswith("/files"):
                answer: Any = self._store(data)
            else:
                answer = self._api(path.rpartition("/")[2], data)
            self._send(200, answer)
        except RefusedError as error:
            self._send(
                error.status, {"meta": {"result_code": error.status, "result_msg": str(error)}, "data": {}}
            )

    do_GET = do_POST

    def _api(self, action: str, data: bytes) -> Any:
        if action == "auth.login":
            return {"meta": {"result_code": 200}, "data": {"token": self._login()}}
        self._require_token()
        if "json-lines" in self.headers.get("Content-Type", "") or action == "events.add_batch":
            body: Any = [json.loads(line) for line in data.decode().splitlines() if line]
        else:
            body = json.loads(data or b"{}")
        found = self.stand_in.answer(action, body)
        return {"meta": {"result_code": 200, "result_subcode": 0, "result_msg": "OK"}, "data": found}

    def _login(self) -> str:
        given = self.headers.get("Authorization", "")
        if given == "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode():
            claims = base64.urlsafe_b64encode(
                json.dumps({"api_version": "2.30", "exp": 4e9}).encode()
            ).rstrip(b"=")
            token = f"{HEAD}.{claims.decode()}.{len(self.stand_in.tokens):08d}"
            self.stand_in.tokens.add(token)
            return token
        if given.removeprefix("Bearer ") in self.stand_in.tokens:
            return given.removeprefix("Bearer ")
        raise RefusedError(401, "Unauthorized (invalid credentials)")

    def _require_token(self) -> None:
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in self.stand_in.tokens:
            raise RefusedError(401, "Unauthorized (invalid token)")

    def _store(self, data: bytes) -> Any:
        self._require_token()
        kind = self.headers["Content-Type"].encode()
        message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + kind + b"\r\n\r\n" + data)
        for part in message.iter_parts():
            name = str(part.get_param("name", header="content-disposition"))
            self.stand_in.files[name] = part.get_payload(decode=True)
        return ["stored"]

    def _send(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
