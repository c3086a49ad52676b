"""The backend ``jsonl``: whole lines, strict JSON, each point once, whatever happens to the process."""

from __future__ import annotations

import fcntl
import json
import math
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.jsonl import JsonlBackend
from tracelet_builtin_plugins.backends.jsonl import file as jsonl_file
from tracelet_hookspecs import MetricData, MetricType
from tracelet_hookspecs.strict_json import to_json


def points(first: int, last: int, writer: str = "w1") -> list[MetricData]:
    return [
        MetricData("loss", n / 8, iteration=n, timestamp=1000.0 + n, id=(writer, n, 0))
        for n in range(first, last)
    ]


def strict(text: str | bytes) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def lines_of(run: Any) -> list[dict[str, Any]]:
    return [strict(line) for line in (run.dir / "events.jsonl").read_bytes().splitlines()]


def steps_of(run: Any) -> list[int]:
    return [line["step"] for line in lines_of(run) if line["type"] == "metric"]


def test_every_kind_of_line(started: Any, run: SimpleNamespace) -> None:
    hooks = started(JsonlBackend())
    hooks.run_started(run=run)
    hooks.log_params(params={"lr": 0.1, "layers": (2, 3)}, run=run)
    hooks.set_tags(tags={"team": "vision"}, run=run)
    (run.dir / "artifacts").mkdir()
    hooks.log_artifact(local_path=str(run.dir / "artifacts" / "model.pt"), artifact_path="models", run=run)
    hooks.log_artifact(local_path="/elsewhere/a.txt", artifact_path=None, run=run)
    point = MetricData(
        "gpu/0/power", 1, MetricType.SYSTEM, timestamp=5.5, source="gpu", metadata={"unit": "W"}
    )
    hooks.log_metrics(points=[point, *points(7, 8)], run=run)
    hooks.run_ended(run=run, outcome="finished")
    start = {"type": "metric", "run": run.id}
    of_gpu = {"name": "gpu/0/power", "value": 1, "time": 5.5, "kind": "system", "source": "gpu"}
    of_program = {"name": "loss", "value": 0.875, "step": 7, "time": 1007.0, "kind": "scalar"}
    assert lines_of(run) == [
        {"type": "run", "run": run.id, "name": "digits", "project": "vision", "time": 1767225600.5},
        {"type": "params", "run": run.id, "params": {"lr": 0.1, "layers": [2, 3]}},
        {"type": "tags", "run": run.id, "tags": {"team": "vision"}},
        {"type": "artifact", "run": run.id, "path": "artifacts/model.pt", "artifact_path": "models"},
        {"type": "artifact", "run": run.id, "path": "/elsewhere/a.txt", "artifact_path": None},
        start | of_gpu | {"metadata": {"unit": "W"}},
        start | of_program | {"id": ["w1", 7, 0]},
        {"type": "end", "run": run.id, "outcome": "finished"},
    ]
    assert stat.S_IMODE((run.dir / "events.jsonl").stat().st_mode) == 0o600


def test_single_points_and_the_run_known_from_its_start(started: Any, run: SimpleNamespace) -> None:
    plugin = JsonlBackend()
    hooks = started(plugin)
    hooks.run_started(run=run)
    hooks.log_metric(name="loss", value=0.5, iteration=3, timestamp=1.0, run=run)
    plugin.receive_metric(MetricData("acc", 0.9, iteration=4))
    plugin.receive_metric(MetricData("lr", 0.1, MetricType.PARAMETER))
    assert [(line["type"], line.get("name")) for line in lines_of(run)[1:]] == [
        ("metric", "loss"),
        ("metric", "acc"),
        ("params", None),
    ]


@given(st.floats())
def test_a_float_comes_back_exactly(value: float) -> None:
    read = float(strict(json.dumps(to_json(value), allow_nan=False)))
    assert (
        math.isnan(read)
        if math.isnan(value)
        else (read, math.copysign(1, read)) == (value, math.copysign(1, value))
    )


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.binary()
        | st.complex_numbers(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner)
        ),
    )
)
def test_anything_at_all_becomes_strict_json(value: Any) -> None:
    strict(json.dumps(to_json(value), allow_nan=False))


