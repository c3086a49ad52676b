"""The backend ``tensorboard``: whole records, each once, no point preempted, whatever happens."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import stat
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.tensorboard import TensorBoardBackend, crc32c, media, protobuf
from tracelet_builtin_plugins.backends.tensorboard.event_file import EventFile, read_events, writer_of
from tracelet_builtin_plugins.backends.tensorboard.series import LANES, WriterSeries
from tracelet_hookspecs import MetricData, MetricType


class Found(NamedTuple):
    """One value in an event file."""

    folder: str
    tag: str
    step: int
    time: float
    value: Any
    extra: dict[int, Any]


def point(
    name: str, value: float, step: int | None, sequence: int, *, writer: str = "w1", source: str | None = None
) -> MetricData:
    return MetricData(
        name, value, iteration=step, timestamp=1000.0 + sequence, source=source, id=(writer, sequence, 0)
    )


def points(first: int, last: int, writer: str = "w1") -> list[MetricData]:
    return [point("loss", n / 8, n, n, writer=writer) for n in range(first, last)]


def log_dir(run: Any) -> Path:
    return run.dir.parents[1] / "tensorboard"  # the run's data folder is not called .tracelet


def values_in(folder: Path, state: bool = False) -> Iterator[Found]:
    """Read the files with a decoder of the wire format; the tests with TensorBoard's own are in tests/backends."""
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        check_framing(path)
        if not state and (writer_of(path.name) or "")[0] == "0-run":
            continue
        first = True
        for data in read_events(path):
            event = dict(protobuf.fields(data))
            assert first == (3 in event), "a file begins with its version"
            first = False
            if 5 not in event:
                continue
            value = dict(protobuf.fields(dict(protobuf.fields(event[5]))[1]))
            step = event.get(2, 0)
            yield Found(
                path.parent.relative_to(folder).as_posix(),
                value[1].decode(),
                step - (step >> 63 << 64),
                struct.unpack("<d", event[1])[0],
                struct.unpack("<f", value[2])[0] if 2 in value else value,
                dict(protobuf.fields(event.get(protobuf.EXTRA, b""))),
            )


def check_framing(path: Path) -> None:
    data, at = path.read_bytes(), 0
    while at < len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        assert struct.unpack_from("<I", data, at + 8)[0] == crc32c.masked_crc(data[at : at + 8])
        body = data[at + 12 : at + 12 + size]
        if len(data) < at + 16 + size:
            return  # cut off
        assert struct.unpack_from("<I", data, at + 12 + size)[0] == crc32c.masked_crc(body)
        at += 16 + size


def scalars(folder: Path, tag: str = "loss") -> list[tuple[str, int, float]]:
    return [
        (found.folder, found.step, found.value)
        for found in values_in(folder)
        if found.tag == tag and isinstance(found.value, float)
    ]


def steps_of(run: Any, tag: str = "loss") -> list[int]:
    return sorted(step for _, step, _ in scalars(log_dir(run), tag))


def texts(folder: Path) -> dict[str, str]:
    found = {}
    for each in values_in(folder, state=True):
        if isinstance(each.value, dict) and 8 in each.value:
            tensor = dict(protobuf.fields(each.value[8]))
            if 8 in tensor:
                found[each.tag] = tensor[8].decode()
    return found


def test_a_point_and_all_that_is_known_of_it(started: Any, run: SimpleNamespace) -> None:
    hooks = started(TensorBoardBackend())
    hooks.run_started(run=run)
    hooks.log_metrics(points=[point("train/loss", 0.1, 7, 42), point("a/b", 0.5, None, 43)], run=run)
    first, second = values_in(log_dir(run))
    assert first[:4] == (f"digits-{run.id}", "train/loss", 7, 1042.0)
    assert first.value == struct.unpack("<f", struct.pack("<f", 0.1))[0]
    assert first.extra == {1: 42, 3: struct.pack("<d", 0.1)}  # the exact value
    assert second[1:5] == ("a/b", 0, 1043.0, 0.5)
    assert second.extra == {1: 43, 6: 1}  # exact as float32, and without a step
    (path,) = log_dir(run).rglob("events*.w1.*")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_special_values_are_kept(started: Any, run: SimpleNamespace, precision: str) -> None:
    given = [math.nan, math.inf, -math.inf, -0.0, 1e300, -1e300, 5e-324, 123456789.1]
    hooks = started(TensorBoardBackend(), precision=precision)
    hooks.log_metrics(points=[point("x", value, n, n) for n, value in enumerate(given)], run=run)
    exact = []
    for found in values_in(log_dir(run)):
        if precision == "float64":
            (data,) = struct.unpack("<d", dict(protobuf.fields(found.value[8]))[4])
        else:
            data = struct.unpack("<d", found.extra[3])[0] if 3 in found.extra else found.value
        exact.append(data)
    assert list(map(repr, exact)) == list(map(repr, given))
    if precision == "float32":
        shown = [found.value for found in values_in(log_dir(run))]
        assert shown[4:7] == [math.inf, -math.inf, 0.0]


