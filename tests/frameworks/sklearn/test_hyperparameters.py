"""The framework plugin ``hyperparameters``, in real programs."""

from __future__ import annotations

import json

import pytest

SETTINGS = ("-p", "hyperparameters")
SECRET = "correct-horse-battery-staple"


def has_no_secret(project):
    return all(
        SECRET.encode() not in file.read_bytes()
        for file in (project.path / ".tracelet").rglob("*")
        if file.is_file()
    )


def test_parsed_arguments_are_recorded(record, project):
    run = record(
        f"""
        import argparse
        from pathlib import Path

        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float, default=0.1)
        parser.add_argument("--data", type=Path, default=Path("digits"))
        parser.add_argument("--api-key", default="{SECRET}")
        commands = parser.add_subparsers()
        train = commands.add_parser("train")
        train.add_argument("--epochs", type=int, default=3)
        train.set_defaults(run=print)
        parser.parse_args(["--lr", "0.5", "train", "--epochs", "7"])
        """,
        *SETTINGS,
    )
    assert run.record.params == {"lr": 0.5, "data": "digits", "api_key": "***", "epochs": 7, "run": "print"}
    assert has_no_secret(project)


def test_a_clicked_command_is_recorded_without_what_is_typed_blindly(record, project):
    run = record(
        f"""
        import click

        @click.group()
        @click.option("--seed", default=1)
        def main(seed):
            pass

        @main.command()
        @click.option("--lr", default=0.1)
        @click.option("--phrase", hide_input=True)
        @click.argument("sizes", nargs=-1, type=int)
        def train(lr, phrase, sizes):
            pass

        main(["--seed", "5", "train", "--phrase", "{SECRET}", "10", "20"], standalone_mode=False)
        """,
        *SETTINGS,
    )
    assert run.record.params == {"seed": 5, "lr": 0.1, "phrase": "***", "sizes/0": 10, "sizes/1": 20}
    assert has_no_secret(project)


def test_configuration_objects_are_recorded_by_their_variables(record):
    run = record(
        """
        import argparse
        from dataclasses import dataclass
        from types import SimpleNamespace

        @dataclass
        class Config:
            layers: int = 3
            rate: float = 0.5

        class Options:
            def __init__(self):
                self.batch, self._private, self.data = 8, 1, open

            @property
            def expensive(self):
                raise AssertionError("only the program may read this")

        config = Config()
        opts = Options()
        hparams = {"width": 4, "weights": object(), "nested": {"depth": 2}}
        other = {"not": "a setting"}
        """,
        *SETTINGS,
    )
    assert run.record.params == {
        "layers": 3,
        "rate": 0.5,
        "batch": 8,
        "data": "open",
        "width": 4,
        "nested/depth": 2,
    }


def test_a_module_of_settings_is_recorded(record, project):
    project.write(
        "settings_of_mine.py", "import os\n\nlr = 0.3\nsizes = [1, 2]\n\n\ndef helper():\n    pass\n"
    )
    run = record("import settings_of_mine as config\n", *SETTINGS)
    assert run.record.params == {"lr": 0.3, "sizes/0": 1, "sizes/1": 2}


def test_arguments_that_were_parsed_before_the_run_are_recorded(record):
    run = record(
        """
        import argparse
        import tracelet

        def main():
            parser = argparse.ArgumentParser()
            parser.add_argument("--lr", type=float, default=0.1)
            arguments = parser.parse_args([])
            with tracelet.start_run(plugins=["hyperparameters", "no:system", "no:environment"]) as run:
                run.log({"loss": arguments.lr})

        main()
        """
    )
    assert run.record.params == {"lr": 0.1}


def test_omegaconf_is_recorded_resolved(record, project):
    pytest.importorskip("omegaconf", reason="OmegaConf is not installed")
    run = record(
        f"""
        from omegaconf import OmegaConf

        base = OmegaConf.create({{"lr": 0.1, "name": "lr-${{lr}}", "db": {{"password": "{SECRET}"}}}})
        config = OmegaConf.merge(base, OmegaConf.from_dotlist(["lr=0.3"]))
        """,
        *SETTINGS,
    )
    assert run.record.params == {"lr": 0.3, "name": "lr-0.3", "db/password": "***"}
    assert has_no_secret(project)


@pytest.mark.parametrize("beside", [False, True])
def test_hydra_is_recorded_once(record, project, beside):
    pytest.importorskip("hydra", reason="Hydra is not installed")
    callback = "{tracelet: {_target_: tracelet.integrations.hydra.TraceletCallback}}"
    project.write(
        "config.yaml", f"lr: 0.1\nmodel: {{depth: 2}}\nhydra: {{callbacks: {callback if beside else {}}}}\n"
    )
    run = record(
        """
        import hydra

        @hydra.main(version_base=None, config_path=".", config_name="config")
        def main(cfg):
            pass

        main()
        """,
        *SETTINGS,
    )
    assert run.record.params == {"lr": 0.1, "model/depth": 2}


def test_an_optimizer_and_its_model_are_recorded(record):
    pytest.importorskip("torch", reason="PyTorch is not installed")
    run = record(
        """
        import json
        import torch

        def train():
            model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
            model[0].bias.requires_grad_(False)
            torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.25)
            return sum(p.numel() for p in model.parameters())

        print(json.dumps(train()))
        """,
        *SETTINGS,
    )
    params = run.record.params
    assert params["optimizer/name"] == "SGD"
    assert params["optimizer/lr"] == 0.25
    assert params["model/name"] == "Sequential"
    assert params["model/parameters"] == run.printed == 23
    assert params["model/trainable_parameters"] == 20
    assert params["model/bytes"] == 92


def test_the_programs_output_and_mistakes_stay_as_they_are(record, project):
    project.write(
        "mistaken.py",
        """
        import argparse

        parser = argparse.ArgumentParser()
        parser.add_argument("--lr", type=float)
        parser.parse_args(["--lr", "fast"])
        """,
    )
    done = project.tracelet("run", "-q", *SETTINGS, "mistaken.py", status=2)
    assert "argument --lr: invalid float value: 'fast'" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.dumps(done.stdout) == '""'
