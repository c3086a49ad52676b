"""TensorBoard's event files: exact points, damaged and growing files, media, and importing again."""

from __future__ import annotations

import json
import math
import os
import random
import struct
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.tensorboard import protobuf
from tracelet_builtin_plugins.backends.tensorboard.event_file import frame
from tracelet_builtin_plugins.backends.tensorboard.history import import_event_files
from tracelet_builtin_plugins.backends.tensorboard.history.records import RecordReader

BEGAN = 1_700_000_000.0


def scalar(tag: str, step: int, value: float, time: float = BEGAN) -> bytes:
    """Return a record of a float32, as ``SummaryWriter.add_scalar`` writes it."""
    return frame(protobuf.event(time, step, protobuf.summary_value(tag, protobuf.float_field(2, value))))


def double(tag: str, step: int, value: float, time: float = BEGAN) -> bytes:
    """Return a record of a float64, as a tensor."""
    return frame(
        protobuf.event(time, step, protobuf.summary_value(tag, protobuf.tensor_double(value), "scalars"))
    )


def write_run(
    folder: Path, records: Iterable[bytes], number: int = 0, host: str = "node7", began: float = BEGAN
) -> Path:
    """Write an event file that begins as all of them do."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.{int(began):010d}.{host}.123.{number}"
    path.write_bytes(frame(protobuf.file_version(began)) + b"".join(records))
    return path


def training(steps: int, tags: Iterable[str] = ("train/loss", "train/acc"), seed: int = 0) -> list[bytes]:
    """Return the records of a training."""
    numbers = random.Random(seed)
    return [
        scalar(tag, step, float(numbers.random()), BEGAN + step / 8) for step in range(steps) for tag in tags
    ]


PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def f32(value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0])


def read(root: Path) -> dict[tuple[str, str], list[tuple[int, bytes, float]]]:
    """Return what the importer reads: step, the value's bits and time, by run and tag."""
    found: dict[tuple[str, str], list[tuple[int, bytes, float]]] = {}
    for part in import_event_files(str(root), follow=False) or ():
        for points in part.points:
            rows = zip(points.steps, points.values, points.timestamps, strict=True)
            found.setdefault((part.name or "", points.name), []).extend(
                (int(step), struct.pack("<d", value), float(time)) for step, value, time in rows
            )
    return found


def test_points_are_exact_and_importing_again_adds_nothing(target, tmp_path):
    records = training(300)
    odd = [(-(2**63), math.nan), (2**63 - 1, math.inf), (-1, -math.inf), (2**40, -0.0), (0, 5e-324)]
    records += [double("odd", step, value, BEGAN + 0.1) for step, value in odd]
    write_run(tmp_path / "logs" / "run1", records)
    [result] = target.load(tmp_path / "logs")
    assert (result.format, result.name, result.points, result.damage) == ("tensorboard", "run1", 605, {})
    losses = target.points("run1", "train/loss")
    assert [step for step, _, _ in losses] == list(range(300))
    assert losses[8][2] == BEGAN + 1
    assert target.points("run1", "odd") == [
        (step, struct.pack("<d", value), BEGAN + 0.1) for step, value in odd
    ]
    assert target.run("run1").started_at == BEGAN
    before = target.files()
    [again] = target.load(tmp_path / "logs")
    assert (again.points, again.known_points, again.changed) == (0, 605, False)
    assert target.files() == before


def test_a_file_that_has_grown_adds_only_what_is_new(target, tmp_path):
    records = training(50)
    path = write_run(tmp_path / "run1", records[:60])
    assert target.load(tmp_path / "run1")[0].points == 60
    with path.open("ab") as file:
        file.write(b"".join(records[60:]))
    write_run(tmp_path / "run1", [scalar("late", 1, 2.0)], number=1)
    [result] = target.load(tmp_path / "run1")
    assert (result.points, result.known_points, result.is_new) == (41, 60, False)
    assert len(target.points("run1", "train/acc")) == 50
    assert target.load(tmp_path / "run1")[0].points == 0


