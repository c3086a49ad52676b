"""The promises of a backend, read back with pyarrow alone: from a bucket."""

from __future__ import annotations

import json
from typing import Any

from tracelet.layout import media_type
from tracelet.testing import BackendConformance, FarSide


def far_media(self: Any, name: str, step: int | None, kind: str) -> tuple[str, int | None, str]:
    """Return a medium with the kind that the journal has."""
    return name, step, media_type(kind)


def read(lake: Any, run: Any) -> FarSide:
    events = lake.rows(run.id, "events")
    files = {row["path"]: row for row in events if row["type"] == "file"}
    artifacts, media = {}, []
    for row in events:
        if row["type"] != "artifact":
            continue
        payload = json.loads(row["payload"])
        if row["media"]:
            [file] = payload["files"]
            content = lake.get(f"artifacts/sha256/{file['sha256'][:2]}/{file['sha256']}")
            media.append((row["name"], row["step"], row["media"], content))
            continue
        path, place = payload["path"], payload["artifact_path"]
        base = path.rpartition("/")[0]
        for name in files:
            if name == path or name.startswith(path + "/"):
                inside = name[len(base) + 1 :]
                artifacts[f"{place}/{inside}" if place else inside] = files[name]["sha256"]
    return FarSide(
        metrics=lake.metrics(run.id),
        params={name: json.loads(value) for name, value in lake.values(run.id, "params").items()},
        tags=lake.values(run.id, "tags"),
        artifacts=artifacts,
        media=media,
    )


class TestLakeInABucket(BackendConformance):
    plugin = "lake"
    limits = {
        "secrets": "botocore's debug log has the id of the access key; test_failures.py checks the secret itself"
    }
    far_media = far_media

    def config(self, bucket: Any) -> dict[str, Any]:
        return {**bucket.table, "flush_points": 50}

    def wrong_credentials(self, bucket: Any, refusing_s3: str) -> dict[str, Any]:
        options = {**bucket.table["storage_options"], "endpoint_url": refusing_s3}
        return {**bucket.table, "storage_options": options}

    def read_back(self, run: Any, bucket: Any) -> FarSide:
        return read(bucket.read, run)
