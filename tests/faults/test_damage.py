"""Any byte of a journal damaged, or cut off anywhere: what is whole is kept, what is gone is counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.journal.conftest import Journal

from tracelet.journal import Damage, PointRecord, read_columns
from tracelet.journal.format import HEADER, SLOT
from tracelet.journal.segments.pieces import piece_at

LONG = int(os.environ.get("TRACELET_TEST_EFFORT", "1"))  # times as many examples


class Victim:
    """A small journal of every kind of record, and which of its points each of its bytes belongs to."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder)
        writer = self.journal.writer({"run": {"id": "r"}})
        for step in range(2):
            writer.point("loss", step + 0.5, step)
            writer.row({"acc": step + 0.25, "lr": 1e-3, "zero": 0.0, "ü": 2.0, "five": 5.0}, step)
            writer.event("params", {"params": {"text": "x" * 40 * step}})
            writer.point("cpu", 7, step, type="system", source="me")
        writer.close("finished")
        (self.file,) = self.journal.files()
        self.data = self.file.read_bytes()
        self.records = self.journal.records()
        slots = [piece_at(self.data[HEADER:], record.seq, record.seq).slots for record in self.records]
        self.ends = {r.seq: r.seq + size for r, size in zip(self.records, slots, strict=True)}

    def read(self, data: bytes):
        with self.file.open("r+b") as file:  # cutting it to nothing first would have the disk wait each time
            file.write(data)
            file.truncate()
        damage = Damage()
        return self.journal.records(damage=damage), damage

    def columns(self, numpy: bool):
        damage = Damage()
        columns = read_columns(self.journal.run_dir, numpy=numpy, damage=damage)
        return sorted(zip_columns(columns)), damage


def zip_columns(columns):
    return [
        (name, int(step), float(time), float(value))
        for name, column in columns.items()
        for step, time, value in zip(column.steps, column.times, column.values, strict=True)
    ]


@pytest.fixture
def victim(tmp_path):
    return Victim(tmp_path / "run")


def assert_only_lost(victim, found, lost_slots):
    """All records are there but those that have one of the slots that were lost; none is made up."""
    lost = {
        record.seq
        for record in victim.records
        if any(record.seq <= slot < victim.ends[record.seq] for slot in lost_slots)
    }
    wanted = [record for record in victim.records if record.seq not in lost]
    assert nameless([record for record in found if record.seq not in lost]) == nameless(wanted)
    assert set(nameless(found)) <= set(nameless(victim.records))
    names = {record.name for record in found if isinstance(record, PointRecord)}
    assert all(name in "loss acc lr zero ü five cpu" or name.startswith("unnamed") for name in names)


def nameless(records):
    """What is compared where the names may be lost too."""
    return [
        (record.seq, record.index, record.step, record.time, record.value)
        if isinstance(record, PointRecord)
        else (record.seq, record.type, repr(record.payload), record.time)
        for record in records
    ]


def test_a_flip_of_any_byte_costs_one_record_at_most(victim):
    for place in range(len(victim.data)):
        flipped = bytearray(victim.data)
        flipped[place] ^= 0xFF
        found, damage = victim.read(bytes(flipped))
        if place < HEADER:
            assert found == victim.records
            assert damage.counts == ({"header": 1} if place < 56 else {})
            continue
        slot = (place - HEADER) // SLOT
        assert_only_lost(victim, found, [slot])
        hit = len(found) < len(victim.records)
        assert bool(damage) >= hit
        points = sorted((p.name, p.step, p.time, p.value) for p in found if isinstance(p, PointRecord))
        columns, damage = victim.columns(numpy=place % 2 == 0)
        assert columns == points
        assert bool(damage) >= hit


def test_truncation_at_any_byte_keeps_what_is_whole(victim):
    for size in range(len(victim.data)):
        found, _ = victim.read(victim.data[:size])
        end, padded = max(0, size - HEADER) // SLOT, -(-max(0, size - HEADER) // SLOT)
        assert found[: len(found)] == victim.records[: len(found)]
        assert {r.seq for r in found} >= {r.seq for r in victim.records if victim.ends[r.seq] <= end}
        assert all(victim.ends[record.seq] <= padded for record in found)
        points = sorted((p.name, p.step, p.time, p.value) for p in found if isinstance(p, PointRecord))
        columns, damage = victim.columns(numpy=size % 2 == 0)
        assert columns == points
        assert damage or found == victim.records


@settings(max_examples=60 * LONG, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_damage_is_survived(victim, data):
    """Stretches of noise, zeros, copies of other places: what is whole is kept, nothing is made up."""
    damaged = bytearray(victim.data)
    hit = set()
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(HEADER, len(damaged) - 1))
        size = data.draw(st.integers(1, 200))
        stop = min(start + size, len(damaged))
        source = data.draw(st.integers(0, len(damaged) - (stop - start)))
        noise = st.binary(min_size=stop - start, max_size=stop - start)
        choice = data.draw(st.sampled_from(["noise", "zeros", "copy"]))
        fresh = {"zeros": bytes(stop - start), "copy": victim.data[source : source + stop - start]}
        damaged[start:stop] = fresh.get(choice) or data.draw(noise)
        hit |= {(place - HEADER) // SLOT for place in range(start, stop)}
    found, _ = victim.read(bytes(damaged))
    assert_only_lost(victim, found, hit)
    points = sorted((p.name, p.step, p.time, p.value) for p in found if isinstance(p, PointRecord))
    for numpy in (True, False):
        assert victim.columns(numpy)[0] == points


def test_names_survive_the_damage_of_their_event(victim):
    """A name is recorded once more before long, so that one damaged byte cannot cost a metric its name."""
    place = victim.data.index(b'"loss"')
    damaged = bytearray(victim.data)
    damaged[place] ^= 1
    found, damage = victim.read(bytes(damaged))
    assert found == victim.records
    assert damage.counts["torn"] > 0
    assert "unnamed" not in damage.counts


def test_points_survive_the_loss_of_their_name(victim):
    damaged = bytearray(victim.data)
    place = damaged.find(b'"loss"')
    while place >= 0:
        damaged[place] ^= 1
        place = damaged.find(b'"loss"')
    found, damage = victim.read(bytes(damaged))
    assert [(p.step, p.value) for p in found if getattr(p, "name", "") == "unnamed-1"] == [(0, 0.5), (1, 1.5)]
    assert damage.counts["unnamed"] == 1
    for numpy in (True, False):
        assert victim.columns(numpy)[1].counts["unnamed"] == 1