def test_equal_points_are_all_kept(target, tmp_path):
    write_run(tmp_path / "run1", [scalar("a", 1, 2.0)] * 3)
    assert target.load(tmp_path / "run1")[0].points == 3
    assert target.load(tmp_path / "run1")[0].points == 0
    assert len(target.points("run1", "a")) == 3


def test_two_hundred_runs(target, tmp_path):
    for number in range(200):
        write_run(tmp_path / "logs" / f"lr{number % 4}" / f"seed{number}", training(20, seed=number), number)
    results = target.load(tmp_path / "logs", "tensorboard")
    assert [result.points for result in results] == [40] * 200
    again = target.load(tmp_path / "logs", "tensorboard")
    assert sum(result.points for result in again) == 0
    assert sum(result.known_points for result in again) == 8000
    written = read(tmp_path / "logs")
    for name in ("lr0/seed0", "lr3/seed199"):
        assert target.points(name, "train/loss") == written[name, "train/loss"]


# --- with NumPy and without ----------------------------------------------------------------------------------

TAGS = st.sampled_from(["a", "b", "loss", "loss/x", "\u03bb"])
STEPS = st.one_of(st.integers(0, 300), st.integers(-(2**63), 2**63 - 1))
TIMES = st.floats(1, 2e9)
POINTS = st.one_of(
    st.builds(scalar, TAGS, STEPS, st.floats(width=32), TIMES),
    st.builds(double, TAGS, STEPS, st.floats(), TIMES),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(POINTS, max_size=120))
def test_the_fast_way_reads_the_same_as_the_plain_one(tmp_path_factory, records):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("logs")
        write_run(folder, records)
        fast = read(folder)
        name = "tracelet_builtin_plugins.backends.tensorboard.history.columns"
        patch.setitem(__import__("sys").modules, name, None)
        assert read(folder) == fast


def test_many_tags_of_one_length_are_told_apart(tmp_path):
    tags = [f"tag/{number:03d}" for number in range(100)]
    write_run(tmp_path / "run1", training(30, tags))
    found = read(tmp_path / "run1")
    assert len(found) == 100
    assert all([step for step, _, _ in points] == list(range(30)) for points in found.values())


def test_the_backend_s_own_files_are_read_with_their_exact_values(target, tmp_path, project):
    project.environ["TRACELET_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    project.write(
        "train.py",
        """
        import tracelet
        with tracelet.start_run("own", params={"lr": 0.1}, plugins=["tensorboard"]) as run:
            for step in range(100):
                run.log({"loss": 1 / (step + 3)}, step=step)
        """,
    )
    project.python("train.py")
    target.load(project.path / "runs", "tensorboard")
    [name] = [name for name in target.runs() if name.startswith("own") and "/" not in name]
    points = target.points(name, "loss")
    assert [value for _, value, _ in points] == [struct.pack("<d", 1 / (step + 3)) for step in range(100)]
    assert target.run(name).params["lr"] == 0.1


# --- damage --------------------------------------------------------------------------------------------------


def test_a_file_cut_at_any_place_yields_its_whole_records(tmp_path):
    records = training(6)
    path = write_run(tmp_path / "run1", records)
    whole = path.read_bytes()
    ends = [len(whole) - sum(map(len, records[at:])) for at in range(len(records) + 1)]
    for size in range(ends[0], len(whole)):
        path.write_bytes(whole[:size])
        parts = list(import_event_files(str(path), follow=False))
        expected = sum(end <= size for end in ends[1:])
        assert sum(len(points.steps) for part in parts for points in part.points) == expected
        assert sum(sum(part.damage.values()) for part in parts) == (size not in ends)


