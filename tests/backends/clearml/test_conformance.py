"""The backend clearml passes the kit: in an offline session, and against a stand-in server."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from tracelet.testing import LEFT_OUT, BackendConformance, FarSide
from tracelet_builtin_plugins.backends.clearml import mapping

LIMITS = {"steps_repeated": "ClearML keeps one value of a series at an iteration, the last one"}


class Clearml(BackendConformance):
    plugin = "clearml"
    time_resolution = 2e-3

    def far_param(self, key, value):
        return key, mapping.parameter(key, value)["value"]

    def far_tag(self, key, value):
        return mapping.tag_text(key, value), True

    def far_value(self, value):
        return value if mapping.is_number_of_clearml(value) else LEFT_OUT

    def far_media(self, name, step, kind):
        step = "seconds since the start" if step is None else step
        return name, step, {"table": "plot", "histogram": "plot"}.get(kind, kind)

    @staticmethod
    def metrics(events):
        metrics = {}
        for event in events:
            title, series = event["metric"], event["variant"]
            name = title if title == series else f"{title}/{series}"
            metrics.setdefault(name, []).append((event["iter"], event["value"], event["timestamp"] / 1000))
        return metrics

    @staticmethod
    def media(events):
        found = []
        for event in events:
            title, series = event["metric"], event["variant"]
            name = title if title == series else f"{title}/{series}"
            kind = "plot" if event["type"] == "plot" else event["key"].split("/")[3]
            step = "seconds since the start" if name.endswith("/last") else event["iter"]
            found.append((name, step, kind))
        return found

    def far_side_of(self, task, events, files):
        params = {name: item["value"] for name, item in task["hyperparams"].get("General", {}).items()}
        artifacts = {item["key"]: files[item["uri"]] for item in task["execution"].get("artifacts", ())}
        scalars = [event for event in events if event["type"] == "training_stats_scalar"]
        others = [event for event in events if event["type"] in ("plot", "training_debug_image")]
        return FarSide(
            self.metrics(scalars), params, dict.fromkeys(task["tags"], True), artifacts, self.media(others)
        )


class TestOffline(Clearml):
    config = {"offline": True, "project": "kit"}
    limits = LIMITS

    def read_back(self, run):
        folder = run.dir / "clearml-offline"
        if not (folder / "task.json").exists():
            return FarSide({}, {}, {}, {}, [])
        task = json.loads((folder / "task.json").read_text())
        path = folder / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        events = {}
        for event in (event for line in lines for event in json.loads(line)):  # as the server keeps them
            events[tuple(event.get(key) for key in ("type", "iter", "metric", "variant", "key"))] = event
        uris = [item["uri"] for item in task["execution"]["artifacts"]]
        return self.far_side_of(task, events.values(), {uri: Path(uri).read_bytes() for uri in uris})


class TestServer(Clearml):
    limits = LIMITS
    isolation = "thread"  # the client is imported once; promises on both isolations are checked in both

    @pytest.fixture(autouse=True)
    def _server(self, clearml_server):
        self.server = clearml_server

    def config(self):
        return {"project": "kit"}

    def wrong_credentials(self, monkeypatch):
        monkeypatch.setenv("CLEARML_API_SECRET_KEY", "wrong")
        return {"project": "kit"}

    @contextlib.contextmanager
    def outage(self, harness):
        self.server.is_down = True
        yield
        self.server.is_down = False

    def read_back(self, run):
        task = self.server.task_of(run.id)
        if task is None:
            return FarSide({}, {}, {}, {}, [])
        events = [event for event in self.server.events.values() if event["task"] == task["id"]]
        files = {f"{self.server.url}/files/{path}": data for path, data in self.server.files.items()}
        return self.far_side_of(task, events, files)
