"""What the backend ``wandb`` sends is what W&B accepts, and nothing different becomes the same."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.wandb import WandbBackend, mapping
from tracelet_builtin_plugins.backends.wandb.external_run import translate
from tracelet_builtin_plugins.backends.wandb.media import fewer_bins
from tracelet_builtin_plugins.backends.wandb.run_file import RunFile, delivered_in
from tracelet_builtin_plugins.extras import MissingExtraError
from tracelet_hookspecs import MetricData

names = st.text(max_size=200)
ids = st.tuples(st.sampled_from(["w1", "w2"]), st.integers(0, 5), st.integers(0, 3))


@given(one=names, other=names)
@example(one="_a", other="a")
@example(one="step", other="_step")
@example(one="", other="x")
def test_names_are_accepted_and_stay_apart(one: str, other: str) -> None:
    for rule in (mapping.metric_name, mapping.config_key):
        fitted = rule(one)
        assert fitted
        assert not fitted.startswith("_")
        fitted.encode()
        assert (fitted == rule(other)) == (one == other)
    assert mapping.metric_name(one) != "step"
    assert mapping.config_key(one) not in ("tracelet", "tags")


@pytest.mark.parametrize("name", ["loss", "train/loss", "a.b", "größe", "odd (name)!", "steps", "x" * 1000])
def test_ordinary_names_do_not_change(name: str) -> None:
    assert mapping.metric_name(name) == mapping.config_key(name) == name


@given(name=names)
@example(name="a/b/c.bin")
@example(name="x" * 200)
def test_names_of_artifacts_and_files_are_accepted(name: str) -> None:
    assert 0 < len(mapping.artifact_name(name)) <= 128
    assert not set(mapping.artifact_name(name)) & set("/:")
    assert mapping.file_name(name) not in (".", "..", "")


@given(key=names, value=st.none() | st.booleans() | st.text(max_size=90) | st.integers())
def test_tags_are_accepted(key: str, value: Any) -> None:
    assert 0 < len(mapping.tag_text(key, value)) <= 64


def test_tags_say_what_there_is_to_say() -> None:
    assert mapping.tag_text("debug", "") == mapping.tag_text("debug", True) == "debug"
    assert mapping.tag_text("team", "vision") == "team: vision"


@given(st.lists(st.tuples(ids, st.sampled_from("abc")), max_size=30))
def test_rows_have_every_point_once_in_order_and_no_name_twice(given_points: list[Any]) -> None:
    points = [MetricData(name, 1.0, iteration=id[1], timestamp=1.0, id=id) for id, name in given_points]
    rows = list(mapping.rows_of(points))
    assert [point for row in rows for point in row] == points
    for row in rows:
        assert len({point.name for point in row}) == len(row)
        assert len({point.id[:2] for point in row if point.id}) == 1


def test_a_row_has_the_step_as_a_metric_and_the_time_of_the_journal() -> None:
    point = MetricData("a", 0.5, iteration=7, timestamp=12.5, id=("w", 1, 0))
    assert mapping.row_of([point], {"a": "a"}) == {"a": 0.5, "step": 7, "_timestamp": 12.5}
    point.iteration = None
    assert mapping.row_of([point], {"a": "a"}) == {"a": 0.5, "_timestamp": 12.5}


def test_outcomes() -> None:
    found = [mapping.exit_code(name) for name in ("finished", "failed", "killed", "converged")]
    assert found == [0, 1, 255, 0]


@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=3000))
def test_a_histogram_of_many_bins_keeps_its_sum_and_its_range(counts: list[int]) -> None:
    edges = [float(edge) for edge in range(len(counts) + 1)]
    merged, kept = fewer_bins(counts, edges)
    assert len(merged) <= 512
    assert len(kept) == len(merged) + 1
    assert sum(merged) == sum(counts)
    assert (kept[0], kept[-1]) == (0.0, float(len(counts)))
    assert kept == sorted(set(kept))


# --- the run's file ----------------------------------------------------------------------------------------------


def framed(records: list[bytes]) -> bytes:
    """Return records in LevelDB's log format, as wandb writes them."""
    data = bytearray(b":W&B\x01\xbe\x00")
    for record in records:
        rest, first = record, True
        while True:
            left = 32_768 - len(data) % 32_768
            if left < 7:
                data += bytes(left)
                continue
            part, rest = rest[: left - 7], rest[left - 7 :]
            kind = {(True, True): 1, (True, False): 2, (False, True): 4, (False, False): 3}[first, not rest]
            data += struct.pack("<IHB", 0, len(part), kind) + part
            first = False
            if not rest:
                break
    return bytes(data)


@given(sizes=st.lists(st.integers(0, 70_000), max_size=6), cuts=st.lists(st.integers(0, 300_000), max_size=4))
def test_positions_are_found_wherever_blocks_and_reads_cut_the_file(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], cuts: list[int]
) -> None:
    records = []
    for number, size in enumerate(sizes):
        text = mapping.delivered_json({"w" * 32: [number, 0], "other": [number, 1]})
        records.append(b"x" * size + text + b"}")
    data = framed(records)
    path = tmp_path_factory.mktemp("file") / "run-a.wandb"
    file, found = RunFile(path), {}
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        path.write_bytes(data[:cut])
        found.update(file.read_delivered())
    last = len(sizes) - 1
    assert found == ({"w" * 32: [last, 0], "other": [last, 1]} if sizes else {})


def test_a_file_that_is_not_there_yet_has_nothing(tmp_path: Path) -> None:
    assert RunFile(tmp_path / "none").read_delivered() == {}


def test_the_files_of_a_run_are_read_together(tmp_path: Path) -> None:
    for folder, positions in (("offline-run-1-a", {"w": [9, 0]}), ("run-2-a-1", {"w": [5, 0], "v": [1, 1]})):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "run-a.wandb").write_bytes(framed([mapping.delivered_json(positions)]))
    assert delivered_in(tmp_path, "a") == {"w": [9, 0], "v": [1, 1]}
    assert delivered_in(tmp_path, "b") == {}


# --- mistakes ------------------------------------------------------------------------------------------------------


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"plugins\.wandb\.mode: expected one of online, offline, found 'shared'"
    ):
        WandbBackend().initialize({"mode": "shared"})


def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    plugin = WandbBackend()
    plugin.initialize({})
    with pytest.raises(MissingExtraError, match=r"pip install 'tracelet\[wandb\]'"):
        plugin.start()


class CommError(Exception):
    pass


class AuthenticationError(CommError):
    pass


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (CommError("Run initialization has timed out after 20.0 sec"), ConnectionError),
        (AuthenticationError("invalid key"), PermissionError),
        (CommError("returned error 403: permission denied"), PermissionError),
        (TimeoutError("no answer"), ConnectionError),
        (ValueError("not that"), ValueError),
    ],
)
def test_failures_say_what_to_do_about_them(error: Exception, kind: type[Exception]) -> None:
    assert isinstance(translate(error), kind)
