"""Packed runs come back bit for bit, and a packed file from a stranger does no harm."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.errors import StoreError, UsageError
from tracelet.journal import compact
from tracelet.safe_files import walk_files
from tracelet.store import open_store
from tracelet.store.packing import is_pack, pack, unpack
from tracelet.store.packing.layout import LEFT_OUT, OPENING


def contents(run_dir):
    """Return every file of a run that is packed, by its path."""
    return {
        path: (run_dir / path).read_bytes()
        for path in walk_files(run_dir)
        if path.partition("/")[0] not in LEFT_OUT
    }


@pytest.fixture
def packed(records, tmp_path):
    """Return a packed file with two runs, one of them compacted and edited, with an artifact."""
    folder = records.run(
        "a", {"loss": [1.0, float("nan"), 0.5]}, params={"lr": 0.1}, tags={"</script>": "<b>"}
    )
    (folder / "artifacts" / "model").mkdir(parents=True)
    (folder / "artifacts" / "model" / "weights.bin").write_bytes(os.urandom(200_000))
    (folder / "delivery").mkdir()
    (folder / "delivery" / "mlflow.json").write_text("{}")
    compact(records.run("b", {"acc": [0.1 * step for step in range(1000)]}))
    records.store().edit("b", name="</script><script>alert(1)</script>", notes="<!-- <script>")
    pack(records.store().runs(sort="id"), tmp_path / "runs.html")
    return tmp_path / "runs.html"


def test_runs_come_back_bit_for_bit(records, packed, tmp_path):
    assert is_pack(packed)
    restored = unpack(packed, tmp_path / "restored")
    assert [run.id for run in restored] == ["a", "b"]
    for run in restored:
        original = contents(records.folder(run.id))
        assert contents(run.dir) == original
        assert (run.files, run.size) == (len(original), sum(map(len, original.values())))
    store = open_store(tmp_path / "restored")
    assert [run.name for run in store.runs(sort="id")] == ["a", "</script><script>alert(1)</script>"]
    assert not (tmp_path / "restored" / "runs" / "a" / "delivery").exists()  # it belongs to the machine


def test_the_page_cannot_be_broken_out_of(packed):
    text = packed.read_text(encoding="ascii")
    assert len(re.findall("<script", text)) == len(re.findall("</script>", text)) == 3
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text.partition("<style>")[0]
    view = json.loads(re.search(r'id="tracelet-view">(.*?)</script>', text)[1])
    assert view["runs"][1]["name"] == "</script><script>alert(1)</script>"
    assert "http" not in re.sub(r"http-equiv", "", text.partition('id="tracelet-view"')[0])


NAMES = st.text(
    st.characters(blacklist_characters="/\0\\", blacklist_categories=["Cs"]), min_size=1, max_size=20
)
FILES = st.dictionaries(
    NAMES.filter(lambda name: name not in (".", "..")), st.binary(max_size=3000), max_size=4
)


@settings(max_examples=25, deadline=None)
@given(files=FILES, values=st.lists(st.floats(), max_size=20))
def test_any_file_comes_back(files, values, tmp_path_factory):
    from tests.store.conftest import Records

    base = tmp_path_factory.mktemp("pack")
    (base / ".tracelet").mkdir()
    records = Records(base / ".tracelet")
    folder = records.run("r", {"x": values})
    (folder / "artifacts").mkdir()
    for name, data in files.items():
        (folder / "artifacts" / name).write_bytes(data)
    pack([records.store().run("r")], base / "r.html")
    [run] = unpack(base / "r.html", base / "again")
    assert contents(run.dir) == contents(folder)


def test_a_live_run_is_packed_as_it_is_now(records, tmp_path):
    writer = records.start("r")
    for step in range(100):
        writer.point("loss", float(step), step)
    packed = pack([records.store().run("r")], tmp_path / "r.html")
    writer.point("loss", 100.0, 100)
    assert packed.size < 100_000  # the room that the journal reserves takes next to nothing
    unpack(packed.file, tmp_path / "again")
    assert open_store(tmp_path / "again").run("r").metric("loss").values == [
        float(step) for step in range(100)
    ]


def test_files_that_are_none_are_left_out(records, tmp_path):
    folder = records.run("r")
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "artifacts" / "pipe")
    packed = pack([records.store().run("r")], tmp_path / "r.html")
    assert packed.files == 1
    assert b"root:" not in base64.b64encode(packed.file.read_bytes())


def test_artifacts_may_stay_out(records, tmp_path):
    folder = records.run("r")
    (folder / "artifacts").mkdir()
    (folder / "artifacts" / "big").write_bytes(os.urandom(100_000))
    packed = pack([records.store().run("r")], tmp_path / "r.html", artifacts=False)
    assert (packed.files, packed.size < 60_000) == (1, True)


def test_progress_is_reported_up_to_the_end(records, tmp_path):
    records.run("r", {"x": [1.0] * 1000})
    seen, back = [], []
    packed = pack([records.store().run("r")], tmp_path / "r.html", progress=lambda *one: seen.append(one))
    unpack(packed.file, tmp_path / "again", progress=lambda *one: back.append(one))
    assert seen[-1] == back[-1] == (packed.original, packed.original)


def test_mistakes(records, tmp_path):
    records.run("r")
    with pytest.raises(UsageError, match="expected 1 to"):
        pack([], tmp_path / "r.html")
    with pytest.raises(StoreError, match="cannot be written"):
        pack([records.store().run("r")], tmp_path / "no" / "r.html")
    (records.folder("broken") / "journal").mkdir(parents=True)
    os.utime(records.folder("broken"), (0, 0))
    with pytest.raises(StoreError, match="cannot be packed"):
        pack([records.store().run("broken")], tmp_path / "r.html")
    assert [file.name for file in tmp_path.iterdir() if "html" in file.name] == []


# --- files of strangers --------------------------------------------------------------------------------------


def forge(file, lines):
    """Write a packed file by hand."""
    text, digest = [], hashlib.sha256()
    for line in lines:
        if isinstance(line, dict) and "end" in line:
            line["sha256"] = digest.hexdigest()
        text.append(line if isinstance(line, str) else json.dumps(line))
        if not isinstance(line, str):
            digest.update(f"{text[-1]}\n".encode())
    file.write_text("<!doctype html>\n" + "\n".join([OPENING, "tracelet-pack 1", *text, "</script>"]) + "\n")
    return file


def one_file(path, data, *, size=None, sha256=None, declared=None, run="r"):
    """Return the lines of a packed file with one file in it."""
    end = {"size": len(data) if size is None else size, "sha256": sha256 or hashlib.sha256(data).hexdigest()}
    head = {"runs": ["r"], "files": 1, "size": len(data) if declared is None else declared}
    return [
        head,
        {"run": run, "path": path},
        base64.b64encode(zlib.compress(data)).decode(),
        end,
        {"end": True},
    ]


BAD_PATHS = [
    "../evil",
    "/evil",
    "a/../../evil",
    "a/./b",
    "",
    "a\0b",
    "a\\..\\b",
    "delivery/x.json",
    "a//b",
    "/".join("a" * 70),
    5,
    None,
    "..",
]


@pytest.mark.parametrize("path", BAD_PATHS, ids=repr)
def test_a_path_that_leads_out_is_refused(tmp_path, path):
    with pytest.raises(StoreError, match="expected the path of a file"):
        unpack(forge(tmp_path / "x.html", one_file(path, b"evil")), tmp_path / "data")
    assert not (tmp_path / "evil").exists()
    assert not list((tmp_path / "data").rglob("*evil*"))


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([{"runs": ["../r"], "size": 0}, {"end": True}], "no list of runs"),
        ([{"runs": ["r", "r"], "size": 0}, {"end": True}], "no list of runs"),
        ([{"runs": "r", "size": 0}, {"end": True}], "no list of runs"),
        ([{"runs": ["r"], "size": -1}, {"end": True}], "a number of bytes, found -1"),
        ([{"runs": ["r"], "size": 1 << 61}, {"end": True}], "has room for"),
        ([{"runs": ["r"], "size": 0}], "cut short|in place of a JSON object"),
        (["[1]"], "in place of a JSON object"),
        (["[" * 100_000], "in place of a JSON object"),
        (one_file("journal/x", b"data", run="other"), "not in its list"),
        (one_file("journal/x", b"data", sha256="0" * 64), "other content of 'journal/x'"),
        (one_file("journal/x", b"data", size=3), "other content of 'journal/x'"),
        (one_file("journal/x", b"data", sha256="x"), "a SHA-256"),
        (one_file("journal/x", b"\0" * 5_000_000, declared=10), "more data than it says"),
        ([{"runs": ["r"], "size": 9}, {"run": "r", "path": "a"}, "!!!", {"end": True}], "in place of base64"),
        ([{"runs": ["r"], "size": 9}, {"run": "r", "path": "a"}, "AAAA", {"end": True}], "damaged data"),
    ],
)
def test_a_file_that_lies_is_refused(tmp_path, lines, text):
    with pytest.raises(StoreError, match=text):
        unpack(forge(tmp_path / "x.html", lines), tmp_path / "data")


def test_a_file_twice_is_refused(tmp_path):
    lines = one_file("journal/x", b"one", declared=100)
    with pytest.raises(StoreError, match="cannot be restored"):
        unpack(forge(tmp_path / "x.html", [*lines[:4], *lines[1:]]), tmp_path / "data")


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_short_is_refused(packed, tmp_path, cut):
    data = packed.read_bytes()
    (tmp_path / "cut.html").write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(StoreError, match="expected a file made by 'tracelet pack'"):
        unpack(tmp_path / "cut.html", tmp_path / "data")


@settings(max_examples=30, deadline=None)
@given(place=st.floats(0, 1), byte=st.integers(0, 255))
def test_damage_is_found_or_harmless(place, byte, tmp_path_factory):
    """A changed byte in the packed data is never restored as if it were right."""
    from tests.store.conftest import Records

    base = tmp_path_factory.mktemp("damage")
    (base / ".tracelet").mkdir()
    folder = Records(base / ".tracelet").run("r", {"x": [1.0, 2.0]})
    pack([open_store(base / ".tracelet").run("r")], base / "r.html")
    data = bytearray((base / "r.html").read_bytes())
    start = data.index(b"\n{", data.index(OPENING.encode()))
    data[start + int((len(data) - start - 1) * place)] = byte
    (base / "r.html").write_bytes(data)
    try:
        restored = unpack(base / "r.html", base / "again")
    except StoreError:
        return
    for run in restored:
        assert contents(run.dir) == contents(folder)


@pytest.mark.parametrize("text", ["", "<!doctype html><p>a page", "x" * 3_000_000, "\xff" * 10])
def test_other_files_are_no_packed_runs(tmp_path, text):
    file = tmp_path / "x.html"
    file.write_text(text, encoding="latin-1")
    assert not is_pack(file)
    with pytest.raises(StoreError, match="expected a file made by 'tracelet pack'"):
        unpack(file, tmp_path / "data")
    assert not is_pack(tmp_path)
    assert not is_pack(tmp_path / "nothing")


def test_a_newer_format_is_named(tmp_path):
    file = forge(tmp_path / "x.html", [])
    file.write_text(file.read_text().replace("tracelet-pack 1", "tracelet-pack 7"))
    with pytest.raises(StoreError, match="newer tracelet"):
        unpack(file, tmp_path / "data")
    assert Path(file).exists()
