"""The collector ``code``: the script and a patch that turns the commit into what the program ran with."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

import tracelet

RUN = ("run", "-q", "-p", "no:system", "-p", "no:environment", "-p", "no:gpu", "-p", "no:console")


def git(project, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    return subprocess.run(["git", *identity, *words], cwd=project.path, check=True, capture_output=True)


@pytest.fixture
def repository(project):
    if shutil.which("git") is None:
        pytest.skip("needs git")
    project.write("train.py", "print('first')\n")
    project.write("sub/helper.py", "VALUE = 1\n")
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "first")
    return project


def artifacts(project):
    (record,) = tracelet.open_store(project.path / ".tracelet").runs()
    folder = record.dir / "artifacts" / "code"
    return {path.name: path.read_bytes() for path in folder.glob("*")} if folder.exists() else {}


def test_the_patch_turns_the_commit_into_the_working_tree(repository, tmp_path):
    repository.write("train.py", "print('second')\n")
    repository.write("sub/helper.py", "VALUE = 2\nno_newline = True").write_text("VALUE = 2\nlast = 'x'")
    repository.write("new file.py", "added = 1\n")
    repository.write("empty.txt", "")
    repository.tracelet(*RUN, "train.py")
    patch = artifacts(repository)["diff.patch"]
    git(repository, "clone", "-q", ".", str(tmp_path / "clone"))
    subprocess.run(["git", "apply", "--binary", "-"], cwd=tmp_path / "clone", input=patch, check=True)
    for name in ("train.py", "sub/helper.py", "new file.py", "empty.txt"):
        assert (tmp_path / "clone" / name).read_bytes() == (repository.path / name).read_bytes(), name


def test_a_clean_tree_gives_no_patch_and_the_script_is_kept(repository):
    repository.tracelet(*RUN, "train.py")
    assert artifacts(repository) == {"train.py": b"print('first')\n"}
    assert "no difference was recorded" in repository.tracelet("show", "--diff").stdout


def test_secrets_large_and_binary_files_are_left_out(repository):
    repository.write("train.py", "key = 'sk-abcdefghijklmnopqrstuvwxyz123456'\n")
    repository.write(".env", "PLAIN=value-of-the-environment\n")
    repository.write("weights.txt", "w" * 200_000)
    (repository.path / "data.bin").write_bytes(b"\0\1\2")
    repository.tracelet(*RUN, "train.py")
    found = artifacts(repository)
    for data in found.values():
        for secret in (b"sk-abc", b"value-of-the-environment", b"wwwww", b"data.bin"):
            assert secret not in data
    assert b"key = '***'" in found["diff.patch"]


def test_without_a_repository_only_the_script_is_kept(project):
    project.write("train.py", "print(1)\n")
    done = project.tracelet(*RUN, "train.py")
    assert artifacts(project) == {"train.py": b"print(1)\n"}
    assert "Traceback" not in done.stderr


def test_show_diff(repository):
    repository.write("train.py", "print('second')\n")
    repository.tracelet(*RUN, "train.py")
    assert "+print('second')" in repository.tracelet("show", "--diff").stdout
    assert "+print('second')" in json.loads(repository.tracelet("show", "--diff", "--json").stdout)["diff"]