def test_no_point_is_preempted_by_one_that_repeats_a_step(started: Any, run: SimpleNamespace) -> None:
    hooks = started(TensorBoardBackend())
    given = [0, 1, 2, 5, 3, 3, 4, -7, -7, 6, 5]
    hooks.log_metrics(points=[point("loss", step, step, n) for n, step in enumerate(given)], run=run)
    found = scalars(log_dir(run))
    assert sorted(step for _, step, _ in found) == sorted(given)
    assert all(step == value for _, step, value in found)
    for folder in {folder for folder, _, _ in found}:
        steps = [step for where, step, _ in found if where == folder]
        assert steps == sorted(set(steps))
    assert [step for folder, step, _ in found if folder == f"digits-{run.id}"] == [0, 1, 2, 5, 6]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(-3, 6)), max_size=40), st.data())
def test_any_steps_in_any_batches_with_restarts_in_between(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int | None]], data: Any
) -> None:
    folder = tmp_path_factory.mktemp("series")
    batch = [point(name, n, step, n) for n, (name, step) in enumerate(steps)]
    whole = WriterSeries(folder / "whole", "w1", 1.0)
    whole.append_points(batch)
    at = 0
    parts = WriterSeries(folder / "parts", "w1", 1.0)
    while at < len(batch):
        count = data.draw(st.integers(1, 9))
        parts.append_points(batch[max(0, at - 3) : at + count])  # with some that were delivered before
        at += count
        if data.draw(st.booleans()):
            parts = WriterSeries(folder / "parts", "w1", 1.0)
    expected = list(values_in(folder / "whole"))
    assert sorted(values_in(folder / "parts"), key=str) == sorted(expected, key=str)
    assert len(expected) == len(batch)


def test_steps_that_repeat_without_end_go_to_the_last_folder(tmp_path: Path) -> None:
    series = WriterSeries(tmp_path, "w1", 1.0)
    series.append_points([point("loss", n, 0, n) for n in range(LANES + 20)])
    assert len(scalars(tmp_path)) == LANES + 20
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == LANES - 1


def test_a_batch_that_comes_again_is_written_once(started: Any, run: SimpleNamespace) -> None:
    hooks = started(TensorBoardBackend())
    hooks.log_metrics(points=points(0, 10), run=run)
    hooks.log_metrics(points=points(5, 15), run=run)
    assert steps_of(run) == list(range(15))
    hooks.start()  # as after a restart: only the files know now
    hooks.log_metrics(points=points(0, 20) + points(19, 21), run=run)
    assert steps_of(run) == list(range(21))
    assert hooks.get_status() == {
        "folder": str(log_dir(run) / f"digits-{run.id}"),
        "written": 6,
        "repeats_skipped": 16,
    }


def test_a_whole_run_that_comes_again_is_written_once(tmp_path: Path) -> None:
    batch = points(0, 40_000)
    WriterSeries(tmp_path, "w1", 1.0).append_points(batch)
    series = WriterSeries(tmp_path, "w1", 1.0)
    assert series.append_points(batch) == 0
    assert (
        series.append_points([point("loss", 0.0, 7, 2**60)]) == 1
    )  # a sequence from somebody else's journal
    assert len(scalars(tmp_path)) == 40_001


def test_the_columns_of_a_row_are_no_repeats(started: Any, run: SimpleNamespace) -> None:
    row = [MetricData(name, 1.0, iteration=9, id=("w1", 9, column)) for column, name in enumerate("abc")]
    hooks = started(TensorBoardBackend())
    hooks.log_metrics(points=row[:2], run=run)
    hooks.start()
    hooks.log_metrics(points=row, run=run)
    assert sorted(found.tag for found in values_in(log_dir(run))) == ["a", "b", "c"]


