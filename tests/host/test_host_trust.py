"""Plugin files that another user could have written are refused, with the reason and the remedy."""

from __future__ import annotations

import os

import pytest

from tracelet.config.trust import refusal
from tracelet.core.plugins import PluginInfo, PluginManager, PluginMetadata
from tracelet.host.discovery.pluginfiles import checked_import
from tracelet.host.projectfile import project_files

FUNCTION = "import tracelet\n@tracelet.hookimpl\ndef collect(): return {'x': 1}\n"

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners and modes")
as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root, for chown")


@pytest.fixture
def root(tmp_path):
    """Return a project folder that only its owner may write to, whatever the umask."""
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o755)
    return root


@pytest.fixture
def plugin(root):
    """Return a plugin file two folders below the root."""
    file = root / "deep" / "er" / "tracelet_plugins.py"
    file.parent.mkdir(parents=True)
    file.write_text(FUNCTION)
    for path in (file.parent, file.parent.parent):
        path.chmod(0o755)
    file.chmod(0o644)
    return file


def test_an_ordinary_file_is_taken(plugin, root):
    assert refusal(plugin, root) is None
    assert refusal(plugin) is None


@pytest.mark.parametrize("mode", [0o664, 0o660, 0o600])
def test_a_group_may_write(plugin, root, mode):
    plugin.chmod(mode)
    plugin.parent.chmod(0o775)
    assert refusal(plugin, root) is None


def test_a_file_that_everybody_may_write_to(plugin, root):
    plugin.chmod(0o646)
    assert refusal(plugin, root) == (
        f"{plugin}: refused, because everybody can write to it; run: chmod o-w {plugin}"
    )
    os.system(f"chmod o-w {plugin}")
    assert refusal(plugin, root) is None


@pytest.mark.parametrize("up", [0, 1])
def test_a_folder_below_the_root_that_everybody_may_write_to(plugin, root, up):
    folder = plugin.parents[up]
    folder.chmod(0o777)
    assert refusal(plugin, root) == (
        f"{plugin}: refused, because everybody can write to its folder {folder}; run: chmod o-w {folder}"
    )
    folder.chmod(0o1777)  # where the sticky bit is set, nobody can put another file in its place
    assert refusal(plugin, root) is None


def test_the_root_itself_is_the_users_to_judge(plugin, root):
    root.chmod(0o777)
    assert refusal(plugin, root) is None


def test_without_a_root_the_files_own_folder_counts(plugin):
    plugin.parent.chmod(0o777)
    assert "its folder" in refusal(plugin)
    plugin.parent.chmod(0o755)
    plugin.parent.parent.chmod(0o777)
    assert refusal(plugin) is None


def test_a_cache_of_bytecode_that_everybody_may_write_to(plugin, root):
    cache = plugin.parent / "__pycache__"
    cache.mkdir()
    cache.chmod(0o777)
    assert f"everybody can write to its folder {cache}" in refusal(plugin, root)


@as_root
def test_a_foreign_owner(plugin, root):
    os.chown(plugin, 12345, -1)
    said = refusal(plugin, root)
    assert said == (
        f"{plugin}: refused, because it belongs to user 12345, who is neither you (0), nor root, nor the owner of the"
        f" program; if you trust it, run: chown -h 0 {plugin}, or set TRACELET_SAFE_DIRECTORIES={plugin.parent}"
    )
    program = root / "train.py"
    program.write_text("")
    assert refusal(plugin, root, program) == said
    os.chown(program, 12345, -1)
    assert refusal(plugin, root, program) is None
    assert refusal(plugin, root, root / "gone.py") == said


@as_root
def test_roots_files_are_taken_by_everybody(plugin, root, tmp_path, project):
    for path in plugin.parents:
        if path.stat().st_uid == 0 and tmp_path.parent in path.parents:
            path.chmod(0o755)
    project.write(
        "ask.py",
        f"""
        import os
        from pathlib import Path
        from tracelet.config.trust import refusal
        root = os.open({str(root)!r}, os.O_RDONLY)
        os.fchdir(root)
        os.setuid(12345)
        print("belongs to user" in (refusal(Path("deep/er/tracelet_plugins.py")) or ""))
        """,
    )
    assert project.python("ask.py").stdout == "False\n"


def test_a_link_and_what_it_leads_to_both_have_to_pass(plugin, root, tmp_path):
    link = root / "tracelet_plugins.py"
    link.symlink_to(plugin)
    assert refusal(link, root) is None
    plugin.chmod(0o646)
    assert f"{link}: refused" in refusal(link, root)
    assert f"chmod o-w {plugin}" in refusal(link, root)
    plugin.chmod(0o644)
    plugin.parent.chmod(0o777)
    assert "its folder" in refusal(link, root)
    plugin.parent.chmod(0o755)
    outside = tmp_path / "open"
    outside.mkdir()
    outside.chmod(0o777)
    elsewhere = outside / "tracelet_plugins.py"
    elsewhere.symlink_to(plugin)
    assert f"its folder {outside}" in refusal(elsewhere, root)


def test_a_file_that_is_gone(root):
    assert "cannot be examined (No such file or directory)" in refusal(root / "gone.py", root)


def test_project_files_stand_from_the_root_down(plugin, root, tmp_path):
    (root / "tracelet_plugins.py").write_text("")
    script_dir = plugin.parent
    assert project_files(root, script_dir) == [root / "tracelet_plugins.py", plugin]
    assert project_files(root, root) == [root / "tracelet_plugins.py"]
    assert project_files(root, root / "deep") == [root / "tracelet_plugins.py"]
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "tracelet_plugins.py").write_text("")
    assert project_files(root, tmp_path / "aside") == [
        root / "tracelet_plugins.py",
        tmp_path / "aside" / "tracelet_plugins.py",
    ]


