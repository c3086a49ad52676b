"""A configuration of another user is ignored, with the reason and the remedy; bytecode of another user never runs."""

from __future__ import annotations

import importlib.util
import logging
import os
import py_compile
import subprocess
import sys
import textwrap

import pytest

from tracelet.config import find_root, load_config
from tracelet.config import trust as trust_module
from tracelet.config.trust import refusal

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners and modes")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, for chown")
STRANGER = 42424


@pytest.fixture(autouse=True)
def nothing_reported(monkeypatch):
    monkeypatch.setattr(trust_module, "_reported", set())
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.delenv("TRACELET_SAFE_DIRECTORIES", raising=False)


@pytest.fixture
def shared(tmp_path):
    """Return a folder like /tmp: everybody can write to it, and owns what he made."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    return shared


@pytest.fixture
def work(shared):
    """Return a folder of this user in the shared one."""
    work = shared / "work"
    work.mkdir(mode=0o700)
    return work


def give_away(*paths):
    for path in paths:
        os.chown(path, STRANGER, -1, follow_symlinks=False)


@as_root
@pytest.mark.parametrize("name", ["tracelet.toml", "pyproject.toml"])
def test_a_strangers_file_above_is_ignored_and_named(shared, work, caplog, name):
    file = shared / name
    file.write_text(
        'project = "theirs"\n' if name == "tracelet.toml" else '[tool.tracelet]\nproject = "theirs"\n'
    )
    give_away(file)
    config = load_config(work, environ={})
    assert config.project != "theirs"
    assert config.file is None
    assert load_config(work, environ={}).file is None
    (record,) = caplog.records  # once, however often it is looked for
    assert record.levelno == logging.WARNING
    assert f"{file}: refused, because it belongs to user {STRANGER}, who is neither you (0)" in record.message
    assert f"chown -h 0 {file}, or set TRACELET_SAFE_DIRECTORIES={shared}" in record.message


@as_root
def test_the_next_file_up_counts_in_its_place(shared, work):
    inner = work / "inner"
    inner.mkdir()
    (inner / "tracelet.toml").write_text('project = "theirs"')
    (work / "tracelet.toml").write_text('project = "mine"')
    give_away(inner / "tracelet.toml")
    assert find_root(inner) == work
    assert load_config(inner, environ={}).project == "mine"


@as_root
def test_the_owner_of_the_program_is_trusted(shared):
    (shared / "tracelet.toml").write_text('project = "theirs"')
    program = shared / "train.py"
    program.write_text("")
    give_away(shared / "tracelet.toml", program)
    assert load_config(program, environ={}).project == "theirs"
    assert load_config(shared, environ={}).project != "theirs"


@as_root
def test_the_user_behind_sudo_is_trusted(shared, work, monkeypatch):
    (shared / "tracelet.toml").write_text('project = "theirs"')
    give_away(shared / "tracelet.toml")
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert load_config(work, environ={}).project == "theirs"


@as_root
@pytest.mark.parametrize(
    ("declared", "taken"), [("{shared}", True), ("*", True), ("/elsewhere", False), ("", False)]
)
def test_safe_directories(shared, work, monkeypatch, declared, taken):
    (shared / "tracelet.toml").write_text('project = "theirs"')
    give_away(shared / "tracelet.toml")
    monkeypatch.setenv(
        "TRACELET_SAFE_DIRECTORIES", os.pathsep.join(["/other", declared.format(shared=shared)])
    )
    assert (load_config(work, environ={}).project == "theirs") is taken


def test_a_file_that_everybody_can_write_to(work, caplog):
    file = work / "tracelet.toml"
    file.write_text('project = "anybody"')
    file.chmod(0o666)
    assert load_config(work, environ={}).project != "anybody"
    assert f"everybody can write to it; run: chmod o-w {file}" in caplog.text
    file.chmod(0o664)  # a group may
    assert load_config(work, environ={}).project == "anybody"


@as_root
def test_the_users_own_file_follows_the_same_rule(folder):
    file = folder.write_user('project = "theirs"')
    give_away(file)
    assert folder.load().project == "digits"


@as_root
def test_links_are_examined_themselves(shared, work):
    target = work / "real.toml"
    target.write_text('project = "mine"')
    middle, link = shared / "middle.toml", work / "tracelet.toml"
    middle.symlink_to(target)
    link.symlink_to(middle)
    assert load_config(work, environ={}).project == "mine"
    give_away(middle)
    assert load_config(work, environ={}).project != "mine"
    assert f"{middle}, which it leads to, belongs to user {STRANGER}" in refusal(link, work)


def test_links_that_lead_in_a_circle(work):
    (work / "a.py").symlink_to(work / "b.py")
    (work / "b.py").symlink_to(work / "a.py")
    assert f"{work / 'a.py'}: refused, because" in refusal(work / "a.py", work)


@as_root
def test_a_run_under_a_strangers_configuration(shared, work, tmp_path):
    """What he wanted: any file of ours written, with a text of his."""
    precious = tmp_path / ".bash_profile"
    (shared / "tracelet.toml").write_text(
        f'project = "$(touch pwned)"\nplugins = ["no:system"]\n[plugins.jsonl]\npath = "{precious}"\n'
    )
    give_away(shared / "tracelet.toml")
    (work / "train.py").write_text(
        "import tracelet\nwith tracelet.start_run() as run: run.log({'x': 1.0}, step=0)\n"
    )
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=work, env=home, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert not precious.exists()
    assert "configuration is ignored" in done.stderr
    assert (work / ".tracelet" / "runs").is_dir()


PLUGIN = "import tracelet\n@tracelet.hookimpl\ndef collect(): return {'x': 1}\n"


def forge(file, text):
    """Write bytecode of another source next to a file, such that Python would take it for the file's own."""
    evil = file.with_name("evil.txt")
    size = file.stat().st_size
    evil.write_text(text.ljust(size, "#")[:size])
    os.utime(evil, (file.stat().st_mtime,) * 2)
    cache = importlib.util.cache_from_source(str(file))
    os.makedirs(os.path.dirname(cache), exist_ok=True)
    py_compile.compile(str(evil), cfile=cache, dfile=str(file))
    evil.unlink()
    return os.path.dirname(cache)