def test_each_writer_has_its_folder_and_finds_it_again(started: Any, run: SimpleNamespace) -> None:
    hooks = started(TensorBoardBackend())
    for turn in range(3):
        for writer in ("w1", "w2", "w3"):
            hooks.log_metrics(points=points(turn * 5, turn * 5 + 5, writer), run=run)
        hooks.start()
    found = scalars(log_dir(run))
    base = f"digits-{run.id}"
    assert {folder for folder, _, _ in found} == {base, f"{base}/writer-2", f"{base}/writer-3"}
    assert sorted(found) == sorted(
        (folder, step, step / 8)
        for folder in (base, f"{base}/writer-2", f"{base}/writer-3")
        for step in range(15)
    )
    mixed = [each for pair in zip(points(15, 18), points(15, 18, "w2"), strict=True) for each in pair]
    hooks.log_metrics(points=mixed, run=run)
    assert len(scalars(log_dir(run))) == 45 + 6


def test_a_renamed_run_keeps_its_folder(started: Any, run: SimpleNamespace) -> None:
    hooks = started(TensorBoardBackend())
    hooks.log_metrics(points=points(0, 2), run=run)
    run.name = "numbers"
    hooks.run_changed(run=run, changes={"name": "numbers", "notes": "a second try"})
    hooks.start()
    hooks.log_metrics(points=points(2, 4), run=run)
    assert [path.name for path in log_dir(run).iterdir()] == [f"digits-{run.id}"]
    assert "| name | numbers |" in texts(log_dir(run))["tracelet/run"]
    assert "| notes | a second try |" in texts(log_dir(run))["tracelet/run"]


def test_runs_whose_ids_end_alike_stay_apart(started: Any, run: SimpleNamespace) -> None:
    other = SimpleNamespace(**{**vars(run), "id": run.id[-6:], "name": "other"})
    hooks = started(TensorBoardBackend())
    hooks.log_metrics(points=points(0, 2), run=run)
    hooks.log_metrics(points=points(0, 3), run=other)
    hooks.log_metrics(points=points(2, 4), run=run)
    counts = [len(scalars(folder)) for folder in sorted(log_dir(run).iterdir())]
    assert sorted(counts) == [3, 4]


