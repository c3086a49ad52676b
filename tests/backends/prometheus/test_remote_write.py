"""Points in a real Prometheus: all of them, with their own times, and what it refuses left out with a reason."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backend_servers import Prometheus, wait_until

import tracelet
from tracelet.core.plugins import MetricData, MetricType

pytest.importorskip("cramjam", reason="needs cramjam: pip install 'tracelet[prometheus]'")

OFF = ["no:system", "no:environment", "no:gpu"]
NOW = float(
    int(time.time())
)  # Prometheus refuses what is older than about an hour, so tests write the present


def point(
    at: int, name: str = "loss", value: float | None = None, writer: str = "w", **more: Any
) -> MetricData:
    number = float(at) if value is None else value
    fields = {"iteration": at, "timestamp": NOW + at / 1000, "id": (writer, at, 0), **more}
    return MetricData(name, number, **fields)


def test_a_run_with_all_its_points_and_steps(tmp_path: Path, prometheus_server: Any) -> None:
    url = f"{prometheus_server.url}/api/v1/write"
    settings = {"plugins": {"prometheus": {"remote_write_url": url, "labels": {"team": "vision"}}}}
    with tracelet.start_run(
        "digits", project="p", dir=tmp_path, plugins=OFF, config=settings, strict="all"
    ) as run:
        for step in range(200):
            run.log({"train/loss": 1 / (step + 1), "acc": step / 200}, step=step)
            time.sleep(0.002)
        assert run.flush(timeout=30)
        assert run.status()["plugins"]["prometheus"]["status"]["left_out"] == {}
    series = tracelet.open_store(tmp_path).run(run.id).metric("train/loss")
    selector = f'{{run="{run.id}",metric="train/loss",team="vision",project="p",job="tracelet"}}'
    [values] = prometheus_server.samples(f"train_loss{selector}", time.time()).values()
    assert [value for _, value in values] == list(series.values)
    assert [when for when, _ in values] == pytest.approx(list(series.timestamps), abs=0.00051)
    [steps] = prometheus_server.samples(f'train_loss_step{{run="{run.id}"}}', time.time()).values()
    assert [value for _, value in steps] == list(range(200))
    assert [when for when, _ in steps] == [when for when, _ in values]
    [info] = prometheus_server.query(f'last_over_time(tracelet_run_info{{run="{run.id}"}}[1h])', time.time())
    assert info["metric"]["name"] == "digits"


def test_values_that_are_no_ordinary_numbers(plugin: Any, view: Any, prometheus_server: Any) -> None:
    values = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2]
    plugin.log_metrics([point(at, value=value) for at, value in enumerate(values)], run=view)
    [found] = prometheus_server.samples(f'loss{{run="{view.id}"}}', NOW + 1).values()
    assert [repr(value) for _, value in found] == [repr(value) for value in values]


def test_names_that_look_the_same_afterwards_stay_apart(
    plugin: Any, view: Any, prometheus_server: Any
) -> None:
    names = [
        "a/b",
        "a.b",
        "a_b",
        "a b",
        "a_b_step",
        "1a",
        "_1a",
        "é",
        "\U0001f600",
        "",
        "_",
        "x" * 1000,
        "\ud800",
        "tracelet_run_info",
    ]
    points = [
        MetricData(name, float(at), iteration=at, timestamp=NOW, id=("w", at, 0))
        for at, name in enumerate(names)
    ]
    plugin.log_metrics(points, run=view)
    found = prometheus_server.query(f'{{run="{view.id}",step_of="",name=""}}', NOW)
    assert sorted(float(one["value"][1]) for one in found) == list(range(len(names)))
    steps = prometheus_server.query(f'{{run="{view.id}",step_of!=""}}', NOW)
    assert sorted(float(one["value"][1]) for one in steps) == list(range(len(names)))
    kept = {one["metric"].get("metric", one["metric"]["__name__"]) for one in found}
    assert {name for name in names if name and name != "\ud800"} <= kept


def test_sources_kinds_and_writers_are_series_of_their_own(
    plugin: Any, view: Any, prometheus_server: Any
) -> None:
    plugin.log_metrics(
        [
            point(0, writer="a"),
            point(0, writer="b"),
            point(0, writer="a", source="probe", id=("a", 0, 1)),
            point(0, writer="a", type=MetricType.SYSTEM, id=("a", 0, 2)),
        ],
        run=view,
    )
    found = prometheus_server.query(f'loss{{run="{view.id}"}}', NOW)
    keys = ("writer", "source", "kind")
    assert sorted([one["metric"].get(key, "") for key in keys] for one in found) == [
        ["a", "", ""],
        ["a", "", "system"],
        ["a", "probe", ""],
        ["b", "", ""],
    ]


def test_points_that_are_not_after_the_last_one_follow_it_by_a_millisecond(
    plugin: Any, view: Any, prometheus_server: Any
) -> None:
    close = [point(at, value=float(at), timestamp=NOW + at * 1e-5) for at in range(5)]
    plugin.log_metrics(close, run=view)
    plugin.log_metrics([point(5, timestamp=NOW + 0.001), point(6, timestamp=NOW - 30), point(20)], run=view)
    [found] = prometheus_server.samples(f'loss{{run="{view.id}"}}', NOW + 1).values()
    assert [value for _, value in found] == [*range(7), 20]
    assert [round((when - NOW) * 1000) for when, _ in found] == [*range(7), 20]
    [steps] = prometheus_server.samples(f'loss_step{{run="{view.id}"}}', NOW + 1).values()
    assert steps == found
    assert plugin.get_status() == {"sent": 8, "left_out": {}}


def test_a_batch_delivered_again_within_a_process_is_recognized(
    plugin: Any, view: Any, prometheus_server: Any
) -> None:
    close = [point(at, value=float(at), timestamp=NOW + at * 1e-5) for at in range(50)]
    for first, last in ((0, 40), (0, 40), (20, 50), (0, 50)):
        plugin.log_metrics(close[first:last], run=view)
    [found] = prometheus_server.samples(f'loss{{run="{view.id}"}}', NOW + 1).values()
    assert [value for _, value in found] == list(range(50))
    assert plugin.get_status() == {"sent": 50, "left_out": {}}


@pytest.mark.parametrize("size", [20, 200])
@pytest.mark.parametrize("behind", [0, 1, 2, 3])
def test_a_process_after_a_crash_gives_points_the_same_times(
    start: Callable[..., Any], view: Any, prometheus_server: Any, behind: int, size: int
) -> None:
    url = f"{prometheus_server.url}/api/v1/write"
    close = [
        point(at, name, value=float(at), timestamp=NOW + at * 1e-5, id=("w", at, index))
        for at in range(120)
        for index, name in enumerate(["a", "b/c"])
    ]
    one = start(remote_write_url=url)
    for first in range(0, 180, 60):
        one.log_metrics(close[first : first + 60], run=view)
    other = start(remote_write_url=url)  # delivery continues some batches before the end, with others
    for first in range(180 - 60 * behind, 240, size):
        other.log_metrics(close[first : first + size], run=view)
    for name in ("a", "b_c"):
        [found] = prometheus_server.samples(f'{name}{{run="{view.id}"}}', NOW + 1).values()
        assert [value for _, value in found] == list(range(120))


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b"[[0, 0], [9, 9], [[1]]]",
        b"\xff" * 100,
        "folder",
        "link",
    ],
)
def test_a_damaged_note_of_times_is_as_good_as_none(
    start: Callable[..., Any], view: Any, prometheus_server: Any, damage: bytes | str
) -> None:
    url = f"{prometheus_server.url}/api/v1/write"
    start(remote_write_url=url).log_metrics([point(0)], run=view)
    file = view.dir / "prometheus" / "w.jsonl"
    file.unlink()
    precious = view.dir / "precious"
    precious.write_text("mine")
    if damage == "folder":
        file.mkdir()
    elif damage == "link":
        file.symlink_to(precious)
    else:
        file.write_bytes(damage)
    start(remote_write_url=url).log_metrics([point(5)], run=view)
    [found] = prometheus_server.samples(f'loss{{run="{view.id}"}}', NOW + 1).values()
    assert [value for _, value in found] == [0.0, 5.0]
    assert precious.read_text() == "mine"


def test_a_clock_that_was_set_back_by_minutes(plugin: Any, view: Any, prometheus_server: Any) -> None:
    plugin.log_metrics([point(0), point(1, timestamp=NOW - 120)], run=view)
    plugin.log_metrics([point(2, timestamp=NOW - 119), point(3)], run=view)
    [found] = prometheus_server.samples(f'loss{{run="{view.id}"}}', NOW + 1).values()
    assert [value for _, value in found] == [0.0, 3.0]
    assert plugin.get_status() == {"sent": 2, "left_out": {"older_than_last": 2}}


def rows(count: int, names: str) -> list[MetricData]:
    return [point(at, name, id=("w", at, index)) for at in range(count) for index, name in enumerate(names)]


@pytest.mark.parametrize("count", [40, 500])
def test_a_batch_delivered_again_after_a_crash_is_stored_once(
    start: Callable[..., Any], view: Any, prometheus_server: Any, count: int
) -> None:
    url = f"{prometheus_server.url}/api/v1/write"
    start(remote_write_url=url).log_metrics([point(at) for at in range(count)], run=view)
    again = start(remote_write_url=url)  # a new process knows nothing of the last one's
    again.log_metrics([point(at) for at in range(count - 10, count)], run=view)
    again.log_metrics([point(at) for at in range(count, count + 30)], run=view)
    [found] = prometheus_server.samples(f'loss{{run="{view.id}"}}', NOW + 10).values()
    assert [value for _, value in found] == list(range(count + 30))
    assert again.get_status()["left_out"]["out_of_order_or_repeated"] in (9, 10)


def test_a_redelivered_batch_that_is_partly_there_loses_nothing(
    start: Callable[..., Any], view: Any, prometheus_server: Any
) -> None:
    url = f"{prometheus_server.url}/api/v1/write"
    start(remote_write_url=url).log_metrics(rows(33, "ab"), run=view)
    again = start(remote_write_url=url)
    again.log_metrics(rows(60, "abc"), run=view)
    for name in "abc":
        [found] = prometheus_server.samples(f'{name}{{run="{view.id}"}}', NOW + 1).values()
        assert [value for _, value in found] == list(range(60)), name


def test_a_large_batch_that_is_there_already_takes_few_requests(
    start: Callable[..., Any], view: Any, prometheus_server: Any
) -> None:
    url = f"{prometheus_server.url}/api/v1/write"
    start(remote_write_url=url).log_metrics([point(at) for at in range(4000)], run=view)
    again = start(remote_write_url=url)
    began = time.monotonic()
    again.log_metrics([point(at) for at in range(4000)], run=view)
    assert time.monotonic() - began < 10
    [found] = prometheus_server.samples(f'loss{{run="{view.id}"}}', NOW + 10).values()
    assert len(found) == 4000


def test_points_too_old_are_left_out_with_the_reason(plugin: Any, view: Any, prometheus_server: Any) -> None:
    plugin.log_metrics([point(0, "fresh")], run=view)
    old = [
        MetricData(f"m{at % 50}", 1.0, timestamp=NOW - 10 * 86400 + at, id=("w", 100 + at, 0))
        for at in range(3000)
    ]
    began = time.monotonic()
    plugin.log_metrics([*old, point(5, "fresh")], run=view)
    assert time.monotonic() - began < 10
    plugin.log_metrics([point(6, "fresh"), old[-1]], run=view)
    [found] = prometheus_server.samples(f'fresh{{run="{view.id}"}}', NOW + 1).values()
    assert [value for _, value in found] == [0.0, 5.0, 6.0]
    assert plugin.get_status()["sent"] == 3
    assert sum(plugin.get_status()["left_out"].values()) == 3001
    assert plugin.get_status()["left_out"].keys() <= {
        "too_old",
        "out_of_order_or_repeated",
        "older_than_last",
    }


def test_times_that_prometheus_cannot_have(plugin: Any, view: Any, prometheus_server: Any) -> None:
    odd = [math.nan, math.inf, -math.inf, 1e300, -5.0]
    plugin.log_metrics(
        [*(point(0, timestamp=when, id=("w", 10 + at, 0)) for at, when in enumerate(odd)), point(1)], run=view
    )
    [found] = prometheus_server.samples(f'loss{{run="{view.id}"}}', NOW + 1).values()
    assert [value for _, value in found] == [1.0]
    assert plugin.get_status()["left_out"]["no_time"] == 4
    assert sum(plugin.get_status()["left_out"].values()) == 5


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Any]:
    server = Prometheus(tmp_path / "own")
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_a_killed_server_gets_everything_after_its_restart(tmp_path: Path, own_server: Any) -> None:
    settings = {"plugins": {"prometheus": {"remote_write_url": f"{own_server.url}/api/v1/write"}}}
    with tracelet.start_run("outage", dir=tmp_path / "store", plugins=OFF, config=settings) as run:
        for step in range(100):
            run.log_metric("loss", step, step)
            time.sleep(0.002)
        wait_until(lambda: run.flush(timeout=1), what="the first points")
        own_server.kill()
        for step in range(100, 200):
            run.log_metric("loss", step, step)
            time.sleep(0.002)
        wait_until(lambda: run.status()["delivery"]["prometheus"]["retries"], what="a retry")
        own_server.start()
        for step in range(200, 300):
            run.log_metric("loss", step, step)
            time.sleep(0.002)
        assert run.flush(timeout=60)
        assert not run.status()["delivery"]["prometheus"]["dropped"]
    [found] = own_server.samples(f'loss{{run="{run.id}"}}', time.time()).values()
    assert [value for _, value in found] == list(range(300))


def test_a_server_without_the_receiver_says_what_to_set(
    start: Callable[..., Any], view: Any, own_server: Any
) -> None:
    own_server.stop()
    own_server.is_receiver = False
    own_server.start()
    plugin = start(remote_write_url=f"{own_server.url}/api/v1/write")
    with pytest.raises(ConnectionError, match=r"is --web\.enable-remote-write-receiver set"):
        plugin.log_metrics([point(0)], run=view)


def test_two_processes_of_a_run(project: Any, prometheus_server: Any) -> None:
    project.write(
        "tracelet.toml", f'[plugins.prometheus]\nremote_write_url = "{prometheus_server.url}/api/v1/write"\n'
    )
    project.write(
        "train.py",
        """
        import os, time, tracelet
        off = ["no:system", "no:environment", "no:gpu"]
        with tracelet.start_run("two", run_id=os.environ["RUN"], plugins=off) as run:
            pid = os.fork()
            for step in range(50):
                run.log_metric("loss", step, step)
                time.sleep(0.003)
            if pid:
                os.waitpid(pid, 0)
        """,
    )
    name = f"two-{os.getpid()}-{time.time_ns()}"
    project.python("train.py", environ={"RUN": name})
    project.tracelet("sync")
    found = prometheus_server.samples(f'loss{{run="{name}"}}', time.time())
    assert [[value for _, value in values] for values in found.values()] == [list(range(50))] * 2