def test_special_values_names_and_numpy(started: Any, run: SimpleNamespace) -> None:
    numpy = pytest.importorskip("numpy")
    name = 'a"b\\ä\n\u2028\ud800'
    values = [math.nan, math.inf, -math.inf, numpy.float32(0.5), numpy.int64(3), numpy.array([1.0, math.nan])]
    started(JsonlBackend()).log_metrics(points=[MetricData(name, value) for value in values], run=run)
    assert [line["value"] for line in lines_of(run)] == ["NaN", "Infinity", "-Infinity", 0.5, 3, [1.0, "NaN"]]
    assert {line["name"] for line in lines_of(run)} == {name}


def test_changes_of_the_run_have_a_line(started: Any, run: SimpleNamespace) -> None:
    started(JsonlBackend()).run_changed(run=run, changes={"group": "sweep", "untag": ["old"]}, id=None)
    assert lines_of(run) == [
        {"type": "changed", "run": run.id, "changes": {"group": "sweep", "untag": ["old"]}}
    ]


def test_a_batch_that_comes_again_is_written_once(started: Any, run: SimpleNamespace) -> None:
    hooks = started(JsonlBackend())
    hooks.log_metrics(points=points(0, 10), run=run)
    hooks.log_metrics(points=points(5, 15), run=run)
    assert steps_of(run) == list(range(15))
    hooks.start()  # as after a restart: only the file knows now
    hooks.log_metrics(points=points(0, 20) + points(19, 21), run=run)
    assert steps_of(run) == list(range(21))
    assert hooks.get_status() == {
        "path": str(run.dir / "events.jsonl"),
        "lines": 6,
        "repeats_skipped": 16,
        "torn_bytes_removed": 0,
    }


def test_a_late_point_and_the_columns_of_a_row_are_no_repeats(started: Any, run: SimpleNamespace) -> None:
    hooks = started(JsonlBackend())
    hooks.log_metrics(points=points(5, 9), run=run)
    hooks.log_metrics(points=points(2, 3), run=run)
    row = [MetricData(name, 1.0, iteration=9, id=("w1", 9, column)) for column, name in enumerate("abc")]
    hooks.log_metrics(points=row[:2], run=run)
    hooks.log_metrics(points=row, run=run)
    hooks.log_metrics(points=points(5, 6, writer="w2"), run=run)
    assert [(line["name"], line["step"]) for line in lines_of(run)][4:] == [
        ("loss", 2),
        *(("a", 9), ("b", 9), ("c", 9)),
        ("loss", 5),
    ]


def test_repeats_are_known_from_the_end_of_a_long_file(started: Any, run: SimpleNamespace) -> None:
    hooks = started(JsonlBackend())
    count = 40_000  # more than is remembered, and more bytes than are read back
    for first in range(0, count, 5000):
        hooks.log_metrics(points=points(first, first + 5000), run=run)
    hooks.log_metrics(points=points(count - 4096, count), run=run)
    assert (run.dir / "events.jsonl").stat().st_size > jsonl_file.TAIL
    hooks.start()
    hooks.log_metrics(points=points(count - 4096, count + 1), run=run)
    assert steps_of(run) == list(range(count + 1))


def test_a_line_torn_at_any_byte_is_mended(started: Any, run: SimpleNamespace) -> None:
    hooks = started(JsonlBackend())
    hooks.log_metrics(points=points(0, 3), run=run)
    path = run.dir / "events.jsonl"
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for torn in [whole[:cut] for cut in range(last, len(whole))] + [
        whole[:last] + bytes(40),
        whole[: last + 4] + bytes(4),
    ]:
        path.write_bytes(torn)
        hooks.start()
        hooks.log_metrics(points=points(0, 5), run=run)
        assert steps_of(run) == [0, 1, 2, 3, 4]
        assert hooks.get_status()["torn_bytes_removed"] == len(torn) - last


def test_a_torn_line_longer_than_a_block_and_alone_in_its_file(started: Any, run: SimpleNamespace) -> None:
    path = run.dir / "events.jsonl"
    path.write_bytes(b'{"type":"params","params":{"text":"' + b"x" * 200_000)
    started(JsonlBackend()).log_metrics(points=points(0, 2), run=run)
    assert steps_of(run) == [0, 1]