@pytest.mark.parametrize("hidden", [False, True])
def test_one_changed_byte_loses_one_record(tmp_path, without_numpy, hidden):
    if hidden:
        without_numpy()
    records = training(40)
    path = write_run(tmp_path / "run1", records)
    whole = path.read_bytes()
    first = len(whole) - sum(map(len, records))
    for at in range(first + 3, len(whole) - 200, 97):
        data = bytearray(whole)
        data[at] ^= 0x40
        path.write_bytes(data)
        parts = list(import_event_files(str(path), follow=False))
        assert sum(len(points.steps) for part in parts for points in part.points) == 79, at
        assert sum(sum(part.damage.values()) for part in parts) == 1, at


@pytest.mark.parametrize("noise", [bytes(100_000), b"\xff" * 5000, bytes(range(256)) * 40])
def test_noise_between_records_is_skipped(tmp_path, noise):
    records = training(10)
    path = write_run(tmp_path / "run1", [*records[:10], noise, *records[10:]])
    parts = list(import_event_files(str(path), follow=False))
    assert sum(len(points.steps) for part in parts for points in part.points) == 20
    assert sum(sum(part.damage.values()) for part in parts) == 1


def test_noise_across_the_blocks_that_are_read_is_skipped(tmp_path, monkeypatch):
    monkeypatch.setattr("tracelet_builtin_plugins.backends.tensorboard.history.records._BLOCK", 4096)
    records = training(200)
    path = write_run(tmp_path / "run1", [*records[:100], bytes(20_000), *records[100:], b"\1" * 30_000])
    parts = list(import_event_files(str(path), follow=False))
    assert sum(len(points.steps) for part in parts for points in part.points) == 400
    assert sum(sum(part.damage.values()) for part in parts) >= 2


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.binary(max_size=400), st.lists(st.binary(max_size=80).map(frame), max_size=8).map(b"".join))
)
def test_any_bytes_end_without_a_traceback(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("logs") / "events.out.tfevents.1.h.1.0"
    path.write_bytes(data)
    for part in import_event_files(str(path), follow=False):
        assert sum(part.damage.values()) >= 0


def test_a_declared_length_takes_no_memory(tmp_path):
    import tracemalloc

    length = struct.pack("<Q", 1 << 28)
    from tracelet_builtin_plugins.backends.tensorboard.crc32c import masked_crc

    path = write_run(tmp_path, training(5))
    with path.open("ab") as file:
        file.write(length + struct.pack("<I", masked_crc(length)) + bytes(100))
    tracemalloc.start()
    parts = list(import_event_files(str(path), follow=False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 << 20
    assert sum(len(points.steps) for part in parts for points in part.points) == 10


def test_links_are_not_followed(tmp_path):
    path = write_run(tmp_path / "secret", training(5))
    (tmp_path / "logs").mkdir()
    os.symlink(path, tmp_path / "logs" / path.name)
    os.symlink(tmp_path / "secret", tmp_path / "logs" / "folder")
    assert import_event_files(str(tmp_path / "logs"), follow=False) is None


# --- following -----------------------------------------------------------------------------------------------


def test_what_is_added_while_following(tmp_path):
    records = training(20)
    path = write_run(tmp_path / "run1", records[:10])
    with path.open("ab") as file:
        file.write(records[10][:7])
    parts = import_event_files(str(tmp_path), follow=True)

    def new() -> int:
        total = 0
        while (part := next(parts)) is not None:
            total += sum(len(points.steps) for points in part.points)
            assert not sum(part.damage.values())
        return total

    assert [new(), new()] == [10, 0]
    with path.open("ab") as file:
        file.write(records[10][7:] + b"".join(records[11:15]))
    write_run(tmp_path / "run2", records[:4])
    assert [new(), new()] == [9, 0]


# --- media and hyperparameters -------------------------------------------------------------------------------


def summary(tag: str, content: bytes, plugin: str = "", plugin_data: bytes = b"", step: int = 3) -> bytes:
    return frame(protobuf.event(BEGAN, step, protobuf.summary_value(tag, content, plugin, plugin_data)))


def test_media(target, tmp_path):
    write_run(
        tmp_path / "run1",
        [
            summary("image", protobuf.image(PNG, 4, 4, 3)),
            summary("note/text_summary", protobuf.text("*hello*"), "text"),
            summary("sound", protobuf.audio(b"RIFF", 8000.0, 1, 4)),
            summary("hist", protobuf.histogram([0.0, 1.0, 2.0], [0.0, 3.0, 1.0], 4.0, 5.0)),
        ],
    )
    [result] = target.load(tmp_path / "run1")
    assert (result.files, result.damage) == (4, {})
    found = {one["name"]: one for one in target.run("run1").artifacts}
    assert {name: (one["media"], one["step"]) for name, one in found.items()} == {
        "image": ("image", 3),
        "note": ("text", 3),
        "sound": ("audio", 3),
        "hist": ("histogram", 3),
    }
    folder = target.run("run1").dir
    assert (folder / found["image"]["path"]).read_bytes() == PNG
    assert (folder / found["note"]["path"]).read_text() == "*hello*"
    content = json.loads((folder / found["hist"]["path"]).read_text())
    assert content == {"edges": [0.0, 1.0, 2.0], "counts": [3, 1], "count": 4, "not_finite": 0}
    again = target.load(tmp_path / "run1")[0]
    assert (again.files, again.known_files) == (0, 4)


CONTENTS = [
    protobuf.image(PNG, 4, 4, 3),
    protobuf.audio(b"RIFF", 8000.0, 1, 4),
    protobuf.histogram([0.0, 1.0, 2.0], [1.0, 3.0, 1.0], 4.0, 5.0),
    protobuf.text("hello"),
    protobuf.tensor_double(0.5),
]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(CONTENTS),
    st.sampled_from(["", "text", "hparams"]),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=3),
)
def test_a_damaged_medium_with_a_right_checksum_is_counted(tmp_path_factory, content, plugin, changes):
    data = bytearray(protobuf.event(BEGAN, 3, protobuf.summary_value("tag", content, plugin)))
    for at, value in changes:
        data[at % len(data)] = value
    folder = tmp_path_factory.mktemp("logs")
    write_run(folder, [frame(bytes(data)), scalar("loss", 1, 0.5)])
    parts = list(import_event_files(str(folder), follow=False))
    assert any(points.name == "loss" for part in parts for points in part.points)
    assert all(isinstance(file.data, bytes) for part in parts for file in part.files)


def test_hyperparameters_and_the_outcome(target, tmp_path):
    start = protobuf.hparams_start({"lr": 0.1, "opt": "adam", "big": True}, BEGAN, "group 7")
    end = protobuf.hparams_end(2, BEGAN + 60)
    write_run(
        tmp_path / "run1",
        [
            summary("_hparams_/session_start_info", protobuf.null_tensor(), "hparams", start, 0),
            scalar("loss", 1, 0.5),
            summary("_hparams_/session_end_info", protobuf.null_tensor(), "hparams", end, 0),
        ],
    )
    target.load(tmp_path / "run1")
    run = target.run("run1")
    assert run.params == {"lr": 0.1, "opt": "adam", "big": True}
    assert (run.outcome, run.ended_at, run.group) == ("failed", BEGAN + 60, "group 7")


def test_what_tracelet_has_no_place_for_is_counted(target, tmp_path):
    tensor = protobuf.bytes_field(
        8, protobuf.int_field(1, 2) + protobuf.bytes_field(6, struct.pack("<2d", 1, 2))
    )
    write_run(tmp_path / "run1", [summary("t", tensor), scalar("loss", 1, 0.5)])
    [result] = target.load(tmp_path / "run1")
    assert (result.points, result.damage) == (1, {"tensors of more than one number": 1})


def test_a_reader_continues_where_it_stopped(tmp_path):
    records = training(3)
    path = write_run(tmp_path, records[:2])
    reader = RecordReader(path)
    sizes = [len(list(block.starts)) for block in reader.blocks()]
    for extra in count(2):
        if extra == len(records):
            break
        with path.open("ab") as file:
            file.write(records[extra])
        sizes += [len(block.starts) for block in reader.blocks()]
    assert sizes == [3, 1, 1, 1, 1]
    assert not reader.is_cut
