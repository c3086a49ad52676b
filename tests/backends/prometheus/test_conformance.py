"""The promises of a backend, read back through Prometheus' own query API."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tracelet.testing import BackendConformance, FarSide

pytest.importorskip("cramjam", reason="needs cramjam: pip install 'tracelet[prometheus]'")


class TestPrometheus(BackendConformance):
    plugin = "prometheus"
    endpoint = "remote_write_url"
    time_resolution = 0.06  # points of one millisecond are put a millisecond apart

    def config(self, prometheus_server: Any) -> dict[str, Any]:
        url = f"{prometheus_server.url}/api/v1/write"
        return {"remote_write_url": url, "headers": {"X-Token": "not-to-be-shown-1"}}

    def read_back(self, run: Any, prometheus_server: Any) -> FarSide:
        at = time.time() + 3600
        found = prometheus_server.query(f'{{run="{run.id}",__name__!="tracelet_run_info"}}[1d]', at)
        steps = {
            series_of(one, "step_of"): dict(one["values"]) for one in found if "step_of" in one["metric"]
        }
        metrics: dict[str, list[Any]] = {}
        for one in found:
            if "step_of" in one["metric"]:
                continue
            name, writer = series_of(one, "metric")
            at_time = steps.get((name, writer), {})
            rows = [
                (int(float(at_time[when])) if when in at_time else None, float(value), when)
                for when, value in one["values"]
            ]
            metrics.setdefault(name, []).extend(rows)
        return FarSide(metrics=metrics)


def series_of(one: dict[str, Any], label: str) -> tuple[str, str]:
    labels = one["metric"]
    return labels.get(label, labels["__name__"]), labels["writer"]