@pytest.mark.parametrize(
    "content", [b"import torch\n", b"import torch", b'{"type":"run"}\nnotes of mine', b"{}\n"]
)
def test_somebody_elses_file_is_refused_and_left_alone(
    started: Any, run: SimpleNamespace, content: bytes
) -> None:
    path = run.dir / "train.py"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="choose another path"):
        started(JsonlBackend(), path="train.py").log_metrics(points=points(0, 1), run=run)
    assert path.read_bytes() == content


PROGRAM = """
    import json, resource, sys, types
    from pathlib import Path
    from tracelet_builtin_plugins.backends.jsonl import JsonlBackend
    from tracelet_hookspecs import MetricData

    folder, writer, batches, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    run = types.SimpleNamespace(id="r", name="r", project="p", dir=folder, started_at=0.0)
    backend = JsonlBackend()
    backend.initialize({})
    backend.start()

    def batch(number):
        steps = range(number * size, (number + 1) * size)
        return [MetricData("loss", float(n), iteration=n, timestamp=1.0, id=(writer, n, 0)) for n in steps]
"""


def program(body: str) -> str:
    return textwrap.dedent(PROGRAM) + textwrap.dedent(body)


def test_a_killed_process_leaves_what_it_had_handed_over(started: Any, run: SimpleNamespace) -> None:
    endless = program("""
        for number in range(batches):
            backend.log_metrics(batch(number), run)
            print(number, flush=True)
    """)
    argv = [sys.executable, "-c", endless, str(run.dir), "w1", "1000000", "300"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for _ in range(20):
            process.stdout.readline()
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        taken = 20 + len(process.stdout.read().split())
    whole = (run.dir / "events.jsonl").read_bytes().rpartition(b"\n")[0].splitlines()
    assert [strict(line)["step"] for line in whole][: taken * 300] == list(range(taken * 300))
    # The host delivers again what it does not know to have been taken.
    started(JsonlBackend()).log_metrics(points=points((taken - 1) * 300, (taken + 2) * 300), run=run)
    assert steps_of(run) == list(range((taken + 2) * 300))


def test_a_full_disk_takes_back_half_a_batch(run: SimpleNamespace) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program("""
            backend.log_metrics(batch(0), run)
            before = (folder / "events.jsonl").stat().st_size
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (before + 5000, most))
            try:
                backend.log_metrics(batch(1), run)
            except OSError as error:
                print(type(error).__name__, (folder / "events.jsonl").stat().st_size == before)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            backend.log_metrics(batch(1), run)
        """), str(run.dir), "w1", "0", "100"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["OSError", "True"]
    assert steps_of(run) == list(range(200))


def test_processes_take_turns(run: SimpleNamespace) -> None:
    many = program("for number in range(batches): backend.log_metrics(batch(number), run)")
    processes = [
        subprocess.Popen([sys.executable, "-c", many, str(run.dir), f"w{rank}", "40", "50"])
        for rank in range(4)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    lines = lines_of(run)
    for rank in range(4):
        assert [line["step"] for line in lines if line["id"][0] == f"w{rank}"] == list(range(2000))


def test_a_lock_that_somebody_keeps_is_an_error_for_this_batch_only(
    started: Any, run: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl_file, "LOCK_TIMEOUT", 0.1)
    hooks = started(JsonlBackend())
    hooks.log_metrics(points=points(0, 2), run=run)
    with open(run.dir / "events.jsonl") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="held the lock"):
            hooks.log_metrics(points=points(2, 4), run=run)
    hooks.log_metrics(points=points(2, 4), run=run)
    assert steps_of(run) == [0, 1, 2, 3]


def test_the_file_may_be_moved_away(started: Any, run: SimpleNamespace) -> None:
    hooks = started(JsonlBackend())
    hooks.log_metrics(points=points(0, 2), run=run)
    (run.dir / "events.jsonl").rename(run.dir / "events.1")
    hooks.log_metrics(points=points(2, 4), run=run)
    assert steps_of(run) == [2, 3]


def test_where_the_file_lies(
    started: Any, run: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for path, expected in (
        ("logs/points.jsonl", run.dir / "logs/points.jsonl"),
        (f"{tmp_path}/{{project}}/{{run}}.jsonl", tmp_path / "vision" / f"{run.id}.jsonl"),
        ("~/mine.jsonl", tmp_path / "mine.jsonl"),
    ):
        hooks = started(JsonlBackend(), path=path)
        hooks.log_metrics(points=points(0, 1), run=run)
        assert strict(expected.read_bytes())["step"] == 0
        assert hooks.get_status()["path"] == str(expected)


def test_without_a_run_the_path_must_be_absolute(started: Any, tmp_path: Path) -> None:
    plugin: Any = JsonlBackend()
    hooks = started(plugin)
    with pytest.raises(RuntimeError, match=r"plugins\.jsonl\.path: events\.jsonl is relative"):
        plugin.log_metric("loss", 0.5, 1)
    hooks.initialize(config={"path": str(tmp_path / "all.jsonl")})
    plugin.log_metric("loss", 0.5, 1)
    assert strict((tmp_path / "all.jsonl").read_bytes())["run"] is None
    with pytest.raises(ValueError, match="empty string"):
        plugin.initialize({"path": ""})


def test_a_run_that_was_deleted_does_not_come_back(started: Any, run: SimpleNamespace) -> None:
    hooks = started(JsonlBackend())
    os.rmdir(run.dir)
    with pytest.raises(FileNotFoundError, match="the run's folder is gone"):
        hooks.log_metrics(points=points(0, 1), run=run)
    assert not run.dir.exists()


def test_fsync_changes_nothing_but_the_guarantee(started: Any, run: SimpleNamespace) -> None:
    started(JsonlBackend(), fsync=True).log_metrics(points=points(0, 3), run=run)
    assert steps_of(run) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["link", "dangling link", "pipe", "folder", "device", "linked folder"])
def test_only_regular_files_of_the_run_are_written_to(
    started: Any, run: SimpleNamespace, tmp_path: Path, kind: str
) -> None:
    """A run that was copied from somebody else may hold links to any file of ours."""
    precious = tmp_path / "home" / "precious.jsonl"
    precious.parent.mkdir()
    precious.write_text('{"type":"mine"}\n')
    file = run.dir / "sub" / "events.jsonl"
    if kind == "linked folder":
        file.parent.symlink_to(precious.parent)
        file = file.with_name(precious.name)
    else:
        file.parent.mkdir()
    make = {
        "link": lambda: file.symlink_to(precious),
        "dangling link": lambda: file.symlink_to(tmp_path / "home" / "new.txt"),
        "pipe": lambda: os.mkfifo(file),
        "folder": file.mkdir,
        "device": lambda: file.symlink_to("/dev/null"),
    }
    make.get(kind, lambda: None)()
    hooks = started(JsonlBackend(), path=f"sub/{file.name}")
    with pytest.raises(ValueError, match=r"expected a (regular )?file"):
        hooks.log_metrics(points=points(0, 3), run=run)
    assert precious.read_text() == '{"type":"mine"}\n'
    assert [each.name for each in precious.parent.iterdir()] == [precious.name]


def test_a_path_of_the_users_own_may_lead_out_of_the_run(
    started: Any, run: SimpleNamespace, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    for path in ("../all.jsonl", str(tmp_path / "link" / "all.jsonl")):
        hooks = started(JsonlBackend(), path=path)
        hooks.log_metrics(points=points(0, 3), run=run)
    assert len((run.dir.parent / "all.jsonl").read_bytes().splitlines()) == 3
    assert len((tmp_path / "disk" / "all.jsonl").read_bytes().splitlines()) == 3


def test_a_sparse_file_of_a_terabyte_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(jsonl_file.LINE_START)
    os.truncate(path, 1 << 40)
    began = time.monotonic()
    with pytest.raises(ValueError, match="found no end of a line in its last 256 MiB"):
        jsonl_file.JsonlFile(path).append([(None, b"{}\n")])
    assert time.monotonic() - began < 5
    assert path.stat().st_size == 1 << 40
