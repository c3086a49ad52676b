"""What TensorBoard cannot hold is mapped by rules that are stable, injective and within its limits."""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.tensorboard import crc32c, mapping, protobuf
from tracelet_builtin_plugins.locations import in_project, project_folder

ANY_TEXT = st.text(st.characters(), max_size=60)


@given(ANY_TEXT)
def test_a_tag_is_the_name_unless_utf8_cannot_hold_it(name: str) -> None:
    tag = mapping.tag_of(name)
    assert tag.encode().decode() == tag != ""
    if name and not any(0xD800 <= ord(letter) <= 0xDFFF for letter in name):
        assert tag == name


@given(st.lists(ANY_TEXT, unique=True, max_size=20))
def test_different_names_have_different_tags(names: list[str]) -> None:
    assert len({mapping.tag_of(name) for name in names}) == len(names)


@given(ANY_TEXT, ANY_TEXT)
def test_a_folder_has_a_safe_name_that_ends_in_the_id(name: str, run_id: str) -> None:
    folder = mapping.folder_name(name, run_id)
    assert 0 < len(folder) <= mapping.LARGEST_NAME + mapping.LARGEST_ID + 1
    assert "/" not in folder
    assert not folder.startswith(".")
    assert "\0" not in folder
    assert folder.endswith(mapping.folder_name("", run_id))
    assert folder.encode()


def test_names_of_folders_as_people_see_them() -> None:
    run_id = "20260101-000000-abcdef"
    assert mapping.folder_name("digits", run_id) == f"digits-{run_id}"
    assert mapping.folder_name("", run_id) == mapping.folder_name(run_id, run_id) == run_id
    assert mapping.folder_name("lr=0.1, big/wide", run_id) == f"lr_0.1_ big_wide-{run_id}"
    assert mapping.folder_name("..", "../../etc").startswith("_")


@given(st.floats())
def test_the_nearest_float32_is_what_numpy_rounds_to(value: float) -> None:
    with numpy.errstate(over="ignore"):
        expected = float(numpy.float32(value))
    found = mapping.nearest_float32(value)
    assert found == expected or (math.isnan(found) and math.isnan(expected))


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | ANY_TEXT
    | st.lists(st.integers() | ANY_TEXT)
    | st.dictionaries(ANY_TEXT, st.floats())
)
def test_a_hyperparameter_is_a_finite_number_a_text_or_a_truth_value(value: object) -> None:
    found = mapping.hparam(value)
    if isinstance(found, str):
        found.encode()
    else:
        assert isinstance(found, bool) or math.isfinite(found)
    if isinstance(value, int) and not isinstance(value, bool):
        assert int(found) == value


@given(
    st.lists(st.lists(ANY_TEXT | st.integers() | st.floats() | st.none(), min_size=2, max_size=2), max_size=5)
)
def test_a_table_has_a_line_for_each_row(rows: list[list[object]]) -> None:
    table = mapping.markdown_table(["a", "b"], rows)
    table.encode()
    assert table.split("\n")[2:] == [line for line in table.split("\n")[2:] if line.startswith("| ")]
    assert table.count("\n") == len(rows) + 1


def test_a_long_table_says_how_long_it_is() -> None:
    table = mapping.markdown_table(["n"], [[n] for n in range(1000)])
    assert "| 199 |" in table
    assert "| 200 |" not in table
    assert table.endswith("1000 rows; the first 200 are shown")


@given(st.binary(max_size=300))
def test_the_checksum_is_that_of_the_definition(data: bytes) -> None:
    table = crc32c.tables()[0]
    crc = 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    assert crc32c.extend(crc32c.EMPTY, data) == crc


def test_the_checksum_of_known_data() -> None:
    # RFC 3720, appendix B.4
    known = {
        b"123456789": 0xE3069283,
        bytes(32): 0x8A9136AA,
        b"\xff" * 32: 0x62A8AB43,
        bytes(range(32)): 0x46DD794E,
    }
    for data, crc in known.items():
        assert crc32c.extend(crc32c.EMPTY, data) ^ 0xFFFFFFFF == crc
    long = bytes(range(256)) * 3000  # more than is unpacked at a time
    state = crc32c.EMPTY
    for start in range(0, len(long), 7):
        state = crc32c.extend(state, long[start : start + 7])
    assert crc32c.extend(crc32c.EMPTY, long) == state


@given(st.integers(-(2**63), 2**64 - 1))
def test_a_number_is_read_as_it_was_written(value: int) -> None:
    data = protobuf.varint(value)
    assert protobuf.read_varint(data, 0) == (value % 2**64, len(data))
    assert len(data) <= 10


@given(st.floats(), st.integers(-(2**63), 2**63 - 1), st.binary(max_size=40), st.binary(max_size=20))
def test_an_event_is_read_as_it_was_written(time: float, step: int, values: bytes, extra: bytes) -> None:
    found = dict(protobuf.fields(protobuf.event(time, step, values, extra)))
    assert found[1] == struct.pack("<d", time)
    assert found.get(2, 0) == step % 2**64
    assert found[5] == values
    assert found.get(protobuf.EXTRA, b"") == extra


@given(st.binary(max_size=30))
def test_a_damaged_message_is_a_value_error(data: bytes) -> None:
    with suppress(ValueError):
        assert all(number >= 0 for number, _ in protobuf.fields(data))


def test_where_a_relative_directory_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    run_dir = tmp_path / "project" / ".tracelet" / "runs" / "r1"
    assert project_folder(run_dir) == tmp_path / "project"
    assert in_project("logs/tb", run_dir) == tmp_path / "project" / "logs" / "tb"
    assert in_project("~/tb", run_dir) == tmp_path / "home" / "tb"
    assert in_project("/data/tb", run_dir) == Path("/data/tb")
    assert project_folder(tmp_path / "data" / "runs" / "r1") == tmp_path / "data"
    assert project_folder(Path("/r1")) == Path("/")
