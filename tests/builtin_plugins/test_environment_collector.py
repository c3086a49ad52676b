"""The collector ``environment`` in real repositories and real processes."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tracelet_builtin_plugins.collectors.environment import EnvironmentCollector

PAGE = (Path(__file__).parents[2] / "docs" / "plugins" / "environment.md").read_text(encoding="utf-8")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=topic/one")
    (folder / "train.py").write_text("print(1)\n")
    git(folder, "add", "train.py")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def collected(started: Any, folder: Path, **config: Any) -> dict[str, Any]:
    hooks = started(EnvironmentCollector(), directory=str(folder), **config)
    return dict(hooks.collect()["environment"])


def test_everything_once_as_strings_and_in_the_docs(started: Any, flat: Any) -> None:
    hooks = started(EnvironmentCollector(), env=["HOME"])
    facts = flat(hooks.collect())
    assert all(isinstance(value, str) and value for value in facts.values())
    assert facts["environment/python/version"] == platform.python_version()
    assert facts["environment/python/executable"] == sys.executable
    assert facts["environment/host"] == platform.node()
    assert int(facts["environment/memory_bytes"]) > 100_000_000
    assert int(facts["environment/cpu/count"]) == os.cpu_count()
    for name in facts:
        parts = name.split("/")
        assert f"`{'/'.join([*parts[:2], 'NAME'] if parts[1] in ('packages', 'env') else parts)}`" in PAGE
    assert hooks.collect() == {}
    assert hooks.get_status()["collected"] is True
    hooks.start()
    assert hooks.collect()["environment"]["command"]


def test_packages_are_those_that_importlib_finds(started: Any, tmp_path: Path) -> None:
    found = collected(started, tmp_path)["packages"]
    for name in ("pluggy", "attrs", "psutil", "pytest"):
        assert found[name] == metadata.version(name)
    names = {distribution.metadata["Name"] for distribution in metadata.distributions()}
    assert found.keys() == names


def test_a_damaged_distribution_costs_only_itself(
    started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in (
        ("empty", b""),
        ("binary", b"\xff\xfe\x00Name"),
        ("good", b"Name: good\nVersion: 1.5\n"),
    ):
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = collected(started, tmp_path)["packages"]
    assert found["good"] == "1.5"
    assert {"empty", "binary"}.isdisjoint(found)
    assert "pluggy" in found


@needs_git
def test_a_clean_repository(started: Any, repository: Path) -> None:
    (repository / "untracked.txt").touch()
    assert collected(started, repository)["git"] == {
        "commit": git(repository, "rev-parse", "HEAD"),
        "branch": "topic/one",
        "dirty": "no",
    }


@needs_git
def test_a_dirty_one_with_a_remote_whose_password_stays_here(started: Any, repository: Path) -> None:
    git(repository, "remote", "add", "backup", "/elsewhere")
    git(repository, "remote", "add", "origin", "https://me:S3CR3T@example.org/team/repo.git")
    (repository / "train.py").write_text("print(2)\n")
    found = collected(started, repository)["git"]
    assert found["dirty"] == "yes"
    assert found["remote"] == "https://me:***@example.org/team/repo.git"


@needs_git
def test_a_detached_head_and_a_repository_without_commits(
    started: Any, repository: Path, tmp_path: Path
) -> None:
    git(repository, "checkout", "--quiet", "--detach")
    assert collected(started, repository)["git"].keys() == {"commit", "dirty"}
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    git(fresh, "init", "--quiet", "--initial-branch=main")
    assert collected(started, fresh)["git"] == {"branch": "main", "dirty": "no"}


@needs_git
def test_asking_leaves_the_repository_as_it_was(started: Any, repository: Path) -> None:
    index = repository / ".git" / "index"
    os.utime(repository / "train.py", (1, 1))  # git status would now like to refresh the index
    before = index.read_bytes()
    collected(started, repository)
    assert index.read_bytes() == before


@needs_git
def test_outside_a_repository_it_is_absent_and_git_says_why(started: Any, tmp_path: Path) -> None:
    hooks = started(EnvironmentCollector(), directory=str(tmp_path))
    assert "git" not in hooks.collect()["environment"]
    assert "not a git repository" in hooks.get_status()["absent"]["git"]


def test_without_git_it_is_absent(started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    hooks = started(EnvironmentCollector())
    facts = hooks.collect()["environment"]
    assert "git" not in facts
    assert facts["command"]
    assert "FileNotFoundError" in hooks.get_status()["absent"]["git"]


def test_a_git_that_hangs_is_left(started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    hooks = started(EnvironmentCollector(), git_timeout=0.2)
    start = time.monotonic()
    assert "git" not in hooks.collect()["environment"]
    assert time.monotonic() - start < 30
    assert "timed out" in hooks.get_status()["absent"]["git"]


def test_a_folder_that_was_deleted_under_the_program(started: Any, tmp_path: Path) -> None:
    program = (
        "import json, os, sys\n"
        "from tracelet_builtin_plugins.collectors.environment import EnvironmentCollector\n"
        "os.rmdir(os.getcwd())\n"
        "plugin = EnvironmentCollector(); plugin.initialize({}); plugin.start()\n"
        "print(json.dumps([plugin.collect(), plugin.get_status()]))\n"
    )
    folder = tmp_path / "gone"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    facts, status = json.loads(done.stdout)
    assert {"python", "packages", "command", "host"} <= facts["environment"].keys()
    assert {"directory", "git"} == status["absent"].keys() - {
        "platform"
    }  # which Python 3.13.0 cannot tell then


def test_the_command_line_is_the_real_one_masked_and_printable(tmp_path: Path) -> None:
    script = tmp_path / "train it.py"
    script.write_text(
        "import json\n"
        "from tracelet_builtin_plugins.collectors.environment import EnvironmentCollector\n"
        "plugin = EnvironmentCollector(); plugin.initialize({'packages': False, 'git': False}); plugin.start()\n"
        "print(json.dumps(plugin.collect()['environment']['command'], ensure_ascii=False))\n"
    )
    argv: list[str | bytes] = [
        sys.executable,
        "-X",
        "utf8",
        str(script),
        "--token",
        "S3CR3T",
        "--lr=1",
        b"\xff",
    ]
    done = subprocess.run(argv, capture_output=True, check=True)
    command = json.loads(done.stdout.decode())
    assert command == f"{sys.executable} -X utf8 '{script}' --token *** --lr=1 '\\xff'"


def test_variables_are_kept_only_where_asked_for_and_never_secrets(
    started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_API_KEY", "S3CR3T")
    monkeypatch.setenv("SLURM_DATABASE", "postgres://u:S3CR3T@h/db")
    assert collected(started, tmp_path)["env"] == {}
    found = collected(started, tmp_path, env=["SLURM_*", "NOT_SET"])["env"]
    assert {"SLURM_JOB_ID": "17", "SLURM_DATABASE": "postgres://u:***@h/db"}.items() <= found.items()
    assert "SLURM_API_KEY" not in found


def test_parts_can_be_left_out(started: Any, tmp_path: Path) -> None:
    assert {"packages", "git"}.isdisjoint(collected(started, tmp_path, packages=False, git=False))