LITERAL = """
class One:
    def get_metadata(self):
        return PluginMetadata(name="one", version="1", type="backend")
"""
MARKS = "open({!r}, 'a').close()\n"


@pytest.mark.parametrize("literal", [True, False])
def test_a_refused_file_is_not_run_however_it_is_asked_for(write, tmp_path, literal):
    ran = tmp_path / "ran"
    text = MARKS.format(str(ran)) + (LITERAL if literal else FUNCTION)
    file = write("one.py", text)
    file.chmod(0o666)
    with PluginManager([file], use_default_paths=False) as manager:
        manager.discover_plugins()
        manager.plugins["mine"] = PluginInfo(PluginMetadata("mine", "1", "backend"), str(file), "One")
        for name in ("one", "mine"):
            for step in ("load", "validate", "initialize", "start"):
                assert getattr(manager, f"{step}_plugin")(name) is False
            assert manager.start_plugins([name]) == {name: False}
            assert f"chmod o-w {os.path.realpath(file)}" in manager.plugins[name].error
        assert not ran.exists()
        file.chmod(0o644)
        assert manager.load_plugin("one") or "PluginMetadata" in manager.plugins["one"].error
        assert ran.exists()


def test_a_refused_project_file_leaves_the_others_active(project):
    project.write("tracelet_plugins.py", FUNCTION)
    project.write("deep/tracelet_plugins.py", "raise SystemExit('it was run')").chmod(0o666)
    project.write(
        "deep/train.py",
        """
        import tracelet
        with tracelet.start_run("x") as run:
            run.log({"loss": 1}, step=0)
            print(sorted(run.manager.active("collect")), run.manager.problems)
        """,
    )
    (project.path / "deep").chmod(0o755)
    done = project.python("deep/train.py")
    assert "tracelet_plugins" in done.stdout
    assert (
        "deep/tracelet_plugins.py: refused, because everybody can write to it; run: chmod o-w" in done.stdout
    )
    assert "it was run" not in done.stdout + done.stderr


@as_root
@pytest.mark.parametrize("neighbor", ["helpers.py", "helpers/__init__.py"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_a_plugin_file_imports_relatively_is_examined(plugin, tmp_path, neighbor, kind):
    ran = tmp_path / "ran"
    target = plugin.parent / neighbor
    target.parent.mkdir(exist_ok=True)
    code = f"open({str(ran)!r}, 'w').close()\n"
    if kind == "file":
        target.write_text(code)
    else:
        (tmp_path / "code.py").write_text(code)
        target.symlink_to(tmp_path / "code.py")
    os.chown(target, 65534, -1, follow_symlinks=False)
    plugin.write_text("from . import helpers\n" + FUNCTION)
    with pytest.raises(ImportError, match="refused, because it belongs to user 65534"):
        checked_import(plugin)
    assert not ran.exists()
    os.chown(target, os.geteuid(), -1, follow_symlinks=False)
    checked_import(plugin)
    assert ran.exists()


ABSOLUTE = {
    "a module": ("helpers.py", "import helpers"),
    "a package": ("helpers/__init__.py", "import helpers"),
    "a module of a package": ("helpers/inner.py", "from helpers.inner import *"),
    "by name": ("helpers.py", "import importlib; importlib.import_module('helpers')"),
    "in a hook": ("helpers.py", "HOOK"),
}


@as_root
@pytest.mark.parametrize("place", ["project", "plugin folder"])
@pytest.mark.parametrize("kind", ABSOLUTE)
def test_what_a_plugin_file_imports_absolutely_is_examined(project, kind, place):
    neighbor, statement = ABSOLUTE[kind]
    folder = "" if place == "project" else "plug/"
    file = "tracelet_plugins.py" if place == "project" else "plug/mine.py"
    if neighbor == "helpers/inner.py":
        project.write(f"{folder}helpers/__init__.py", "")
    target = project.write(folder + neighbor, "open('ran', 'a').close()\n")
    hook = statement == "HOOK"
    body = "    import helpers\n    return {'x': 1}\n" if hook else "    return {'x': 1}\n"
    first = "" if hook else statement + "\n"
    project.write(file, f"{first}import tracelet\n@tracelet.hookimpl\ndef collect():\n{body}")
    words = ["-p", f"./{file}"] if place == "plugin folder" else []
    project.write("train.py", "import tracelet\nwith tracelet.start_run('x') as run: run.log({'loss': 1})\n")
    for path in project.path.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    os.chown(target, 65534, -1)
    done = project.tracelet("run", "-q", *words, "train.py")
    assert f"{target}: refused, because it belongs to user 65534" in done.stderr
    assert not (project.path / "ran").exists()
    os.chown(target, os.geteuid(), -1)
    project.tracelet("run", "-q", *words, "train.py")
    assert (project.path / "ran").exists()


@as_root
def test_what_the_program_itself_imports_is_its_own_business(project):
    project.write("tracelet_plugins.py", FUNCTION)
    target = project.write("helpers.py", "VALUE = 5\n")
    os.chown(target, 65534, -1)
    project.write(
        "train.py",
        """
        import tracelet
        with tracelet.start_run("x") as run:
            run.wait_started(20)
            import helpers
            run.log({"loss": helpers.VALUE}, step=0)
        """,
    )
    project.tracelet("run", "-q", "train.py")
