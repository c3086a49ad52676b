"""What readers of event files get: TensorBoard's EventAccumulator, and tbparse."""

from __future__ import annotations

import json
import math
import shutil
import struct
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Read = Callable[[Path], Any]
BASE = "digits-r1"


def points(project: Any, read: Read) -> list[tuple[str, int, str, float]]:
    """Return all scalars of all folders."""
    return sorted(
        (tag, event.step, repr(event.value), event.wall_time)
        for folder in project.folders()
        for reader in [read(folder)]
        for tag in reader.Tags()["scalars"]
        for event in reader.Scalars(tag)
    )


def expected(project: Any) -> list[tuple[str, int, str, float]]:
    """Return what the journal has, as float32."""
    return sorted((tag, step, repr(as_float32(value)), time) for tag, step, value, time in project.journal())


def as_float32(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def test_each_point_is_there_once_with_its_step_and_time(recorded: Any, read: Read) -> None:
    found = points(recorded, read)
    without_step = [each for each in found if each[0] == "no step"]
    assert [each[:3] for each in without_step] == [("no step", 0, "1.0"), ("no step", 1, "2.0")]
    journal = [each for each in expected(recorded) if each[0] != "no step"]
    assert [each for each in found if each[0] != "no step"] == journal
    assert len(found) == 4 * 100 + 5 + 7 + 2 + 1


def test_a_launch_and_a_repeated_step_have_folders_of_their_own(recorded: Any, read: Read) -> None:
    names = [folder.relative_to(recorded.log_dir).as_posix() for folder in recorded.folders()]
    assert names == [BASE, *(f"{BASE}/repeated-{number}" for number in (1, 2, 3)), f"{BASE}/writer-2"]
    first, second = (
        read(recorded.log_dir / name).Scalars("train/loss") for name in (BASE, f"{BASE}/writer-2")
    )
    assert [event.step for event in first] == list(range(100))
    assert [event.step for event in second] == list(range(50, 150))
    for folder in recorded.folders():
        reader = read(folder)
        for tag in reader.Tags()["scalars"]:
            steps = [event.step for event in reader.Scalars(tag)]
            assert steps == sorted(set(steps))


def test_media(recorded: Any, read: Read) -> None:
    reader = read(recorded.log_dir / BASE)
    (image,) = reader.Images("picture")
    (file,) = (recorded.path / ".tracelet" / "runs" / "r1" / "media").glob("picture*")
    assert (image.step, image.width, image.height) == (1, 2, 1)
    assert image.encoded_image_string == file.read_bytes()
    (histogram,) = reader.Histograms("weights")
    value = histogram.histogram_value
    assert (histogram.step, value.min, value.max, value.num) == (2, 0.0, 3.0, 7.0)
    assert sum(value.bucket) == 7
    assert len(value.bucket) == len(value.bucket_limit)
    texts = {tag: text(reader, tag) for tag in ("note", "table", "tracelet/artifacts", "tracelet/tags")}
    assert texts["note"] == "# Title"
    assert texts["table"].split("\n")[2] == "| 1 | x\\|y |"
    assert texts["tracelet/artifacts"] == "`artifacts/train.py`"
    assert texts["tracelet/tags"].split("\n")[2] == "| team | vision |"


def text(reader: Any, tag: str) -> str:
    (event,) = reader.Tensors(tag)
    return event.tensor_proto.string_val[0].decode()


def test_hyperparameters_and_the_outcome(recorded: Any, read: Read) -> None:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    contents = read(recorded.log_dir / BASE).PluginTagToContent("hparams")
    start = HParamsPluginData.FromString(contents["_hparams_/session_start_info"]).session_start_info
    assert start.hparams["lr"].number_value == 0.1
    assert start.hparams["opt"].string_value == "adam"
    end = HParamsPluginData.FromString(contents["_hparams_/session_end_info"]).session_end_info
    assert end.status == 1
    times = [time for _, _, _, time in recorded.journal()]
    assert start.start_time_secs <= min(times)
    assert max(times) == end.end_time_secs


def test_what_tbparse_reads(recorded: Any) -> None:
    tbparse = pytest.importorskip("tbparse")
    reader = tbparse.SummaryReader(str(recorded.log_dir), extra_columns={"dir_name", "wall_time"})
    scalars = reader.scalars
    found = sorted(
        zip(scalars.tag, scalars.step, map(repr, map(float, scalars.value)), scalars.wall_time, strict=True)
    )
    journal = expected(recorded)
    assert [each for each in found if each[0] != "no step"] == [
        each for each in journal if each[0] != "no step"
    ]
    hparams = dict(zip(reader.hparams.tag, reader.hparams.value, strict=True))
    assert hparams == {"lr": 0.1, "opt": "adam"}
    assert "# Title" in list(reader.text.value)
    assert list(reader.histograms.tag) == ["weights"]


def test_float64_as_tensors(fresh: Any, read: Read) -> None:
    from tensorboard.util.tensor_util import make_ndarray

    config = fresh.path / "tracelet.toml"
    config.write_text(
        config.read_text().replace("[plugins.tensorboard]", "[plugins.tensorboard]\nprecision = 'float64'")
    )
    fresh.run("train.py", "0")
    reader = read(fresh.log_dir / BASE)
    assert reader.Tags()["scalars"] == []
    values = [float(make_ndarray(event.tensor_proto)) for event in reader.Tensors("special")]
    assert list(map(repr, values)) == ["nan", "inf", "-inf", "-0.0", "123456789.1"]
    assert reader.SummaryMetadata("special").plugin_data.plugin_name == "scalars"


def test_the_exact_value_is_in_a_field_that_readers_skip(recorded: Any) -> None:
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    paths = sorted((recorded.log_dir / BASE).glob("events*"))
    records = list(RawEventFileLoader(str(paths[-1])).Load())
    (record,) = [each for each in records if Event.FromString(each).step == 4 and b"special" in each]
    assert struct.pack("<d", 123456789.1) in record
    (value,) = Event.FromString(record).summary.value
    assert (value.tag, value.simple_value) == ("special", 123456792.0)


def forget_delivery(project: Any) -> None:
    """Make the host deliver everything again."""
    shutil.rmtree(project.path / ".tracelet" / "runs" / "r1" / "delivery")


def sync(project: Any) -> None:
    project.run("-m", "tracelet", "sync", "r1")


def test_delivered_again_nothing_is_there_twice(fresh: Any, read: Read) -> None:
    fresh.run("train.py", "0")
    fresh.run("train.py", "1")
    before = points(fresh, read)
    sizes = {path: path.stat().st_size for path in fresh.log_dir.rglob("*") if path.is_file()}
    forget_delivery(fresh)
    sync(fresh)
    assert points(fresh, read) == before
    assert {path: path.stat().st_size for path in fresh.log_dir.rglob("*") if path.is_file()} == sizes


def test_a_run_recorded_without_it_is_delivered_later(fresh: Any, recorded: Any, read: Read) -> None:
    fresh.run("-m", "tracelet", "run", "--quiet", "-p", "no:tensorboard", "train.py", "0")
    assert not fresh.log_dir.exists()
    fresh.run("-m", "tracelet", "sync", "-p", "tensorboard", *[path.name for path in runs_of(fresh)])
    assert len(fresh.folders()) == 4
    reader = read(next(fresh.log_dir.iterdir()))
    assert len(reader.Scalars("train/loss")) == 100
    assert reader.Images("picture")


def runs_of(project: Any) -> list[Path]:
    return sorted((project.path / ".tracelet" / "runs").iterdir())


KILLED = """
    import os, signal, sys, time
    import tracelet

    with tracelet.start_run("digits", run_id="r1", resume=len(sys.argv) > 1) as run:
        for step in range(20000):
            run.log_metric("loss", step, step)
        if len(sys.argv) == 1:
            time.sleep(0.2)  # some of it is delivered by now
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_killed_then_resumed(fresh: Any, read: Read, isolation: str) -> None:
    (fresh.path / "killed.py").write_text(textwrap.dedent(KILLED))
    config = fresh.path / "tracelet.toml"
    config.write_text(
        config.read_text().replace(
            "[plugins.tensorboard]", f"[plugins.tensorboard]\nisolation = '{isolation}'"
        )
    )
    fresh.run("killed.py", status=-9)
    fresh.run("killed.py", "again")
    sync(fresh)
    assert [folder.name for folder in fresh.folders()] == [BASE, "writer-2"]
    for folder in fresh.folders():
        events = read(folder).Scalars("loss")
        assert [event.step for event in events] == [event.value for event in events] == list(range(20000))


def test_a_file_that_is_cut_off_is_read_up_to_there(fresh: Any, read: Read) -> None:
    fresh.run("train.py", "0")
    folder = fresh.log_dir / BASE
    path = max(folder.glob("events*"))
    whole = len(read(folder).Scalars("train/loss"))
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)
    assert 0 < len(read(folder).Scalars("train/loss")) <= whole
    forget_delivery(fresh)
    sync(fresh)
    assert points(fresh, read) == sorted(set(points(fresh, read)))
    events = read(folder).Scalars("train/loss")
    assert [event.step for event in events] == list(range(100))


def test_two_ranks_at_once(fresh: Any, read: Read) -> None:
    (fresh.path / "rank.py").write_text(
        textwrap.dedent("""
            import os, sys
            import tracelet
            with tracelet.start_run("digits", strict="all") as run:
                for step in range(500):
                    run.log_metric("loss", step + 1000 * int(os.environ["RANK"]), step)
        """)
    )
    launcher = textwrap.dedent("""
        import os, subprocess, sys
        job = {"WORLD_SIZE": "2", "TRACELET_RUN_ID": "r1", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
        ranks = [subprocess.Popen([sys.executable, "rank.py"], env={**os.environ, **job, "RANK": str(rank),
                 "LOCAL_RANK": str(rank)}) for rank in range(2)]
        sys.exit(max(rank.wait() for rank in ranks))
    """)
    config = fresh.path / "tracelet.toml"
    config.write_text("ranks = 'all'\n" + config.read_text())
    fresh.run("-c", launcher)
    sync(fresh)
    found = {}
    for folder in fresh.folders():
        events = read(folder).Scalars("loss")
        found[events[0].value] = [event.value for event in events]
    assert found == {0.0: list(range(500)), 1000.0: list(range(1000, 1500))}
    state = json.loads((fresh.log_dir / BASE / "tracelet.json").read_text())
    assert state["run"]["id"] == "r1"
    assert not math.isnan(state["ended_at"])
