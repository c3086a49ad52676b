"""Each row of the tables of docs/recording.md is what a run does."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import re
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from tests.run.conftest import read

import tracelet

PAGE = (Path(__file__).parents[2] / "docs" / "recording.md").read_text()
QUIET = ["no:system", "no:environment", "no:gpu"]


class Kind(str, Enum):
    TEXT = "text"


Kind.__module__ = "tests"


class Level(IntEnum):
    HIGH = 3


class Pair(NamedTuple):
    x: int
    y: int


@dataclass
class Settings:
    lr: float


class Raises:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("no text")


def contains_itself() -> dict[str, Any]:
    values: dict[str, Any] = {"lr": 1}
    values["me"] = values
    return values


def encoded(format: str) -> bytes:
    file = io.BytesIO()
    NAMES["Image"].new("RGB", (5, 4)).save(file, format=format)
    return file.getvalue()


try:
    from PIL import Image
except ImportError:
    Image = None
NAMES: dict[str, Any] = {
    **{
        one.__name__: one
        for one in (datetime, timedelta, Decimal, Fraction, Path, Kind, Level, Pair, Settings, Raises)
    },
    "io": io,
    "np": np,
    "pd": pd,
    "Image": Image,
    "Namespace": argparse.Namespace,
    "contains_itself": contains_itself,
    "encoded": encoded,
}


def spans(cell: str) -> list[str]:
    """Return the code of a cell, without that of remarks in parentheses."""
    found, depth = [], 0
    for part in re.split(r"(`[^`]+`)", cell):
        if part.startswith("`"):
            found += [part.strip("`")] if depth == 0 else []
        else:
            depth += part.count("(") - part.count(")")
    return found


def rows(section: str) -> list[tuple[str, str]]:
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    assert text, section
    lines = [line.strip("| ").split(" | ") for line in text[1].splitlines() if line.startswith("|")]
    return [(first, rest) for first, rest in lines[2:]]


def cases(section: str) -> list[Any]:
    """Return (input, outcome) of each input of each row."""
    found = []
    for first, outcome in rows(section):
        for at, code in enumerate(inputs := spans(first)):
            found.append(pytest.param(code, at, len(inputs), outcome, id=f"{code[:50]}"))
    assert found, section
    return found


def reason(outcome: str) -> str | None:
    """Return why the input is left out, if it is."""
    found = re.search(r"left out(?: of a row)?: ([^;]+)", outcome)
    return found[1].strip() if found else None


def same(found: Any, expected: Any) -> bool:
    return found == expected or (found != found and expected != expected)


@pytest.mark.parametrize(("code", "at", "inputs", "outcome"), cases("Metrics"))
def test_metrics(run, strict, code, at, inputs, outcome):
    value = eval(code, {**NAMES})
    why = reason(outcome)
    if why is None:
        expected = eval(spans(outcome)[at], {"nan": math.nan, "inf": math.inf})
        run.log_metric("one", value, step=1)
        run.log({"two": value}, step=1)
        run.log({"three": value, "beside": 1}, step=1)
        record = read(run)
        for name in ("one", "two", "three"):
            [number] = record.metric(name).values
            assert same(number, expected)
            assert math.copysign(1, number) == math.copysign(1, expected)
        assert run.status()["dropped"] == {}
        return
    if "`log_metric` raises" in outcome:
        with pytest.raises(tracelet.RecordingError, match="metric 'one'"):
            run.log_metric("one", value, step=1)
    else:
        run.log_metric("one", value, step=1)
        run.log({"two": value}, step=1)
    run.log({"three": value, "beside": 1}, step=1)
    assert set(run.status()["dropped"]) == {why}
    assert read(run).metrics() == ["beside"]
    with pytest.raises(tracelet.RecordingError, match="metric 'three'"):
        strict.log({"three": value, "beside": 1}, step=1)
    assert read(strict).metrics() == ["beside"]


def test_a_rounded_number_is_reported_once(run, caplog):
    for step in range(3):
        run.log_metric("id", 2**53 + 1, step)
        run.log({"id": 2**53 + 1, "exact": 2**53}, step=step)
    [warning] = [record.getMessage() for record in caplog.records]
    assert "9007199254740993 is recorded as 9007199254740992" in warning


@pytest.mark.parametrize(("code", "at", "inputs", "outcome"), cases("Parameters"))
def test_parameters(run, strict, code, at, inputs, outcome):
    value = eval(code, {**NAMES})
    if outcome == "raises":
        with pytest.raises(tracelet.RecordingError, match="expected a mapping"):
            run.log_params(value)
        return
    run.log_params(value)
    assert read(run).params == eval(spans(outcome)[at], {})
    why = reason(outcome)
    assert set(run.status()["dropped"]) == ({why} if why else set())
    if why:
        with pytest.raises(tracelet.RecordingError, match="parameter"):
            strict.log_params(eval(code, {**NAMES}))
        assert read(strict).params == read(run).params


@pytest.mark.parametrize(("code", "at", "inputs", "outcome"), cases("Tags"))
def test_tags(run, code, at, inputs, outcome):
    value = eval(code, {**NAMES})
    if outcome == "raises":
        with pytest.raises(tracelet.RecordingError, match="tags"):
            run.set_tags(value)
        return
    run.set_tags(value)
    assert read(run).tags == eval(spans(outcome)[0], {})


def left_out(run, strict, why, call):
    """Check that a medium is left out, and that a strict run refuses it."""
    call(run)
    assert read(run).artifacts == []
    assert run.status()["dropped"] == {why: 1}
    with pytest.raises(tracelet.RecordingError, match="'x'"):
        call(strict)


def refuse_constant(text: str) -> None:
    raise AssertionError(f"not strict JSON: {text}")


@pytest.mark.parametrize(("code", "at", "inputs", "outcome"), cases("Tables"))
def test_tables(run, strict, code, at, inputs, outcome):
    value = eval(code, {**NAMES})
    why = reason(outcome)
    if why:
        return left_out(run, strict, why, lambda run: run.log_table("x", value))
    run.log_table("x", value)
    [artifact] = read(run).artifacts
    table = json.loads((run.dir / artifact["path"]).read_text(), parse_constant=refuse_constant)
    columns, cells = (eval(each, {}) for each in spans(outcome)[2 * at : 2 * at + 2])
    assert table == {"columns": columns, "rows": cells}
    return None


@pytest.mark.parametrize(("code", "at", "inputs", "outcome"), cases("Histograms"))
def test_histograms(run, strict, code, at, inputs, outcome):
    value = eval(code, {**NAMES})
    why = reason(outcome)
    if why:
        return left_out(run, strict, why, lambda run: run.log_histogram("x", value))
    run.log_histogram("x", value, bins=5)
    [artifact] = read(run).artifacts
    told = json.loads((run.dir / artifact["path"]).read_text(), parse_constant=refuse_constant)
    found = told["count"], told["not_finite"], told["edges"][0], told["edges"][-1]
    assert found == eval(spans(outcome)[0], {})
    assert sum(told["counts"]) == told["count"] - told["not_finite"]
    return None


@pytest.mark.skipif(Image is None, reason="Pillow decodes what is recorded")
@pytest.mark.parametrize(("code", "at", "inputs", "outcome"), cases("Images"))
def test_images(run, strict, code, at, inputs, outcome):
    value = eval(code, {**NAMES})
    why = reason(outcome)
    if why:
        return left_out(run, strict, why, lambda run: run.log_image("x", value))
    run.log_image("x", value)
    [artifact] = read(run).artifacts
    with Image.open(run.dir / artifact["path"]) as image:
        shown, _, pixels = outcome.partition(": ")
        assert f"{image.format} {image.mode} {image.width}x{image.height}" == shown
        if pixels:
            assert np.asarray(image).ravel().tolist() == [int(pixel) for pixel in pixels.split(",")]
    return None


# --- artifacts -----------------------------------------------------------------------------------------------


def kept(run) -> dict[str, bytes]:
    """Return what the records name, checked against their hashes."""
    import hashlib

    files = {}
    for artifact in read(run).artifacts:
        for file in artifact["files"]:
            data = (run.dir / file["path"]).read_bytes()
            assert (file["size"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
            files[file["path"]] = data
    return files


def make_unreadable(path: Path) -> None:
    """Make a file that cannot be read, also by root."""
    if os.geteuid() == 0:
        path.symlink_to("/proc/self/mem")
    else:
        path.write_text("secret")
        path.chmod(0)


def other_bytes(run):
    for text in ("one", "two"):
        Path("model.bin").write_text(text)
        run.log_artifact("model.bin", "sub")
    assert kept(run) == {"artifacts/sub/model.bin": b"one", "artifacts/.v2/sub/model.bin": b"two"}
    assert [artifact["version"] for artifact in read(run).artifacts] == [1, 2]


def same_bytes(run):
    Path("model.bin").write_text("one")
    run.log_artifact("model.bin")
    run.log_artifact("model.bin")
    assert kept(run) == {"artifacts/model.bin": b"one"}
    assert [artifact["version"] for artifact in read(run).artifacts] == [1, 1]


def folder_again(run):
    Path("out").mkdir()
    for name in ("a", "b"):
        Path("out", name).write_text(name)
        run.log_artifact("out")
    assert kept(run) == {"artifacts/out/a": b"a", "artifacts/.v2/out/a": b"a", "artifacts/.v2/out/b": b"b"}


def file_and_folder(run):
    Path("a").write_text("file")
    run.log_artifact("a")
    Path("a").unlink()
    Path("a").mkdir()
    Path("a/b").write_text("folder")
    run.log_artifact("a")
    run.log_artifact("a/b", "a")
    assert kept(run) == {
        "artifacts/a": b"file",
        "artifacts/.v2/a/b": b"folder",
        "artifacts/.v3/a/b": b"folder",
    }


def links(run):
    Path("epoch=12.ckpt").write_text("twelve")
    Path("best.ckpt").symlink_to("epoch=12.ckpt")
    Path("rev").mkdir()
    Path("rev/w").write_text("w")
    Path("latest").symlink_to("rev")
    run.log_artifact("best.ckpt")
    run.log_artifact("latest")
    assert kept(run) == {"artifacts/best.ckpt": b"twelve", "artifacts/latest/w": b"w"}


def own_folder(run):
    Path("train.py").write_text("pass")
    inner = Path(".tracelet/runs/earlier")
    inner.mkdir(parents=True)
    (inner / "weights").write_text("old")
    run.log_artifact(".", "code")
    run.log_artifact(Path.cwd())
    assert set(kept(run).values()) == {b"pass"}


def data_folder(run):
    run.log_text("t", "t")
    for folder in (run.dir, run.dir.parent, run.dir.parent.parent, run.dir / "artifacts"):
        folder.mkdir(exist_ok=True)
        with pytest.raises(tracelet.RecordingError, match="data folder"):
            run.log_artifact(folder)
    run.log_artifact(run.dir / "media")
    assert set(kept(run).values()) == {b"t"}


def special_files(run):
    Path("out/inner").mkdir(parents=True)
    Path("out/a").write_text("a")
    os.mkfifo("out/pipe")
    Path("out/broken").symlink_to("nowhere")
    Path("out/linked").symlink_to("inner")
    with socket.socket(socket.AF_UNIX) as there:
        there.bind("out/sock")
        run.log_artifact("out")
    assert kept(run) == {"artifacts/out/a": b"a"}
    [artifact] = read(run).artifacts
    missing = {each["path"]: each["reason"] for each in artifact["missing"]}
    assert missing == {
        "pipe": "a named pipe",
        "broken": "a broken link",
        "linked": "a link to a folder; log it separately",
        "sock": "a socket",
    }


def unreadable_in_folder(run):
    Path("out").mkdir()
    Path("out/a").write_text("a")
    make_unreadable(Path("out/locked"))
    run.log_artifact("out")
    assert kept(run) == {"artifacts/out/a": b"a"}
    assert [each["path"] for each in read(run).artifacts[0]["missing"]] == ["locked"]


def unreadable(run):
    make_unreadable(Path("locked"))
    os.mkfifo("pipe")
    for path in ("locked", "pipe", "/dev/null"):
        run.log_artifact(path)
    assert kept(run) == {}
    assert run.status()["dropped"] == {"unreadable file": 3}


def changing(run):
    import threading

    Path("log").write_bytes(b"a" * 30_000_000)
    done = threading.Event()

    def rewrite() -> None:
        while not done.is_set():
            with open("log", "r+b") as file:
                file.write(os.urandom(8))

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        run.log_artifact("log")
    finally:
        done.set()
        writer.join()
    assert [len(data) for data in kept(run).values()] == [30_000_000]
    assert read(run).artifacts[0]["files"][0]["changed"] is True


def nothing_there(run):
    for path in ("", None, "nowhere", 5):
        with pytest.raises(tracelet.RecordingError, match="log_artifact: expected"):
            run.log_artifact(path)
    assert kept(run) == {}


def tilde(run):
    Path("~backup.pt").write_text("mine")
    run.log_artifact("~backup.pt")
    assert kept(run) == {"artifacts/~backup.pt": b"mine"}


def leads_out(run):
    Path("a").write_text("a")
    for path in ("/etc", "../out", "a/../../b", "..\\b", "nul\0"):
        with pytest.raises(tracelet.RecordingError, match="artifact_path"):
            run.log_artifact("a", path)


ARTIFACTS = {
    "a name a second time, with different content": other_bytes,
    "a name a second time, with the same content": same_bytes,
    "a folder a second time": folder_again,
    "a file where a folder is, or a folder where a file is": file_and_folder,
    "a symbolic link to a file or folder": links,
    "the project's own folder": own_folder,
    "the data folder itself": data_folder,
    "a folder with a named pipe, a socket, a broken link, a link to a folder": special_files,
    "a folder with an unreadable file": unreadable_in_folder,
    "an unreadable file, a named pipe, a device": unreadable,
    "a file that changes while it is copied": changing,
    '`""`, `None`, a path that does not exist': nothing_there,
    "a file called `~backup.pt`": tilde,
    "an `artifact_path` that is absolute or leaves the folder by `..`": leads_out,
}


@pytest.mark.parametrize("what", ARTIFACTS)
def test_artifacts(run, what):
    ARTIFACTS[what](run)


def test_each_row_on_artifacts_is_tested():
    assert [first for first, _ in rows("Artifacts")] == list(ARTIFACTS)
