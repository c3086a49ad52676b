"""Tables as text: wide and long ones, files that grow, and files that do not say what is what."""

from __future__ import annotations

import math
import os
import struct
import time

import pytest

from tracelet.errors import UsageError


def write(folder, name, text, age=60.0):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    os.utime(path, (time.time() - age,) * 2)
    return path


def values(target, run, metric):
    return [(step, struct.unpack("<d", value)[0]) for step, value, _ in target.points(run, metric)]


def test_a_row_per_step(target, tmp_path):
    text = "step,loss,acc,note,time\n0,0.1,nan,hi,1700000000\n1,1e-320,,there,2023-11-14T22:13:21Z\n2.0,-inf,0.5,,\n"
    [result] = target.load(write(tmp_path, "a.csv", text))
    assert (result.format, result.points, result.damage) == ("csv", 5, {"time": 2})
    assert values(target, "a", "loss") == [(0, 0.1), (1, 1e-320), (2, -math.inf)]
    assert math.isnan(values(target, "a", "acc")[0][1])
    assert [when for _, _, when in target.points("a", "loss")][:2] == [1700000000.0, 1700000001.0]
    assert "note" not in target.run("a").metrics()


def test_whole_numbers_that_are_rounded_are_counted(target, tmp_path):
    text = (
        f"step,a\n0,{1 << 53}\n1,{(1 << 53) + 1}\n2,-{(1 << 60) + 2}\n3,1e300\n4,{1 << 60}\n5,{'9' * 400}\n"
    )
    [wide] = target.load(write(tmp_path, "wide.csv", text))
    assert (wide.points, wide.damage) == (6, {"whole numbers beyond 2**53, rounded": 3})
    [long] = target.load(write(tmp_path, "long.csv", f"name,step,value\na,0,{(1 << 53) + 1}\n"))
    assert long.damage == {"whole numbers beyond 2**53, rounded": 1}


def test_a_row_per_point_and_several_runs(target, tmp_path):
    text = "run,metric,step,value\none,loss,1,0.5\ntwo,loss,1,0.25\none,acc,9007199254740993,1\n"
    results = target.load(write(tmp_path, "long.csv", text))
    assert [result.name for result in results] == ["one", "two"]
    assert values(target, "two", "loss") == [(1, 0.25)]
    assert values(target, "one", "acc") == [(9007199254740993, 1.0)]


def test_what_export_writes_can_be_imported(target, tmp_path):
    write(tmp_path, "a.csv", "step,loss\n0,0.1\n1,inf\n")
    target.load(tmp_path / "a.csv")
    from tracelet.store.export_formats import write_csv

    with open(tmp_path / "out.csv", "w", encoding="utf-8", newline="") as file:
        write_csv(target.run("a"), file)
    os.utime(tmp_path / "out.csv", (1, 1))
    target.load(tmp_path / "out.csv")
    assert target.points("out", "loss") == target.points("a", "loss")


def test_a_file_without_times_that_grows(target, tmp_path):
    path = write(tmp_path, "a.csv", "epoch;loss\n0;0,5\n1;0,25\n")
    assert target.load(path)[0].points == 2
    assert target.load(path)[0].points == 0
    write(tmp_path, "a.csv", "epoch;loss\n0;0,5\n1;0,25\n2;0,125\n", age=30.0)
    assert target.load(path)[0].points == 1
    assert values(target, "a", "loss") == [(0, 0.5), (1, 0.25), (2, 0.125)]
    assert len({when for _, _, when in target.points("a", "loss")}) == 1


def test_a_last_line_that_is_still_being_written_waits(target, tmp_path):
    path = write(tmp_path, "a.csv", "step,loss\n0,0.5\n1,0.2", age=0.0)
    [result] = target.load(path)
    assert (result.points, result.damage) == (1, {"rows that are cut off": 1})
    write(tmp_path, "a.csv", "step,loss\n0,0.5\n1,0.25\n", age=0.0)
    assert target.load(path)[0].points == 1
    assert values(target, "a", "loss") == [(0, 0.5), (1, 0.25)]


def test_what_is_no_number_is_counted(target, tmp_path):
    text = "step,loss\n0,0.5\nx,1\n1.5,2\n2,broken\n3,1_000\n99999999999999999999,1\n"
    [result] = target.load(write(tmp_path, "a.csv", text))
    assert result.points == 1
    assert result.damage == {
        "rows without a whole number as the step": 3,
        "cells that are not numbers": 2,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "names of the columns"),
        ("1,2\n3,4\n", "names of the columns, found numbers"),
        ("loss,acc\n1,2\n", "a column with the step"),
        ("step,loss,Loss\n1,2,3\n", "loss twice"),
        ("step\n1\n", "a column for each metric"),
        ("step,name,value,lr\n1,loss,2,3\n", "found both: lr"),
    ],
)
def test_a_file_that_does_not_say_what_is_what(target, tmp_path, text, expected):
    path = write(tmp_path, "a.csv", text)
    with pytest.raises(UsageError, match=expected) as found:
        target.load(path)
    assert str(path) in str(found.value)
    assert not list((target.dir / "runs").glob("*")) if target.dir.exists() else True


def test_a_folder_and_other_names_if_asked_for(target, tmp_path):
    folder = tmp_path / "logs"
    for version in ("version_0", "version_1"):
        (folder / version).mkdir(parents=True)
        write(folder / version, "metrics.csv", "epoch,step,loss\n0,10,0.5\n")
    assert [one.name for one in target.load(folder, "csv")] == ["version_0/metrics", "version_1/metrics"]
    assert values(target, "version_0/metrics", "epoch") == [(10, 0.0)]
    write(tmp_path, "table.txt", "step\tloss\n1\t2\n")
    assert target.load(tmp_path / "table.txt", "csv")[0].points == 1
