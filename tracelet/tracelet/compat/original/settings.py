"""What ``ExperimentConfig`` and the arguments for backends mean in the configuration of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tracelet.compat.offered import note_once
from tracelet.errors import UsageError

#: The keys of a backend's table that take the address and the key of its server.
_ADDRESS: Final = {"mlflow": "tracking_uri", "wandb": "base_url", "aim": "repo"}
_KEY: Final = {"wandb": "api_key"}


@dataclass
class ExperimentConfig:
    """What an experiment records. ``name`` is accepted for programs that pass it here."""

    name: str = ""
    track_metrics: bool = True
    track_environment: bool = True
    track_args: bool = True
    track_stdout: bool = False
    track_checkpoints: bool = True
    track_system_metrics: bool = True
    track_git: bool = True
    metrics_interval: float | None = None
    enable_automagic: bool = False
    automagic_frameworks: set[str] | None = None
    enable_artifacts: bool = False
    artifact_watch_dirs: list[str] = field(default_factory=list)
    watch_filesystem: bool = False

    def plugins(self) -> list[str]:
        """Return the plugins that it switches on and off."""
        names = [] if self.track_environment else ["no:environment"]
        if not self.track_system_metrics:
            names += ["no:system", "no:gpu"]
        if not self.track_git:
            names.append("no:code")
        if self.track_stdout:
            names.append("console")
        return names

    def settings(self) -> dict[str, Any]:
        """Return the settings of a run."""
        settings: dict[str, Any] = {}
        if self.metrics_interval is not None and self.track_system_metrics:
            settings["plugins"] = {"system": {"interval": float(self.metrics_interval)}}
        if self.enable_automagic:
            settings["automagic"] = True
        if self.watch_filesystem or self.artifact_watch_dirs:
            note_once("ExperimentConfig: folders are not watched; log files with experiment.log_artifact")
        return settings


def read_config(config: Any) -> ExperimentConfig:
    """Return the configuration of an experiment: as it is, of a mapping, or the default.

    Raises:
        UsageError: it is none of these, or has an unknown key.
    """
    if config is None:
        return ExperimentConfig()
    if isinstance(config, ExperimentConfig):
        return config
    if not isinstance(config, Mapping):
        raise UsageError(
            f"Experiment: config: expected an ExperimentConfig or a mapping, found {type(config).__name__}"
        )
    known = ExperimentConfig.__dataclass_fields__
    unknown = [key for key in config if key not in known]
    if unknown:
        from tracelet.messages import did_you_mean

        raise UsageError(f"Experiment: config: unknown key {unknown[0]!r}{did_you_mean(unknown[0], known)}")
    return ExperimentConfig(**config)


def backend_names(backend: Any) -> list[str]:
    """Return the backends that were named: one, several separated by commas, or a list.

    Raises:
        UsageError: it is not that.
    """
    if backend is None:
        return []
    given: Iterable[Any] = backend.split(",") if isinstance(backend, str) else backend
    if not isinstance(given, Iterable):
        raise UsageError(f"backend: expected a name or a list of names, found {type(backend).__name__}")
    return [str(getattr(one, "value", one)).strip().lower() for one in given if str(one).strip()]


def server_settings(backends: list[str], address: str | None, key: str | None) -> dict[str, Any]:
    """Return the tables of backends that an address and a key of a server make.

    Raises:
        UsageError: the backend has no setting for that.
    """
    tables: dict[str, dict[str, Any]] = {}
    for what, value, names in (("backend_url", address, _ADDRESS), ("api_key", key, _KEY)):
        if value is None:
            continue
        chosen = [name for name in backends if name in names]
        if not chosen:
            known = ", ".join(names)
            raise UsageError(
                f"start_logging: {what}: expected a backend that has one ({known}), found {backends}"
            )
        for name in chosen:
            tables.setdefault(name, {})[names[name]] = value
    return {"plugins": tables} if tables else {}


def merge(*settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return several settings as one; tables of plugins are merged."""
    merged: dict[str, Any] = {}
    plugins: dict[str, Any] = {}
    for each in settings:
        merged.update({key: value for key, value in each.items() if key != "plugins"})
        plugins.update(each.get("plugins", {}))
    return {**merged, **({"plugins": plugins} if plugins else {})}
