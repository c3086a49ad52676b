"""Plugins for every run started in this folder. tracelet finds this file as pytest finds ``conftest.py``."""

from __future__ import annotations

import sys
from typing import Any

import tracelet
from tracelet.core.plugins import BackendPlugin, PluginMetadata


@tracelet.hookimpl
def collect() -> dict[str, int]:
    """Measure how many blocks of memory Python holds: a number that only grows is a leak."""
    return {"python/allocated_blocks": sys.getallocatedblocks()}


class Milestones(BackendPlugin):
    """Remember when a metric first reached each goal, and say so when the run ends."""

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        return PluginMetadata(
            name="milestones",
            version="1.0",
            type="backend",
            description="When a metric first reached each goal",
            config_schema={
                "metric": {"type": "string", "default": "test/accuracy"},
                "goals": {"type": "array", "default": [0.9, 0.95, 0.97]},
            },
        )

    def initialize(self, config: dict[str, Any]) -> None:
        self.reached: dict[float, int | None] = {}

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def get_status(self) -> dict[str, Any]:
        return {"reached": len(self.reached)}

    def log_metric(self, name: str, value: float, iteration: int | None) -> None:
        if name == self.config["metric"]:
            for goal in self.config["goals"]:
                if value >= goal:
                    self.reached.setdefault(goal, iteration)

    def log_params(self, params: dict[str, Any]) -> None:
        pass

    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None:
        pass

    def report_summary(self) -> list[str]:
        metric = self.config["metric"]
        return [f"{metric} reached {goal:.0%} at step {step}" for goal, step in self.reached.items()]