def test_parameters_tags_and_the_outcome_are_the_latest_ones(started: Any, run: SimpleNamespace) -> None:
    hooks = started(TensorBoardBackend())
    hooks.log_params(params={"lr": 0.1, "layers": [2, 3]}, run=run)
    hooks.set_tags(tags={"team": "vision"}, run=run)
    hooks.start()
    hooks.log_params(params={"lr": 0.2, "a|b": "x\ny"}, run=run)
    hooks.log_metrics(points=points(0, 3), run=run)
    hooks.run_ended(run=run, outcome="finished")
    (folder,) = log_dir(run).iterdir()
    state = json.loads((folder / "tracelet.json").read_text())
    assert state["params"] == {"lr": 0.2, "layers": [2, 3], "a|b": "x\ny"}
    assert state["tags"] == {"team": "vision"}
    assert (state["outcome"], state["ended_at"]) == ("finished", run.started_at)
    shown = texts(folder)
    assert shown["tracelet/params"].split("\n")[2:] == [
        "| lr | 0.2 |",
        "| layers | [2, 3] |",
        "| a\\|b | x<br>y |",
    ]
    hparams = [found.tag for found in values_in(folder, state=True) if found.tag.startswith("_hparams_")]
    assert hparams == ["_hparams_/session_start_info", "_hparams_/session_end_info"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    hooks.log_params(params={"lr": 0.2}, run=run)  # delivered again
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    names = sorted(path.name for path in folder.glob("events*"))
    assert writer_of(names[0]) == ("0-run", 1)
    assert writer_of(names[1]) == ("w1", 1)


def test_a_damaged_state_is_begun_again(started: Any, run: SimpleNamespace) -> None:
    hooks = started(TensorBoardBackend())
    hooks.log_params(params={"lr": 0.1}, run=run)
    (folder,) = log_dir(run).iterdir()
    for damage in (b"", b"[]", b'{"params": 3', b"\xff\xfe", b"{}", b'{"params": 5, "run": []}'):
        (folder / "tracelet.json").write_bytes(damage)
        hooks.log_params(params={"depth": 3}, run=run)
        assert json.loads((folder / "tracelet.json").read_text())["params"] == {"depth": 3}
        assert "| depth | 3 |" in texts(folder)["tracelet/params"]


def test_media_of_each_kind(started: Any, run: SimpleNamespace, tmp_path: Path) -> None:
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 5, 4, 8, 2, 0, 0, 0)
    files = {
        "image": png,
        "text": "# héllo".encode(),
        "table": json.dumps({"columns": ["a"], "rows": [[1], ["x|y"]]}).encode(),
        "histogram": json.dumps({"edges": [0, 1, 3], "counts": [2, 4], "count": 6, "not_finite": 0}).encode(),
        "figure": b'{"data": []}',
        "confusion_matrix": json.dumps({"labels": ["cat", "dog"], "matrix": [[3, 1], [0, 2]]}).encode(),
        "mesh": b"ply\n",
        "audio": wav(),
    }
    hooks = started(TensorBoardBackend())
    for sequence, (kind, data) in enumerate(files.items()):
        path = run.dir / "media" / kind
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        call = {"name": f"m/{kind}", "step": 4, "kind": kind, "path": str(path), "run": run}
        for _ in range(2):  # the second is a repeat
            hooks.log_media(metadata={"timestamp": 77.0}, id=("w1", sequence, 0), **call)
    found = {each.tag: each for each in values_in(log_dir(run))}
    assert {(each.step, each.time) for each in found.values()} == {(4, 77.0)}
    assert len(list(values_in(log_dir(run)))) == len(files)
    assert dict(protobuf.fields(found["m/image"].value[4])) == {1: 4, 2: 5, 3: 3, 4: png}
    histogram = dict(protobuf.fields(found["m/histogram"].value[5]))
    assert struct.unpack("<3d", histogram[6]) == (0.0, 1.0, 3.0)
    assert struct.unpack("<3d", histogram[7]) == (0.0, 2.0, 4.0)
    assert struct.unpack("<d", histogram[4]) == (2 * 0.5 + 4 * 2.0,)
    sound = dict(protobuf.fields(found["m/audio"].value[6]))
    assert (struct.unpack("<f", sound[1])[0], sound[2], sound[3]) == (8000.0, 1, 4)
    shown = texts(log_dir(run))
    assert shown["m/text"] == "# héllo"
    assert shown["m/table"] == "| a |\n| --- |\n| 1 |\n| x\\|y |"
    assert shown["m/figure"] == "figure: `media/figure` (12 bytes)"
    assert shown["m/confusion_matrix"].split("\n")[2] == "| cat | 3 | 1 |"
    assert shown["m/mesh"] == "mesh: `media/mesh` (4 bytes)"


def wav() -> bytes:
    data = struct.pack("<4h", 0, 100, 0, -100)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    return (
        b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVE" + form + struct.pack("<4sI", b"data", 8) + data
    )


