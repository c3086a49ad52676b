"""The promises that the two plugins keep: `tracelet plugins check NAME --conformance` finds these classes."""

import csv

from tracelet.testing import BackendConformance, CollectorConformance, FarSide
from tracelet_ledger.backend import Ledger
from tracelet_ledger.heap import Heap


class TestLedger(BackendConformance):
    plugin = Ledger
    limits = {
        "once": "a ledger is only ever appended to; a line has no id",
        "restarted": "a ledger is only ever appended to; a line has no id",
    }

    def config(self, tmp_path):
        return {"path": str(tmp_path / "ledger.csv"), "api_key": "k-7c1f0a93d2"}

    def far_param(self, key, value):
        return key, "" if value is None else str(value)

    def read_back(self, tmp_path):
        metrics, params, artifacts = {}, {}, {}
        with open(tmp_path / "ledger.csv", newline="", encoding="utf-8") as file:
            for what, name, value, step in csv.reader(file):
                if what == "metric":
                    metrics.setdefault(name, []).append((int(step), float(value), None))
                elif what == "param":
                    params[name] = value
                elif what == "artifact":
                    artifacts[name] = int(value)
        return FarSide(metrics, params, artifacts=artifacts)


class TestHeap(CollectorConformance):
    plugin = Heap
    units = {"heap/objects": "objects", "heap/pending/*": "objects since the last collection"}
