"""Artifacts: nothing is lost, nothing is written outside of the run, and a record fits its file for ever after."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from pathlib import Path

import pytest

import tracelet

QUIET = ["no:system", "no:environment", "no:gpu"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with tracelet.start_run("artifacts", dir=tmp_path / "data", plugins=QUIET) as run:
        yield run


def read(run):
    return tracelet.open_store(run.dir.parent.parent).run(run.id)


def kept(run) -> dict[str, bytes]:
    """Return the files that the records name, each checked against its record."""
    files = {}
    for artifact in read(run).artifacts:
        for file in artifact["files"]:
            data = (run.dir / file["path"]).read_bytes()
            assert (file["size"], file["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
            files[file["path"]] = data
    return files


def test_a_list_of_files_that_is_too_long_for_one_event_is_complete(run):
    deep = Path("out", *["d" * 230] * 12)
    deep.mkdir(parents=True)
    for number in range(1600):
        (deep / str(number)).touch()
    run.log_artifact("out")
    run.log_metric("x", 1.0, 0)
    run.finish()
    [artifact] = read(run).artifacts
    assert len({file["path"] for file in artifact["files"]}) == artifact["file_count"] == 1600
    assert len([path for path in (run.dir / "artifacts").rglob("*") if path.is_file()]) == 1600


def test_a_path_that_nobody_could_open_is_named(run, tmp_path):
    Path("out").mkdir()
    Path("out/a").write_text("a")
    os.chdir("out")
    for _ in range(17):
        os.mkdir("d" * 240)
        os.chdir("d" * 240)
    Path("w").write_text("too deep")
    os.chdir(tmp_path)
    run.log_artifact("out")
    assert kept(run) == {"artifacts/out/a": b"a"}
    assert len(read(run).artifacts[0]["missing"]) == 1


@pytest.mark.parametrize("folder", ["artifacts", "media"])
def test_nothing_is_written_through_a_link_in_the_runs_folder(run, tmp_path, folder, caplog):
    outside = tmp_path / "outside"
    outside.mkdir()
    (run.dir / folder).symlink_to(outside)
    Path("w.pt").write_text("weights")
    Path("dir").mkdir()
    Path("dir/x").write_text("x")
    run.log_artifact("w.pt")
    run.log_artifact("dir")
    run.log_text("note", "text")
    run.log_metric("x", 1.0, 0)
    assert list(outside.iterdir()) == []
    assert sum(run.status()["dropped"].values()) == (2 if folder == "artifacts" else 1)
    assert "symbolic link" in caplog.text
    assert read(run).metrics() == ["x"]


def test_links_below_the_artifacts_are_not_followed_or_replaced(run, tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    inner = tmp_path / "inner"
    inner.mkdir()
    top = run.dir / "artifacts"
    top.mkdir()
    for name in ("w.pt", "w.pt.part", ".v2"):
        (top / name).symlink_to(precious if name != ".v2" else inner)
    (top / "sub").symlink_to(inner)
    Path("w.pt").write_text("weights")
    run.log_artifact("w.pt")
    run.log_artifact("w.pt", "sub")
    assert precious.read_text() == "mine"
    assert list(inner.iterdir()) == []
    assert list(kept(run).values()) == [b"weights", b"weights"]


def test_processes_and_threads_that_log_one_name_lose_nothing(run):
    def work(who: str) -> None:
        for number in range(10):
            folder = Path(who) / str(number)
            folder.mkdir(parents=True)
            (folder / "model.bin").write_text(f"{who} {number}")
            run.log_artifact(folder / "model.bin")
            run.log_artifact(folder.parent / str(number), "folders")

    children = []
    for number in range(2):
        child = os.fork()
        if child == 0:
            try:
                work(f"child{number}")
            finally:
                os._exit(0)
        children.append(child)
    threads = [threading.Thread(target=work, args=(f"thread{number}",)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    expected = {
        f"{kind}{who} {number}".encode()
        for kind in ("child", "thread")
        for who in (0, 1)
        for number in range(10)
    }
    assert set(kept(run).values()) == expected
    assert len(kept(run)) == 2 * len(expected)
    assert list((run.dir / "artifacts").rglob("*.part")) == []


def test_a_resumed_run_goes_on_with_the_versions(run, tmp_path):
    Path("last.ckpt").write_text("one")
    run.log_artifact("last.ckpt")
    run.finish()
    with tracelet.start_run(run_id=run.id, resume=True, dir=tmp_path / "data", plugins=QUIET) as resumed:
        Path("last.ckpt").write_text("two")
        resumed.log_artifact("last.ckpt")
    assert kept(run) == {"artifacts/last.ckpt": b"one", "artifacts/.v2/last.ckpt": b"two"}


def test_what_a_program_changes_after_logging_is_not_changed_in_the_record(run):
    Path("ckpt").write_bytes(b"a" * 200_000)
    run.log_artifact("ckpt")
    with open("ckpt", "r+b") as file:
        file.write(b"overwritten in place")
    assert kept(run) == {"artifacts/ckpt": b"a" * 200_000}


def test_the_data_folder_is_left_out_also_behind_a_link(tmp_path, monkeypatch):
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    (tmp_path / "disk").mkdir()
    Path("results").symlink_to(tmp_path / "disk")
    Path("train.py").write_text("pass")
    with tracelet.start_run("self", dir=project / "results", plugins=QUIET) as run:
        run.log_metric("x", 1.0, 0)
        for _ in range(2):
            run.log_artifact(".")
    assert set(kept(run)) == {"artifacts/project/train.py", "artifacts/.v2/project/train.py"}
    assert run.status()["dropped"] == {}


def test_a_run_that_has_ended_takes_no_copy(run):
    run.finish()
    Path("w.pt").write_text("weights")
    for call in (lambda: run.log_artifact("w.pt"), lambda: run.log_text("t", "text")):
        with pytest.raises(tracelet.NoActiveRunError):
            call()
    assert not (run.dir / "artifacts").exists()
    assert not (run.dir / "media").exists()


def test_a_file_that_is_too_large_for_the_disk_is_reported_and_the_training_goes_on(project):
    project.write(
        "train.py",
        """
        import os, resource, tracelet
        with open("big", "wb") as file:
            os.truncate("big", 80_000_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (70_000_000, 70_000_000))
        with tracelet.start_run(plugins=["no:system", "no:environment", "no:gpu"]) as run:
            run.log_artifact("big")
            os.mkdir("out")
            os.rename("big", "out/big")
            open("out/small", "w").write("small")
            run.log_artifact("out")
            run.log_metric("x", 1.0, 0)
            print(run.status()["dropped"])
        """,
    )
    done = project.python("train.py")
    assert "artifact big is not recorded" in done.stderr
    assert "kept without big" in done.stderr
    [record] = tracelet.open_store(project.path).runs()
    assert [[file["path"] for file in artifact["files"]] for artifact in record.artifacts] == [
        ["artifacts/out/small"]
    ]
    assert record.metrics() == ["x"]
    assert not list(record.dir.rglob("*.part"))


def test_a_durable_flush_syncs_files_then_folders_then_the_journal(run, monkeypatch):
    synced = []
    fsync = os.fsync

    def note(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        fsync(fd)

    Path("w.pt").write_text("weights")
    run.log_artifact("w.pt", "models")
    run.log_text("note", "text", step=1)
    monkeypatch.setattr(os, "fsync", note)
    run.flush(durable=True)
    below = [os.path.relpath(path, run.dir) for path in synced]
    ours = [path for path in below if path.startswith(("artifacts", "media"))]
    assert sorted(ours[:2]) == ["artifacts/models/w.pt", "media/note-1.txt"]
    assert sorted(ours[2:]) == ["artifacts", "artifacts/models", "media"]
    assert max(map(below.index, ours)) < max(
        at for at, path in enumerate(below) if path.startswith("journal")
    )
    synced.clear()
    run.flush(durable=True)
    assert not [path for path in synced if "artifacts" in path or "media" in path]


def test_a_file_may_have_any_name(run):
    names = ["ü", "日本" * 40, "a b", "new\nline", "x" * 255, "-rf", "$HOME", "un\udcffcode"]
    Path("out").mkdir()
    for name in names:
        Path("out", name).write_text(name.encode("utf-8", "surrogateescape").hex())
    run.log_artifact("out")
    for name in names:
        run.log_artifact(Path("out", name))
    assert len(kept(run)) == 2 * len(names)
    Path("back\\slash").write_text("b")
    run.log_artifact("back\\slash")
    assert kept(run)["artifacts/back_slash"] == b"b"


def test_a_run_whose_folder_was_deleted_keeps_what_comes_then(run):
    shutil.rmtree(run.dir)
    Path("w.pt").write_text("weights")
    run.log_artifact("w.pt")
    run.log_text("note", "text")
    run.log_metric("x", 1.0, 0)
    assert (run.dir / "artifacts/w.pt").read_text() == "weights"
    assert (run.dir / "media/note.txt").read_text() == "text"
    assert run.dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("kind", ["raises", "list", "open file"])
def test_what_is_not_a_path_is_a_clear_error(run, kind):
    class Raises:
        def __fspath__(self):
            raise RuntimeError("no path")

    with open(__file__, "rb") as file:
        value = {"raises": Raises(), "list": ["w.pt"], "open file": file}[kind]
        with pytest.raises(tracelet.RecordingError, match="expected the path"):
            run.log_artifact(value)
        with pytest.raises(tracelet.RecordingError, match="artifact_path"):
            run.log_artifact(__file__, value)
