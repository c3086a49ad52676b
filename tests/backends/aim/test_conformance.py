"""The backend aim passes the kit, read back by Aim's own SDK."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tracelet.testing import LEFT_OUT, BackendConformance, FarSide
from tracelet_builtin_plugins.backends.aim import mapping


class TestAim(BackendConformance):
    plugin = "aim"
    isolation = "thread"  # Aim is imported once; promises on both isolations are checked in both
    limits = {
        "steps_repeated": "Aim keeps one value of a metric at a step, the last one",
    }

    @pytest.fixture(autouse=True)
    def _repository(self, read_aim, aim_repo):
        self.read, self.repo = read_aim, aim_repo

    def config(self):
        return {"repo": str(self.repo)}

    def far_param(self, key, value):
        return key, mapping.parameter_value(value)

    def far_media(self, name, step, kind):
        step = "milliseconds since the start" if step is None else step
        return (name, step, {"figure": "image"}.get(kind, kind)) if kind != "table" else LEFT_OUT

    def read_back(self, run):
        there = self.read(self.repo, mapping.run_hash(run.id))
        if there is None:
            return FarSide({}, {}, {}, {}, [])
        metrics = {}
        for metric in there.metrics():
            steps, (values, _, times) = metric.data.items_list()
            metrics[metric.name] = list(zip(steps, values, times, strict=True))
        artifacts = {
            key: Path(unquote(urlsplit(artifact.uri).path)).read_bytes()
            for key, artifact in there.artifacts.items()
        }
        return FarSide(metrics, there.get("hparams", {}), there.get("tags", {}), artifacts, self.media(there))

    def media(self, there):
        for kind, type in (("image", "images"), ("text", "texts"), ("histogram", "distributions")):
            for info in there.collect_sequence_info(type)[type]:
                sequence = there._get_sequence(type, info["name"], there.idx_to_ctx(_index(there, info)))
                for step in sequence.data.items_list()[0]:
                    far = "milliseconds since the start" if info["name"].endswith("/last") else step
                    yield info["name"], far, kind


def _index(there, info):
    from aim.storage.context import Context

    return hash(Context(info["context"]))
