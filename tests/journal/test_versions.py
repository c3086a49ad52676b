"""Files of a version that is not known yet: left out with a word on it, while all else stays readable."""

from __future__ import annotations

import logging
import re
import subprocess
import sys

import pytest

import tracelet
from tracelet.journal import Cursor, Damage, compact, liveness, read_columns, read_events
from tracelet.journal.format import COMPACTED_MAGIC, MAGIC, VERSION, pack_header, unpack_header

NEWER = VERSION + 1
WORDS = rf"expected journal version {VERSION}, found version {NEWER}: .* newer tracelet .* upgrade"


def make_newer(file):
    """Make a file as a later tracelet may write it."""
    data = file.read_bytes()
    magic = MAGIC if file.suffix == ".trj" else COMPACTED_MAGIC
    info = unpack_header(data, magic)
    file.write_bytes(pack_header(info._replace(version=NEWER), magic) + bytes(range(256)) * 64)


def file_of(journal, writer):
    (file,) = [file for file in journal.files() if file.name.startswith(writer.id)]
    return file


@pytest.fixture(params=["plain", "compacted"])
def mixed(journal, request):
    """A run of which one of three processes wrote with a newer tracelet."""
    for place in range(3):
        with journal.writer({"rank": place}) as writer:
            writer.point("a", place, place)
    if request.param == "compacted":
        compact(journal.run_dir)
    make_newer(file_of(journal, journal.open[1]))
    return journal


def test_the_rest_of_the_run_is_read(mixed, caplog):
    damage = Damage()
    assert mixed.values("a", damage=damage) == mixed.values("a", numpy=False) == [0, 2]
    assert damage.counts == {"version": 1}
    damage = Damage()
    assert {
        event.payload["id"] for event in read_events(mixed.run_dir, damage=damage) if event.type == "writer"
    } == {
        mixed.open[0].id,
        mixed.open[2].id,
    }
    assert damage.counts == {"version": 1}


def test_who_where_and_what_to_do_is_told_once(mixed, caplog):
    with caplog.at_level(logging.WARNING, "tracelet.journal"):
        for _ in range(3):
            read_columns(mixed.run_dir)
            mixed.records(mixed.open[1].id)
    (told,) = caplog.messages
    assert str(file_of(mixed, mixed.open[1])) in told
    assert re.search(WORDS, told)


def test_a_follower_waits_where_it_stands(mixed):
    damage = Damage()
    newer = mixed.open[1].id
    assert mixed.records(newer, damage) == []
    assert damage.counts == {"version": 1}
    follower = mixed.follow(newer, Cursor(3))
    assert follower.read() == []
    assert follower.cursor == Cursor(3)  # for a reader that knows more
    assert liveness(mixed.run_dir, newer) == "ended"


def test_it_is_not_compacted(mixed):
    newer = mixed.open[1]
    before = file_of(mixed, newer).read_bytes()
    left = compact(mixed.run_dir).left
    assert list(left) == [newer.id]
    assert re.search(WORDS, left[newer.id])
    assert file_of(mixed, newer).read_bytes() == before


def test_a_version_that_is_damaged_is_no_other_version(journal):
    writer = journal.writer()
    writer.point("a", 1)
    writer.close()
    (file,) = journal.files()
    data = bytearray(file.read_bytes())
    data[8] ^= 2
    file.write_bytes(data)
    damage = Damage()
    assert journal.values("a", damage=damage) == [1]
    assert damage.counts == {"header": 1}


@pytest.mark.parametrize("whole", [True, False], ids=["a whole run", "one process of two"])
def test_the_store_and_the_command_line_say_so(tmp_path, whole):
    with tracelet.start_run(
        "made later", dir=tmp_path, plugins=["no:system", "no:environment", "no:gpu"]
    ) as run:
        run.log_metric("loss", 0.5, 0)
    if not whole:
        tracelet.journal.Writer(run.dir, {}).close()
    make_newer(min((run.dir / "journal").iterdir()))
    record = tracelet.open_store(tmp_path).run(run.id)
    assert record.outcome == "unreadable" if whole else "finished"
    assert "newer tracelet" in record.problem
    assert record.damage == {"version": 1}
    shown = subprocess.run(
        [sys.executable, "-m", "tracelet", "show", run.id],
        env={"TRACELET_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in shown.stderr
    assert "upgrade" in shown.stdout + shown.stderr
    assert "damaged" not in shown.stdout + shown.stderr
