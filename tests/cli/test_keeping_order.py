"""``tracelet edit``, ``delete`` and ``runs --tree``."""

from __future__ import annotations

import json

import pytest

TRAIN = """
    import tracelet

    with tracelet.start_run("sweep", group="rates", job_type="sweep", notes="# A sweep") as parent:
        for rate in (0.1, 0.01):
            with tracelet.start_run(f"rate-{rate}", group="rates", parent=parent, tags={"team": "vision"}) as run:
                run.define_metric("odd", goal="max")
                run.log({"odd": rate, "val/x": rate}, step=1)
    tracelet.start_run("alone").finish()
"""


@pytest.fixture
def recorded(project):
    """Return a project with a parent, two children and another run."""
    project.write("tracelet.toml", '[goals]\n"val/*" = "min"\n')
    project.write("train.py", TRAIN)
    project.environ["TRACELET_PLUGINS"] = "no:system,no:environment,no:gpu"
    project.python("train.py")
    return project


def listed(project, *words):
    return [run["name"] for run in json.loads(project.tracelet("runs", "--json", *words).stdout)["runs"]]


def test_runs_are_edited_archived_and_shown_as_a_tree(recorded):
    edited = recorded.tracelet(
        *("edit", "rate-0.1", "--name", "best", "--tag", "good", "--tag", "team=audio", "--notes", "why")
    ).stdout
    assert [line.split() for line in edited.splitlines()[1:]] == [
        ["name", "best"],
        ["notes", "why"],
        ["tag", "good"],
        ["tag", "team", "audio"],
    ]
    shown = json.loads(recorded.tracelet("edit", "best", "--untag", "team", "--json").stdout)
    assert (shown["name"], shown["tags"], shown["notes"]) == ("best", {"good": ""}, "why")
    assert listed(recorded) == ["alone", "rate-0.01", "best", "sweep"]
    recorded.tracelet("edit", "rate-0.01", "--archive")
    assert listed(recorded) == ["alone", "best", "sweep"]
    assert listed(recorded, "--all") == ["alone", "rate-0.01", "best", "sweep"]
    assert listed(recorded, "--group", "rates", "--where", "archived") == ["rate-0.01"]
    tree = recorded.tracelet("runs", "--tree", "--all").stdout.splitlines()[2:]
    assert [line.split("  ")[0] for line in tree] == ["alone", "rates", "└─ sweep", "", ""]
    assert [line[:15].rstrip() for line in tree[3:]] == ["   ├─ rate-0.01", "   └─ best"]
    recorded.tracelet("edit", "rate-0.01", "--unarchive")
    assert listed(recorded) == ["alone", "rate-0.01", "best", "sweep"]


def test_the_best_value_is_shown(recorded):
    listed = json.loads(
        recorded.tracelet("runs", "--json", "-c", "metrics.odd.best", "-c", "metrics.val/x.best").stdout
    )["runs"]
    assert listed[1]["columns"] == {"metrics.odd.best": 0.01, "metrics.val/x.best": 0.01}
    assert listed[0]["columns"] == {"metrics.odd.best": None, "metrics.val/x.best": None}
    shown = json.loads(recorded.tracelet("show", "rate-0.1", "--json").stdout)
    assert [(one["name"], one["direction"], one["best"]) for one in shown["metrics"]] == [
        ("odd", "max", 0.1),
        ("val/x", "min", 0.1),
    ]


def test_show_says_where_a_run_belongs(recorded):
    parent = json.loads(recorded.tracelet("show", "sweep", "--json").stdout)
    assert (parent["group"], parent["job_type"], parent["notes"], len(parent["children"])) == (
        *("rates", "sweep", "# A sweep", 2),
    )
    text = recorded.tracelet("show", "sweep").stdout
    for words in (
        ("group", "rates"),
        ("job type", "sweep"),
        ("notes", "# A sweep"),
        ("children", "2 runs: "),
    ):
        assert f"{words[0]:12}{words[1]}" in text
    assert f"parent      {parent['id']}" in recorded.tracelet("show", "rate-0.1").stdout
    recorded.tracelet("edit", "sweep", "--group", "", "--notes", "", "--archive")
    text = recorded.tracelet("show", "sweep", "--all").stdout
    assert "archived    yes" in text
    assert "group none" in text.partition("edits")[2]


def test_runs_are_deleted_restored_and_removed(recorded):
    refused = recorded.tracelet("delete", "alone", status=2)
    assert "--yes does it without asking" in refused.stderr
    assert listed(recorded)[0] == "alone"
    deleted = json.loads(recorded.tracelet("delete", "alone", "rate-0.1", "--yes", "--json").stdout)[
        "deleted"
    ]
    assert [one["name"] for one in deleted] == ["alone", "rate-0.1"]
    assert listed(recorded) == ["rate-0.01", "sweep"]
    trash = json.loads(recorded.tracelet("delete", "--trash", "--json").stdout)["trash"]
    assert {one["name"] for one in trash} == {"alone", "rate-0.1"}
    assert "alone" in recorded.tracelet("delete", "--trash").stdout
    recorded.tracelet("delete", "--restore", "alone")
    assert listed(recorded)[0] == "alone"
    assert "cannot be undone" not in recorded.tracelet("delete", "--empty-trash", "--yes").stdout
    assert "the trash is empty" in recorded.tracelet("delete", "--trash").stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("edit", "alone"), "expected something to change"),
        (("edit", "nobody", "--name", "x"), "no run 'nobody'"),
        (("edit", "alone", "--untag", "x"), "has no tag 'x'"),
        (("edit", "alone", "--parent", "alone"), "cannot be below itself"),
        (("edit", "alone", "--tag", "=x"), "expected KEY=VALUE"),
        (("delete",), "which runs to delete"),
        (("delete", "--restore"), "which runs to restore"),
        (("delete", "--restore", "nobody"), "no run 'nobody' in the trash"),
        (("delete", "--trash", "--empty-trash"), "expected one of"),
        (("delete", "alone", "--empty-trash"), "expected no RUN"),
        (("delete", "nobody", "-y"), "no run 'nobody'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_one_line(recorded, words, text):
    result = recorded.tracelet(*words, status=2)
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""
