"""Which folder is meant."""

from __future__ import annotations

import pytest

from tracelet.errors import StoreError
from tracelet.store import open_store


def test_the_data_folder_or_the_project_that_holds_it(records, tmp_path):
    records.run("r", {"loss": [1.0]})
    (tmp_path / "runs").mkdir()  # of another tool
    for path in (records.data, tmp_path, str(tmp_path)):
        assert open_store(path).dir == records.data
        assert [run.id for run in open_store(path).runs()] == ["r"]


def test_any_name_will_do(tmp_path):
    from tracelet.journal import Writer

    with Writer(tmp_path / "records" / "runs" / "r", {}) as writer:
        writer.point("loss", 1.0)
    assert open_store(tmp_path / "records").run("r").metric("loss").values == [1.0]


def test_a_project_that_keeps_its_data_elsewhere(tmp_path, monkeypatch):
    monkeypatch.delenv("TRACELET_DIR", raising=False)
    project = tmp_path / "project"
    project.mkdir()
    (project / "tracelet.toml").write_text('dir = "../records"\n')
    assert open_store(project).dir.resolve() == tmp_path / "records"
    monkeypatch.chdir(project)
    assert open_store().dir.resolve() == tmp_path / "records"
    assert open_store().runs() == []
    monkeypatch.setenv("TRACELET_DIR", str(tmp_path / "env"))
    assert open_store().dir == tmp_path / "env"


def test_without_any_runs(tmp_path):
    store = open_store(tmp_path)
    assert store.runs() == []
    assert store.projects() == []
    with pytest.raises(StoreError, match="found no runs in"):
        store.run("x")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_leads_nowhere(tmp_path):
    with pytest.raises(StoreError, match="found nothing at"):
        open_store(tmp_path / "typo")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="found a file at"):
        open_store(tmp_path / "file")


def test_a_folder_where_runs_come_later(tmp_path):
    from tracelet.journal import Writer

    later = open_store(tmp_path / ".tracelet") if (tmp_path / ".tracelet").mkdir() is None else None
    assert later.runs() == []
    with Writer(tmp_path / ".tracelet" / "runs" / "r", {}):
        pass
    assert [run.id for run in later.runs()] == ["r"]


def test_a_program_reads_where_it_records_wherever_it_is_started(project):
    project.write(
        "train.py",
        """
        import tracelet
        with tracelet.start_run("here"):
            print([run.name for run in tracelet.open_store().runs()])
        """,
    )
    elsewhere = project.path.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "tracelet.toml").touch()
    project.environ["TRACELET_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    script, project.path = project.path / "train.py", elsewhere
    assert project.python(script).stdout == "['here']\n"
    assert not (elsewhere / ".tracelet").exists()
    assert project.tracelet("runs").stdout.startswith("no runs yet")  # a command is of the current folder


def test_an_installed_tool_belongs_to_the_current_folder(project):
    package = "venv/lib/site-packages/tool"
    project.write(f"{package}/__main__.py", "import tracelet; print(tracelet.open_store().dir)")
    inner = project.path / "inner"
    inner.mkdir()
    (inner / "tracelet.toml").touch()
    tool, project.path = project.path / package, inner
    assert project.python(tool).stdout == f"{inner / '.tracelet'}\n"
