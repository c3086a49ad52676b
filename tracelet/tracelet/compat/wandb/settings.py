"""``wandb.Settings``, and the variables ``WANDB_*`` that make a difference here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

#: The variables that are read, and the argument of ``wandb.init`` that each is the default of.
VARIABLES: Final[Mapping[str, str]] = {
    "WANDB_ENTITY": "entity",
    "WANDB_PROJECT": "project",
    "WANDB_NAME": "name",
    "WANDB_NOTES": "notes",
    "WANDB_TAGS": "tags",
    "WANDB_RUN_GROUP": "group",
    "WANDB_JOB_TYPE": "job_type",
    "WANDB_RUN_ID": "id",
    "WANDB_RESUME": "resume",
    "WANDB_MODE": "mode",
}
_ARGUMENTS: Final = {
    **{name: name for name in VARIABLES.values()},
    "reinit": "reinit",
    "run_group": "group",
    "run_id": "id",
    "run_job_type": "job_type",
    "run_name": "name",
    "run_notes": "notes",
    "run_tags": "tags",
}


class Settings:
    """Settings as attributes; those that are arguments of ``wandb.init`` as well have the same effect."""

    def __init__(self, **settings: Any) -> None:
        self.__dict__.update(settings)

    def arguments(self) -> dict[str, Any]:
        """Return the settings that are arguments of ``wandb.init``."""
        return {
            _ARGUMENTS[key]: value
            for key, value in vars(self).items()
            if key in _ARGUMENTS and value is not None
        }

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{key}={value!r}' for key, value in vars(self).items())})"


def settings_arguments(settings: Any) -> dict[str, Any]:
    """Return what ``settings=`` says about the arguments of ``wandb.init``."""
    if settings is None:
        return {}
    return (settings if isinstance(settings, Settings) else Settings(**dict(settings))).arguments()


def environment_arguments() -> dict[str, Any]:
    """Return the arguments of ``wandb.init`` that the environment gives."""
    found: dict[str, Any] = {key: os.environ[name] for name, key in VARIABLES.items() if os.environ.get(name)}
    if "tags" in found:
        found["tags"] = [tag.strip() for tag in found["tags"].split(",") if tag.strip()]
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1", "yes"):
        found["mode"] = "disabled"
    return found
