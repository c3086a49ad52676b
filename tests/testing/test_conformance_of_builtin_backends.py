"""The built-in backend jsonl passes the kit, read back from its file."""

from __future__ import annotations

import json

from tracelet.testing import BackendConformance, FarSide


class TestJsonl(BackendConformance):
    plugin = "jsonl"
    config = {"path": "events.jsonl"}

    def read_back(self, run):
        path = run.dir / "events.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        metrics = {}
        for line in lines:
            if line["type"] == "metric":
                metrics.setdefault(line["name"], []).append(
                    (line["step"], float(line["value"]), line["time"])
                )
        params = {k: v for line in lines if line["type"] == "params" for k, v in line["params"].items()}
        tags = {k: v for line in lines if line["type"] == "tags" for k, v in line["tags"].items()}
        return FarSide(metrics=metrics, params=params, tags=tags)
