"""--shield and TRACELET_SHIELD: who gets a drop-in, who the real package, and what is said of mistakes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from shielded import points, records

REAL = "offered_by = 'the real package'\n"
WHICH = "import wandb; print('got', getattr(wandb, 'offered_by', wandb.__name__))"
QUICK = ("-q", "-p", "no:system", "-p", "no:environment", "-p", "no:code", "-p", "no:console")


def test_an_unknown_package(project: Any) -> None:
    project.write("train.py", WHICH)
    done = project.tracelet("run", "--shield", "wandb,wandbb", "train.py", status=2)
    assert (
        "--shield: expected packages that have a drop-in, found 'wandbb' (did you mean 'wandb'?)"
        in done.stderr
    )
    assert "Traceback" not in done.stderr


def test_a_package_that_is_there(project: Any) -> None:
    """The drop-in takes its place only under the shield."""
    project.write("train.py", WHICH)
    project.write("wandb.py", REAL)
    assert "got the real package" in project.tracelet("run", *QUICK, "train.py").stdout
    done = project.tracelet("run", *QUICK, "train.py", environ={"TRACELET_SHIELD": "wandb"})
    assert "got tracelet.compat.wandb" in done.stdout


def test_child_processes_and_a_sitecustomize_of_their_own(project: Any) -> None:
    folder = project.path / "startup"
    project.write("startup/sitecustomize.py", "import builtins; builtins.customized = 'yes'\n")
    project.write(
        "train.py",
        f"""
        import subprocess, sys
        code = {WHICH!r} + "; import builtins; print(builtins.customized)"
        print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        """,
    )
    done = project.tracelet(
        "run", *QUICK, "--shield", "wandb", "train.py", environ={"PYTHONPATH": str(folder)}
    )
    assert "got tracelet.compat.wandb\nyes" in done.stdout


def test_a_backend_gets_the_real_package(project: Any) -> None:
    """Also one that does not ask for a process of its own: its name is that of the package."""
    project.write("real/wandb.py", REAL)
    project.write(
        "run.py",
        """
        import tracelet
        from tracelet.compat.shield import install
        from kept import Kept

        install("wandb")
        import wandb

        print("program", wandb.__name__)
        with tracelet.start_run(plugins=[Kept]) as run:
            run.log_metric("a", 1)
            assert run.flush(timeout=30)
        """,
    )
    project.write(
        "kept.py",
        """
        from tracelet.core.plugins import BackendPlugin, PluginMetadata


        class Kept(BackendPlugin):
            @classmethod
            def get_metadata(cls):
                return PluginMetadata(name="wandb", version="1.0", type="backend")

            def initialize(self, config):
                import wandb

                with open("seen.txt", "w") as file:
                    file.write(getattr(wandb, "offered_by", wandb.__name__))

            def start(self): ...
            def stop(self): ...
            def get_status(self):
                return {}

            def log_metric(self, name, value, iteration): ...
            def log_params(self, params): ...
            def log_artifact(self, local_path, artifact_path=None): ...
        """,
    )
    path = os.pathsep.join([str(project.path / "real"), str(project.path)])
    done = project.python("run.py", environ={"PYTHONPATH": path, "TRACELET_QUIET": "1"})
    assert "program tracelet.compat.wandb" in done.stdout
    assert (project.path / "seen.txt").read_text() == "the real package"


def test_installing_it_in_a_program(project: Any) -> None:
    """Modules that were imported before are replaced, and versions are those whose calls the drop-ins offer."""
    project.write("wandb.py", REAL)
    project.write(
        "train.py",
        """
        import importlib.metadata, importlib.util
        import wandb
        before = wandb
        from tracelet.compat.shield import install
        install("wandb", "mlflow")
        install("wandb")
        import mlflow, wandb, wandb.plot
        from mlflow.tracking import MlflowClient
        from wandb.sdk.lib import RunDisabled
        assert before.offered_by and wandb is not before
        assert wandb.plot.line.__module__ == "tracelet.compat.wandb.plot"
        assert importlib.metadata.version("mlflow") == mlflow.__version__
        assert "wandb" in importlib.metadata.packages_distributions()
        assert importlib.util.find_spec("wandb") is not None
        import os
        assert os.environ["TRACELET_SHIELD"] == "wandb,mlflow"
        assert os.environ["PYTHONPATH"].count("startup") == 1
        for name in ("wandb.values", "mlflow.handles", "mlflow.gateway"):
            try:
                __import__(name)
            except ModuleNotFoundError as error:
                print(error)
        print(sorted(set(dir(wandb)) - set(wandb.__all__))[:1])
        """,
    )
    done = project.python("train.py")
    assert "No module named 'wandb.values' in tracelet's drop-in for wandb" in done.stdout
    assert "No module named 'mlflow.handles' in tracelet's drop-in for mlflow" in done.stdout
    assert "docs/drop-ins.md lists what it offers" in done.stdout


def test_every_name_that_is_listed_is_there() -> None:
    """The tables of names and modules have no entry that cannot be imported without a training library."""
    import importlib

    from tracelet.compat import module_names

    for package, modules in module_names.MODULES.items():
        drop_in = importlib.import_module(f"tracelet.compat.{package}")
        assert [name for name in drop_in.__all__ if not hasattr(drop_in, name) and name != "run"] == []
        assert [home for home in modules.values() if importlib.util.find_spec(home) is None] == []
        for home in set(modules.values()):
            importlib.import_module(home)


def test_importing_a_drop_in_is_cheap(project: Any) -> None:
    code = "import tracelet.compat.{0}, sys; print({{'numpy', 'pandas', 'rich', 'click'}} & {{*sys.modules}})"
    for package in ("wandb", "mlflow"):
        assert project.python("-c", code.format(package)).stdout.strip() == "set()"


def test_the_pages_name_what_is_offered() -> None:
    """docs/drop-ins.md does not promise a call that is not there."""
    import re

    import tracelet.compat.mlflow as mlflow
    import tracelet.compat.wandb as wandb
    from tracelet.compat.mlflow.client import MlflowClient
    from tracelet.compat.wandb import api
    from tracelet.compat.wandb.artifacts import Artifact
    from tracelet.compat.wandb.wandb_run import Run

    page = (Path(__file__).parents[2] / "docs" / "drop-ins.md").read_text()
    places = {
        "W&B": (wandb, Run, Artifact, wandb.plot, api),
        "MLflow": (mlflow, MlflowClient, mlflow.models),
    }
    for title, homes in places.items():
        rows = [
            line
            for line in page.partition(f"\n## {title}\n")[2].partition("\n## ")[0].splitlines()
            if line[:1] == "|"
        ]
        names = {name for row in rows for name in re.findall(r"`([a-z]\w+)`", row)}
        values = {
            "step",
            "commit",
            "reinit",
            "resume",
            "grid",
            "random",
            "bayes",
            "nested",
            "run_id",
            "experiment_id",
        }
        values |= {
            "tags",
            "description",
            "history",
            "scan_history",
            "sklearn",
            "run",
            "log_model",
            "save_model",
            "load_model",
        }
        assert [name for name in names - values if not any(hasattr(home, name) for home in homes)] == []


def test_programs_in_disabled_runs(project: Any) -> None:
    """Everything is accepted, and nothing is recorded."""
    project.write(
        "train.py",
        """
        import os
        import mlflow, wandb

        run = wandb.init(mode="disabled", id="x", tags=["a"], config={"a": 1})
        run.log({"a": 1, "t": wandb.Table(columns=["a"], data=[[1]])}, commit=False)
        open(os.path.join(run.dir, "f.txt"), "w").close()
        artifact = wandb.Artifact("n", "t")
        artifact.add_file("train.py")
        assert run.log_artifact(artifact).version == "v0"
        run.save("train.py")
        run.log_code(".")
        run.summary["a"] = 1
        run.finish()
        with mlflow.start_run() as run:
            mlflow.log_metric("a", 1)
            mlflow.log_text("x", "a.txt")
            assert run.data.metrics == {}
        assert mlflow.get_run(run.info.run_id).info.status == "FINISHED"
        assert len(mlflow.search_runs(output_format="list")) == 0
        """,
    )
    environ = {"TRACELET_MODE": "disabled"}
    project.tracelet("run", *QUICK, "--shield", "wandb,mlflow", "train.py", environ=environ)
    assert not (project.path / ".tracelet").exists()


def test_rows_of_several_threads_have_different_steps(project: Any) -> None:
    project.write(
        "train.py",
        """
        import threading
        import wandb

        run = wandb.init()

        def work():
            for _ in range(200):
                wandb.log({"a": 1})

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for call in (lambda: wandb.log([1]), lambda: wandb.log({"a": 1}, step="x")):
            try:
                call()
            except Exception as error:
                print(type(error).__name__, error)
        """,
    )
    done = project.tracelet("run", *QUICK, "--shield", "wandb", "train.py")
    [record] = records(project)
    assert sorted(step for step, _ in points(record, "a")) == list(range(800))
    assert "TypeError Data must be a mapping of names to values, found list" in done.stdout
    assert "Error wandb.log: step: expected a whole number, found 'x'" in done.stdout


def test_names_that_submodules_lack(project: Any) -> None:
    project.write(
        "train.py",
        """
        import mlflow.models, mlflow.sklearn, mlflow.entities, wandb.plot, wandb.data_types

        def try_from():
            from mlflow.models import evaluate

        calls = (
            lambda: mlflow.models.evaluate,
            try_from,
            lambda: mlflow.sklearn.log_models,
            lambda: wandb.plot.scater,
            lambda: wandb.data_types.Tables,
            lambda: wandb.run,
        )
        for call in calls:
            try:
                print(call())
            except (AttributeError, ImportError) as error:
                print(type(error).__name__, error)
        """,
    )
    lines = project.tracelet("run", *QUICK, "--shield", "wandb,mlflow", "train.py").stdout.splitlines()
    hint = "mlflow.models.evaluate is not offered by tracelet's drop-in for mlflow; use mlflow.log_metrics"
    assert lines[0].startswith(f"AttributeError {hint}")
    assert lines[1].startswith(f"ImportError {hint}")
    assert lines[2].endswith("did you mean mlflow.sklearn.log_model?")
    assert lines[3].endswith("did you mean wandb.plot.scatter?")
    assert lines[4].endswith("did you mean wandb.data_types.Table?")
    assert lines[5] == "None"