@pytest.mark.parametrize("foreign", [False, pytest.param(True, marks=as_root)])
def test_forged_bytecode_is_not_run(work, tmp_path, foreign):
    file = work / "tracelet_plugins.py"
    file.write_text(PLUGIN + "#" * 300)
    cache = forge(file, f"open({str(tmp_path / 'pwned')!r}, 'w')\n" + PLUGIN)
    if foreign:
        give_away(cache)
    (work / "tracelet.toml").write_text('plugins = ["no:system", "no:environment", "no:gpu"]')
    (work / "train.py").write_text(
        textwrap.dedent(
            """
            import tracelet
            with tracelet.start_run() as run:
                run.wait_started()
                print(run.status()["plugins"], run.status()["problems"])
            """
        )
    )
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=work, env=home, capture_output=True, text=True, timeout=60
    )
    assert not (tmp_path / "pwned").exists()
    assert ("'state': 'active'" in done.stdout) is not foreign, done.stdout + done.stderr
    if foreign:
        assert f"rm -r {cache}" in done.stdout


def test_the_second_file_of_a_folder_is_named(folder, caplog):
    own = folder.write("tracelet.toml", "project = 'one'")
    other = folder.write("pyproject.toml", "[tool.tracelet]\nproject = 'two'\n")
    assert folder.load().project == "one"
    folder.load()
    assert [record.message for record in caplog.records] == [
        f"{other}: its table [tool.tracelet] is ignored, because {own} counts; keep one of them"
    ]


def test_a_second_file_without_the_table_is_not(folder, caplog):
    folder.write("tracelet.toml", "project = 'one'")
    folder.write("pyproject.toml", "[project]\nname = 'tracelet-something'\n")
    folder.load()
    assert not caplog.records