@pytest.mark.parametrize("kind", ["table", "histogram", "confusion_matrix", "image", "audio"])
@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[1]", b'{"edges": [1], "counts": [1, 2]}', b"RIFF....WAVE", b"\x89PNG\r\n\x1a\n"]
)
def test_a_damaged_medium_becomes_a_text(tmp_path: Path, kind: str, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert media.load_medium(kind, path, "media/file").kind in ("text", "histograms")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_size_of_an_image(form: str, mode: str) -> None:
    image = pytest.importorskip("PIL.Image")
    import io

    file = io.BytesIO()
    image.new(mode, (37, 21)).save(file, form)
    width, height, channels = media.image_size(file.getvalue()) or (0, 0, 0)
    assert (width, height) == (37, 21)
    assert channels == (1 if mode == "L" and form in ("PNG", "JPEG") else 3)


def test_one_name_for_several_kinds_and_sources(started: Any, run: SimpleNamespace) -> None:
    path = run.dir / "note.txt"
    path.write_text("hello")
    hooks = started(TensorBoardBackend())
    for turn in range(2):
        more = 100 * turn
        hooks.log_metrics(points=[point("cpu", 1.0, 1 + more, 1 + more)], run=run)
        hooks.log_metrics(points=[point("cpu", 2.0, 2 + more, 2 + more, source="system")], run=run)
        hooks.log_metrics(points=[point("cpu@system", 3.0, 3 + more, 3 + more)], run=run)
        hooks.log_media(
            name="cpu",
            step=4 + more,
            kind="text",
            path=str(path),
            metadata={},
            run=run,
            id=("w1", 4 + more, 0),
        )
        hooks.start()
    found: dict[str, list[Found]] = {}
    for each in values_in(log_dir(run)):
        found.setdefault(each.tag, []).append(each)
    assert sorted(len(each) for each in found.values()) == [2, 2, 2, 2]
    assert [each.value for each in found["cpu"]] == [1.0, 1.0]
    assert [each.value for each in found["cpu@system"]] == [2.0, 2.0]
    assert found["cpu@system"][0].extra[4] == b"system"
    assert found["cpu@system"][0].extra[5] == b"cpu"
    assert "cpu/text" in found


def test_artifacts_are_listed(started: Any, run: SimpleNamespace) -> None:
    hooks = started(TensorBoardBackend())
    for sequence, name in enumerate(["model.pt", "a`b.txt"]):
        local = str(run.dir / "artifacts" / name)
        hooks.log_artifact(local_path=local, artifact_path="models", run=run, id=("w1", sequence, 0))
    found = [each for each in values_in(log_dir(run)) if each.tag == "tracelet/artifacts"]
    assert [each.step for each in found] == [0, 1]
    assert texts(log_dir(run))["tracelet/artifacts"] == "`artifacts/a'b.txt` in `models`"


def test_a_file_cut_at_any_byte_stays_readable_and_is_continued(tmp_path: Path) -> None:
    WriterSeries(tmp_path / "whole", "w1", 1.0).append_points(points(0, 3))
    (path,) = (tmp_path / "whole").iterdir()
    whole = path.read_bytes()
    last = whole.rindex(path.read_bytes()[-66:-40])
    for number, torn in enumerate([*(whole[:cut] for cut in range(last, len(whole))), whole + bytes(40)]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / path.name).write_bytes(torn)
        WriterSeries(folder, "w1", 1.0).append_points(points(0, 5))
        assert sorted(step for _, step, _ in scalars_whole(folder)) == [0, 1, 2, 3, 4]
        assert len(list(folder.iterdir())) == 2


def scalars_whole(folder: Path) -> list[tuple[str, int, float]]:
    """Read files whose end may be damaged."""
    found = []
    for path in sorted(folder.iterdir()):
        for data in read_events(path):
            event = dict(protobuf.fields(data))
            if 5 in event:
                found.append((path.name, event.get(2, 0), 0.0))
    return found


PROGRAM = """
    import sys, types
    from pathlib import Path
    from tracelet_builtin_plugins.backends.tensorboard import TensorBoardBackend
    from tracelet_hookspecs import MetricData

    folder, writer = Path(sys.argv[1]), sys.argv[2]
    run = types.SimpleNamespace(id=folder.name, name="digits", project="p", dir=folder, started_at=1.0)
    backend = TensorBoardBackend()
    backend.initialize({})
    backend.start()

    def batch(number, size=300):
        steps = range(number * size, (number + 1) * size)
        return [MetricData("loss", n / 8, iteration=n, timestamp=1000.0 + n, id=(writer, n, 0)) for n in steps]
"""


def program(body: str) -> str:
    return textwrap.dedent(PROGRAM) + textwrap.dedent(body)


def test_a_killed_process_leaves_what_it_had_accepted(started: Any, run: SimpleNamespace) -> None:
    endless = program("""
        for number in range(1000000):
            backend.log_metrics(batch(number), run)
            print(number, flush=True)
    """)
    argv = [sys.executable, "-c", endless, str(run.dir), "w1"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(20):
            process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        accepted = 20 + len(process.stdout.read().split())
    assert steps_of(run)[: accepted * 300] == list(range(accepted * 300))
    # The host delivers again what it does not know to have been accepted.
    started(TensorBoardBackend()).log_metrics(
        points=points((accepted - 1) * 300, (accepted + 2) * 300), run=run
    )
    assert steps_of(run) == list(range((accepted + 2) * 300))


def test_a_full_disk_leaves_no_part_of_a_batch(started: Any, run: SimpleNamespace) -> None:
    hooks = started(TensorBoardBackend())
    hooks.log_metrics(points=points(0, 10), run=run)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (path,) = log_dir(run).rglob("events*.w1.*")
    size = path.stat().st_size
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
        with pytest.raises(OSError, match="File too large"):
            hooks.log_metrics(points=points(10, 40), run=run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert path.stat().st_size == size
    hooks.log_metrics(points=points(10, 40), run=run)
    assert steps_of(run) == list(range(40))


def test_the_folder_may_be_moved_away(started: Any, run: SimpleNamespace) -> None:
    hooks = started(TensorBoardBackend())
    hooks.log_metrics(points=points(0, 2), run=run)
    log_dir(run).rename(log_dir(run).with_name("old"))
    hooks.log_metrics(points=points(2, 4), run=run)
    hooks.log_params(params={"lr": 0.1}, run=run)
    assert steps_of(run) == [2, 3]


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    file = EventFile(tmp_path / "runs", "w1", 1.0)
    file.append(b"")
    (path,) = (tmp_path / "runs").iterdir()
    path.unlink()
    path.symlink_to(precious)
    file.append(b"")
    assert precious.read_text() == "mine"
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.parametrize("run_id", ["../../outside", "/etc", "..", "a\0b", "\ud800", "x" * 500])
def test_an_id_of_somebody_elses_run_stays_in_the_log_directory(
    started: Any, run: SimpleNamespace, run_id: str
) -> None:
    run.id = run.name = run_id
    hooks = started(TensorBoardBackend())
    hooks.log_metrics(points=[point("loss", 1.0, 1, 1, writer="../w")], run=run)
    hooks.log_params(params={"lr": 0.1}, run=run)
    hooks.start()
    hooks.log_metrics(points=[point("loss", 1.0, 2, 2, writer="../w")], run=run)
    assert len(list(log_dir(run).iterdir())) == 1
    assert steps_of(run) == [1, 2]


def test_where_the_log_directory_is(started: Any, run: SimpleNamespace, tmp_path: Path) -> None:
    run.dir = tmp_path / "project" / ".tracelet" / "runs" / run.id
    for path, expected in (
        ("runs", tmp_path / "project" / "runs"),
        ("logs/tb", tmp_path / "project" / "logs" / "tb"),
        (str(tmp_path / "all"), tmp_path / "all"),
    ):
        started(TensorBoardBackend(), log_dir=path).log_metrics(points=points(0, 1), run=run)
        assert len(scalars(expected / f"digits-{run.id}")) == 1


def test_mistakes_in_the_configuration() -> None:
    plugin = TensorBoardBackend()
    with pytest.raises(
        ValueError, match=r"plugins\.tensorboard\.log_dir: expected a directory, found an empty"
    ):
        plugin.initialize({"log_dir": ""})
    with pytest.raises(ValueError, match="expected 'float32' or 'float64', found 'float16'"):
        plugin.initialize({"precision": "float16"})


def test_without_a_run_nothing_can_be_written(started: Any) -> None:
    plugin: Any = TensorBoardBackend()
    started(plugin)
    with pytest.raises(RuntimeError, match="no run is known"):
        plugin.log_metric("loss", 0.5, 1)


def test_single_points_and_the_run_known_from_its_start(started: Any, run: SimpleNamespace) -> None:
    plugin: Any = TensorBoardBackend()
    hooks = started(plugin)
    hooks.run_started(run=run)
    hooks.log_metric(name="loss", value=0.5, iteration=3, timestamp=1.0, run=run)
    plugin.receive_metric(MetricData("acc", 0.9, iteration=4))
    plugin.receive_metric(MetricData("lr", 0.1, MetricType.PARAMETER))
    assert {found.tag for found in values_in(log_dir(run), state=True)} >= {"loss", "acc", "tracelet/params"}


def test_fsync_changes_nothing_but_the_guarantee(started: Any, run: SimpleNamespace) -> None:
    hooks = started(TensorBoardBackend(), fsync=True)
    hooks.log_metrics(points=points(0, 3), run=run)
    hooks.log_params(params={"lr": 0.1}, run=run)
    assert steps_of(run) == [0, 1, 2]
    assert not [name for name in os.listdir(log_dir(run) / f"digits-{run.id}") if name.endswith(".part")]
