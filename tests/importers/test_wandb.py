"""W&B's folders, written here as wandb writes them: records, damage, growth, and files that lead elsewhere."""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.importers.columns import as_columns
from tracelet_builtin_plugins.backends.tensorboard.protobuf import bytes_field, double_field, int_field
from tracelet_builtin_plugins.backends.wandb.history import import_wandb_folders
from tracelet_builtin_plugins.backends.wandb.history.log_file import LogFile

BLOCK = 32_768
BEGAN = 1_700_000_000


def log(records: list[bytes]) -> bytes:
    """Return a file in LevelDB's log format."""
    data = bytearray(b":W&B" + struct.pack("<HB", 0xBEE1, 0))
    for record in records:
        rest, first = record, True
        while True:
            left = BLOCK - len(data) % BLOCK
            if left < 7:
                data += bytes(left)
                continue
            part, rest = rest[: left - 7], rest[left - 7 :]
            kind = (1 if not rest else 2) if first else (4 if not rest else 3)
            data += struct.pack("<IHB", zlib.crc32(bytes([kind]) + part), len(part), kind) + part
            first = False
            if not rest:
                break
    return bytes(data)


def timestamp(number: int, seconds: int) -> bytes:
    return bytes_field(number, int_field(1, seconds) + int_field(2, 500_000_000))


def item(path: list[str], value: Any) -> bytes:
    keys = b"".join(bytes_field(2, name) for name in path)
    return bytes_field(1, keys + bytes_field(16, json.dumps(value)))


def history(step: int, row: dict[str, Any], when: float = BEGAN) -> bytes:
    items = [item([key], value) for key, value in {**row, "_step": step, "_timestamp": when}.items()]
    return bytes_field(2, b"".join(items) + bytes_field(2, int_field(1, step)))


def run_record(run_id: str = "abc", **config: Any) -> bytes:
    settings = bytes_field(4, b"".join(item([key], value) for key, value in config.items()))
    about = b"".join(
        bytes_field(number, text)
        for number, text in (
            (1, run_id),
            (3, "proj"),
            (6, "group"),
            (7, "train"),
            (8, "my run"),
            (9, "notes"),
        )
    )
    return bytes_field(17, about + settings + bytes_field(10, "tag") + timestamp(17, BEGAN))


def exit_record(code: int = 0) -> bytes:
    return bytes_field(18, int_field(1, code) + int_field(2, 90))


def write_run(root: Path, records: list[bytes], run_id: str = "abc") -> Path:
    folder = root / "wandb" / f"offline-run-20231114_221320-{run_id}"
    (folder / "files").mkdir(parents=True, exist_ok=True)
    path = folder / f"run-{run_id}.wandb"
    path.write_bytes(log(records))
    return path


def test_everything_that_a_run_has(target, tmp_path):
    rows = [
        {"loss": 1 / (step + 3), "odd": [math.nan, math.inf, -math.inf, 0.0][step % 4]} for step in range(60)
    ]
    stats = bytes_field(
        7, timestamp(2, BEGAN) + bytes_field(3, bytes_field(1, "cpu") + bytes_field(16, b"12.5"))
    )
    typed = bytes_field(
        2,
        bytes_field(1, bytes_field(2, "n") + int_field(5, 2 * 7 - 1))  # zigzag: -7
        + bytes_field(1, bytes_field(2, "x") + double_field(6, 0.1))
        + bytes_field(1, bytes_field(2, "flag") + int_field(4, 1))
        + bytes_field(2, int_field(1, 70)),
    )
    path = write_run(
        tmp_path,
        [
            run_record(lr=0.1, model={"depth": 3}),
            *(history(step, row, BEGAN + step / 4) for step, row in enumerate(rows)),
            history(61, {"sub": {"a": 2}, "text": "hello", "flag": True}),
            typed,
            stats,
            bytes_field(3, item(["best"], 0.75)),
            exit_record(1),
        ],
    )
    (path.parent / "files" / "output.log").write_text("printed\n")
    [result] = target.load(tmp_path)
    assert (result.format, result.project, result.damage) == ("wandb", "proj", {})
    run = target.run("my run")
    assert run.params == {"lr": 0.1, "model/depth": 3}
    assert (run.tags, run.group, run.outcome) == ({"tag": ""}, "group", "failed")
    assert (run.started_at, run.ended_at) == (BEGAN + 0.5, BEGAN + 90.5)
    assert target.points("my run", "loss") == [
        (step, struct.pack("<d", row["loss"]), BEGAN + step / 4) for step, row in enumerate(rows)
    ]
    assert [value for _, value, _ in target.points("my run", "odd")][:4] == [
        struct.pack("<d", value) for value in (math.nan, math.inf, -math.inf, 0.0)
    ]
    assert [target.run("my run").metric(name).values[0] for name in ("sub/a", "n", "x")] == [2.0, -7.0, 0.1]
    assert run.metric("system/cpu").type == "system"
    assert run.facts["wandb"]["summary/best"] == 0.75
    artifacts = {one["name"]: one for one in run.artifacts}
    assert (run.dir / artifacts["output.log"]["path"]).read_text() == "printed\n"
    table = json.loads((run.dir / artifacts["text"]["path"]).read_text())
    assert table == {"columns": ["step", "text"], "rows": [[61, "hello"]]}
    again = target.load(tmp_path)[0]
    assert (again.changed, again.points, again.files) == (False, 0, 0)


