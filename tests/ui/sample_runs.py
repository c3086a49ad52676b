"""A small store with everything that the page shows: several runs, media, a resumed run, losses, a console."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy

import tracelet

PLAIN = ["no:system", "no:environment", "no:gpu"]


def start(name: str, folder: Path, *, plugins: list[str] = PLAIN, **more: Any) -> tracelet.Run:
    """Start a run of the samples' project."""
    return tracelet.start_run(name, project="digits", dir=folder, plugins=plugins, **more)


def record_samples(folder: Path) -> None:
    """Record runs below a project's folder."""
    for number, lr in enumerate((0.3, 0.1, 0.03, 0.01, 0.003)):
        record_training(folder, f"digits-{number}", lr, seed=number)
    record_media(folder)
    record_resumed(folder)
    record_failed(folder)


def record_training(folder: Path, name: str, lr: float, seed: int, steps: int = 400) -> str:
    """Record a run with curves that look like a training's; one of them has gaps."""
    noise = random.Random(seed)
    params = {
        "lr": lr,
        "optimizer": "sgd" if seed % 2 else "adam",
        "model": {"hidden": 64, "depth": 2 + seed},
        "seed": seed,
    }
    with tracelet.start_run(
        name, project="digits", params=params, tags={"team": "vision"}, dir=folder, plugins=PLAIN
    ) as run:
        for step in range(steps):
            done = 1 - math.exp(-step * lr / 8)
            loss = 2.4 * (1 - done) + 0.05 + noise.gauss(0, 0.04) * (1 - 0.7 * done)
            metrics = {
                "train/loss": abs(loss),
                "train/accuracy": 0.1 + 0.87 * done + noise.gauss(0, 0.01),
                "lr": lr * 0.99**step,
            }
            if step % 10 == 0:
                metrics |= {"val/loss": abs(loss) * 1.15, "val/accuracy": 0.08 + 0.86 * done}
            if seed == 0 and 120 <= step < 124:
                metrics["train/loss"] = math.nan
            if seed == 0 and step == 200:
                metrics["train/loss"] = math.inf
            run.log(metrics, step=step)
        return run.id


def record_media(folder: Path, plugins: Sequence[str] = ("system", "environment", "console")) -> str:
    """Record a run with every kind of medium, an artifact, a console and collectors' metrics."""
    with tracelet.start_run(
        "media",
        project="digits",
        params={"lr": 0.1},
        dir=folder,
        plugins=["system", "environment", "console"],
    ) as run:
        truth = [i % 4 for i in range(200)]
        guesses = [(i % 4 if i % 7 else (i + 1) % 4) for i in range(200)]
        for step in range(0, 50, 10):
            values = numpy.random.default_rng(step).normal(step / 25, 1 - step / 100, 2000)
            run.log_histogram("weights", values, step=step)
            picture = numpy.indices((32, 32)).sum(0) * 4 % (step + 40)
            run.log_image("samples/digit", picture.astype("uint8"), step=step)
            print(f"epoch {step}: <b>loss</b> {1 / (step + 1):.3f}", flush=True)
        run.log_table(
            "errors",
            [[i, f"image {i}", (i * 37 % 100) / 100] for i in range(30)],
            columns=["id", "name", "score"],
        )
        run.log_confusion_matrix("test/confusion", truth, guesses, labels=["cat", "dog", "bird", "fish"])
        run.log_roc_curve(
            "test/roc", [i % 2 for i in range(100)], [((i * 7) % 10) / 20 + (i % 2) / 3 for i in range(100)]
        )
        run.log_text("note", "a <script>alert(1)</script> text")
        take = "try { parent.document.title = 'taken' } catch {}"
        run.log_html("report", f"<h2>Report</h2><p>In a sandbox.</p><script>{take}</script>")
        notes = folder / "notes.txt"
        notes.write_text("kept with the run\n<img src=x onerror=alert(1)>\n")
        run.log_artifact(str(notes), "notes")
        run.log_metric("quality", float("nan"), step=0)
        run.log_metric("quality", "a text", step=1)
        return run.id


def record_resumed(folder: Path) -> str:
    """Record a run that was resumed before its end, and computed a stretch again with other results."""
    noise = random.Random(7)
    with tracelet.start_run(
        "resumed", project="digits", params={"lr": 0.1}, dir=folder, plugins=PLAIN
    ) as run:
        for step in range(200):
            run.log_metric("train/loss", 2 / (1 + step / 20) + noise.gauss(0, 0.02), step=step)
    with tracelet.start_run(run_id=run.id, resume=True, dir=folder, plugins=PLAIN) as again:
        for step in range(140, 300):
            again.log_metric("train/loss", 2 / (1 + step / 20) + noise.gauss(0, 0.02), step=step)
    return run.id


def record_failed(folder: Path) -> str:
    """Record a run that ends with an exception."""
    try:
        with tracelet.start_run(
            "diverged", project="digits", params={"lr": 9.0}, dir=folder, plugins=PLAIN
        ) as run:
            for step in range(20):
                run.log_metric("train/loss", 2.0**step, step=step)
            raise ArithmeticError("the loss is not finite <b>any more</b>")
    except ArithmeticError:
        return run.id


if __name__ == "__main__":
    import sys

    record_samples(Path(sys.argv[1]))
