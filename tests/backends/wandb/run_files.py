"""Reads the files in which wandb keeps runs, with wandb's own protobuf messages."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any


def records_of(path: Path) -> list[Any]:
    """Return the records of a run's file: LevelDB's log format, with wandb's own protobuf messages in it."""
    from wandb.proto import wandb_internal_pb2

    data, at, part, found = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        left = 32_768 - at % 32_768
        if left < 7:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            found.append(wandb_internal_pb2.Record.FromString(part))
            part = b""
    return found


class WandbRun:
    """What the files of a run hold: all of them, in the order in which they were begun."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self.files = sorted((folder / "wandb").glob(f"*run-*-{run_id}*/run-{run_id}.wandb"))
        self.records = [record for file in self.files for record in records_of(file)]

    def of_type(self, kind: str) -> list[Any]:
        return [getattr(one, kind) for one in self.records if one.WhichOneof("record_type") == kind]

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [
            {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in row.item}
            for row in self.of_type("history")
        ]

    @property
    def media(self) -> list[dict[str, Any]]:
        return [row for row in self.rows if any(key.endswith("_type") for key in row)]

    @property
    def config(self) -> dict[str, Any]:
        values = {}
        for change in self.of_type("config"):
            for item in change.update:
                values[item.key or "/".join(item.nested_key)] = json.loads(item.value_json)
        return values

    @property
    def tags(self) -> list[str]:
        return list(self.of_type("run")[-1].tags)

    @property
    def exit_codes(self) -> list[int]:
        return [one.exit_code for one in self.of_type("exit")]

    def points(self, name: str) -> list[tuple[Any, Any]]:
        return [(row.get("step"), row[name]) for row in self.rows if name in row]