def test_a_run_that_was_resumed_and_has_grown(target, tmp_path):
    path = write_run(tmp_path, [run_record(), *(history(step, {"loss": step}) for step in range(10))])
    target.load(tmp_path)
    assert target.run("my run").outcome == "killed"
    path.write_bytes(
        log([run_record(), *(history(step, {"loss": step}) for step in range(15)), exit_record()])
    )
    later = tmp_path / "wandb" / "offline-run-20231115_000000-abc"
    later.mkdir()
    (later / "run-abc.wandb").write_bytes(log([run_record(), history(15, {"loss": 15}), exit_record()]))
    [result] = target.load(tmp_path)
    assert (result.points, result.known_points, target.run("my run").outcome) == (6, 10, "finished")
    assert [step for step, _, _ in target.points("my run", "loss")] == list(range(16))


def test_media_stay_inside_the_folder(target, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    good, bad, link = (
        {"_type": "image-file", "path": path} for path in ("a.png", "../../../secret.png", "l.png")
    )
    path = write_run(tmp_path, [run_record(), history(1, {"good": good, "bad": bad, "link": link})])
    (path.parent / "files" / "a.png").write_bytes(b"picture")
    os.symlink(tmp_path / "secret.png", path.parent / "files" / "l.png")
    [result] = target.load(path)
    assert result.damage == {"files outside the source": 1, "files that cannot be read": 1}
    media = [one for one in target.run("my run").artifacts if one["media"]]
    assert [(one["name"], one["step"]) for one in media] == [("good", 1)]


def test_numbers_that_do_not_fit_are_counted(target, tmp_path):
    rows = [(1, {"loss": 10**400}), (10**30, {"loss": 1}), (2, {"loss": 2**53 + 1}), (3, {"loss": 0.5})]
    path = write_run(
        tmp_path,
        [
            run_record(),
            *(
                bytes_field(
                    2, item(["_step"], step) + b"".join(item([key], value) for key, value in row.items())
                )
                for step, row in rows
            ),
        ],
    )
    [result] = target.load(path)
    assert result.damage == {"damaged records": 2, "whole numbers beyond 2**53, rounded": 1}
    assert [step for step, _, _ in target.points("my run", "loss")] == [2, 3]


def test_histograms_and_tables(target, tmp_path):
    histogram = {"_type": "histogram", "values": [1, 2], "bins": [0, 1, 2]}
    table = {"_type": "table-file", "path": "t.json"}
    path = write_run(
        tmp_path, [run_record(), history(1, {"h": histogram, "t": table, "u": {"_type": "new"}})]
    )
    (path.parent / "files" / "t.json").write_text('{"columns": ["x"], "data": [[1], [null]]}')
    [result] = target.load(tmp_path)
    assert result.damage == {"media of type new": 1}
    run = target.run("my run")
    found = {
        one["name"]: json.loads((run.dir / one["path"]).read_text()) for one in run.artifacts if one["media"]
    }
    assert found["h"] == {"edges": [0.0, 1.0, 2.0], "counts": [1, 2], "count": 3, "not_finite": 0}
    assert found["t"] == {"columns": ["x"], "rows": [[1], [None]]}


# --- damage --------------------------------------------------------------------------------------------------


def loaded(path: Path) -> tuple[int, int]:
    """Return the numbers of points and of what could not be read."""
    parts = list(import_wandb_folders(str(path), follow=False) or ())
    return (
        sum(len(points.steps) for part in parts for points in part.points),
        sum(sum(part.damage.values()) for part in parts),
    )


def test_a_file_cut_at_any_place(tmp_path):
    records = [history(step, {"loss": step}) for step in range(4)]
    path = write_run(tmp_path, records)
    sizes = [len(log(records[:count])) for count in range(5)]
    whole = path.read_bytes()
    for size in range(sizes[0], len(whole) + 1):
        path.write_bytes(whole[:size])
        expected = sum(end <= size for end in sizes[1:])
        assert loaded(path) == (expected, int(size not in sizes)), size


def test_a_damaged_byte_costs_no_more_than_its_block(tmp_path):
    records = [history(step, {"loss": step, "text": "x" * 500}) for step in range(300)]
    path = write_run(tmp_path, records)
    data = bytearray(path.read_bytes())
    data[2 * BLOCK + 100] ^= 1
    path.write_bytes(data)
    points, damage = loaded(path)
    assert 300 - 60 < points < 300
    assert damage == 1


def test_records_longer_than_blocks(tmp_path):
    long = bytes_field(2, item(["text"], "y" * 200_000) + item(["loss"], 1.5))
    path = write_run(tmp_path, [long, history(1, {"loss": 2})])
    assert loaded(path) == (2, 0)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.binary(max_size=300), st.lists(st.binary(max_size=60), max_size=8).map(log)),
    st.binary(max_size=20),
)
def test_any_bytes_end_without_a_traceback(tmp_path_factory, data, end):
    path = tmp_path_factory.mktemp("wandb") / "run-x.wandb"
    path.write_bytes(b":W&B\xe1\xbe\0" + data + end)
    assert loaded(path)[1] >= 0


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        [
            run_record(lr=0.1),
            history(3, {"loss": 1, "m": {"_type": "image-file", "path": "a"}}),
            exit_record(1),
        ]
    ),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), max_size=3),
)
def test_a_damaged_record_with_a_right_checksum_is_no_more_than_counted(tmp_path_factory, record, changes):
    data = bytearray(record)
    for at, value in changes:
        data[at % len(data)] = value
    path = tmp_path_factory.mktemp("wandb") / "run-x.wandb"
    path.write_bytes(log([run_record(), bytes(data), history(9, {"last": 5})]))
    parts = list(import_wandb_folders(str(path), follow=False))
    found = [points for part in parts for points in part.points]
    assert any(points.name == "last" for points in found)
    for points in found:
        as_columns(points.name, points.steps, points.values, points.timestamps)


def test_a_growing_file_is_read_from_where_it_ended(tmp_path):
    records = [history(step, {"loss": step, "text": "x" * 3000}) for step in range(40)]
    whole = log(records)
    path = tmp_path / "run-abc.wandb"
    path.write_bytes(whole[:7])
    file, count = LogFile(path), 0
    for size in range(7, len(whole), 997):
        path.write_bytes(whole[:size])
        count += len(list(file.records()))
    path.write_bytes(whole)
    assert count + len(list(file.records())) == 40
    assert not file.damaged


def test_following(tmp_path):
    path = write_run(tmp_path, [run_record(), history(0, {"loss": 1})])
    parts = import_wandb_folders(str(tmp_path), follow=True)

    def new() -> int:
        return sum(len(points.steps) for part in iter(lambda: next(parts), None) for points in part.points)

    assert [new(), new()] == [1, 0]
    path.write_bytes(log([run_record(), *(history(step, {"loss": 1}) for step in range(3))]))
    assert new() == 2


@pytest.mark.parametrize("name", ["a.wandb", "folder"])
def test_what_is_none_of_w_and_b_s(tmp_path, name):
    (tmp_path / "a.wandb").write_bytes(b"something else")
    (tmp_path / "folder").mkdir()
    assert import_wandb_folders(str(tmp_path / name), follow=False) is None
