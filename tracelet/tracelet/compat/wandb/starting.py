"""``wandb.init`` and what surrounds it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tracelet.compat.offered import ignored_arguments, note_once
from tracelet.compat.starting import find_run, start_apart
from tracelet.compat.wandb.config_values import choose_keys, read_config
from tracelet.compat.wandb.current import add_run, current_run
from tracelet.compat.wandb.errors import UsageError
from tracelet.compat.wandb.settings import environment_arguments, settings_arguments
from tracelet.compat.wandb.wandb_run import DEFAULT_PROJECT, Run

_MODES: Final = ("online", "offline", "disabled", "shared", "dryrun")
_RESUME: Final = ("allow", "must", "never", "auto")
_BAD_IN_ID: Final = re.compile(r"[^A-Za-z0-9._-]")


def init(
    entity: str | None = None,
    project: str | None = None,
    dir: Any = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Sequence[str] | None = None,
    config: Any = None,
    config_exclude_keys: Sequence[str] | None = None,
    config_include_keys: Sequence[str] | None = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    force: bool | None = None,
    reinit: bool | str | None = None,
    resume: bool | str | None = None,
    resume_from: str | None = None,
    fork_from: str | None = None,
    save_code: bool | None = None,
    tensorboard: bool | None = None,
    sync_tensorboard: bool | None = None,
    monitor_gym: bool | None = None,
    settings: Any = None,
    anonymous: Any = None,
) -> Run:
    """Start a run and make it the current one, or return the one that is going on.

    Raises:
        UsageError: an argument is invalid.
    """
    given: dict[str, Any] = {
        "entity": entity,
        "project": project,
        "id": id,
        "name": name,
        "notes": notes,
        "tags": tags,
    }
    given |= {"group": group, "job_type": job_type, "mode": mode, "resume": resume, "reinit": reinit}
    arguments = {**environment_arguments(), **settings_arguments(settings)}
    arguments |= {key: value for key, value in given.items() if value is not None}
    ignored_arguments(
        "wandb.init", {"resume_from": resume_from, "fork_from": fork_from, "monitor_gym": monitor_gym or None}
    )
    if tensorboard or sync_tensorboard:
        note_once(
            "wandb.init: sync_tensorboard: tracelet's plugin 'summarywriter' records what a SummaryWriter gets"
        )
    values = choose_keys(read_config(config), config_include_keys, config_exclude_keys)
    running = _running(arguments.get("reinit"))
    if running is not None:
        running.config.update(values, allow_val_change=True)
        return running
    return _start(arguments, values, bool(allow_val_change))


def _running(reinit: bool | str | None) -> Run | None:
    """Return the run to go on with; end it if another one is to replace it."""
    run: Run | None = current_run()
    if run is None or reinit == "create_new":
        return None
    if reinit in (True, "finish_previous"):
        run.finish()
        return None
    note_once(
        f"wandb.init: run {run.id} is going on and is returned; call run.finish() first for another one"
    )
    return run


def _start(arguments: Mapping[str, Any], config: dict[str, Any], allow_val_change: bool) -> Run:
    from tracelet.compat.wandb.sweeps import sweep_config

    mode = _one_of("mode", arguments.get("mode"), _MODES)
    tags = arguments.get("tags") or ()
    project = arguments.get("project")
    run_id, resumed = _choose_id(arguments)
    started = start_apart(
        arguments.get("name"),
        project=project,
        run_id=run_id,
        resume=resumed,
        config={"mode": "disabled"} if mode == "disabled" else None,
        group=arguments.get("group"),
        job_type=arguments.get("job_type"),
        notes=arguments.get("notes"),
    )
    run = Run(started, {**arguments, "mode": mode, "resumed": resumed}, allow_val_change=allow_val_change)
    add_run(run)
    run.set_first_tags((tags,) if isinstance(tags, str) else tuple(tags))
    if resumed:
        run.take_over_config()
    run.config.update(config, allow_val_change=True)
    run.config.update_locked(sweep_config())
    return run


def _one_of(name: str, value: Any, known: Sequence[str]) -> Any:
    if value is not None and value not in known:
        raise UsageError(f"wandb.init: {name}: expected one of {', '.join(known)}, found {value!r}")
    return value


def _choose_id(arguments: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Return the id of the run, if it is given, and whether the run is to be continued."""
    resume = arguments.get("resume")
    resume = {True: "auto", "true": "auto", False: None, "": None}.get(resume, resume)
    _one_of("resume", resume, _RESUME)
    given = arguments.get("id")
    if given is None:
        if resume == "must":
            raise UsageError('wandb.init: resume="must" needs the id of the run: pass id=')
        return None, False
    run_id = _BAD_IN_ID.sub("_", str(given)).lstrip("._-")[:128] or "run"
    exists = find_run(run_id) is not None
    if resume == "must" and not exists:
        raise UsageError(f'wandb.init: resume="must", but there is no run with id {given!r}')
    if resume == "never" and exists:
        raise UsageError(f'wandb.init: resume="never", but there is a run with id {given!r} already')
    if exists and resume is None:
        note_once(f"wandb.init: run {given} exists and is continued; W&B would overwrite it")
    return run_id, exists


def login(
    key: str | None = None,
    relogin: bool | None = None,
    host: str | None = None,
    force: bool | None = None,
    timeout: int | None = None,
    verify: bool = True,
    **_: Any,
) -> bool:
    """Do nothing: recording needs no login. A backend has its own key, see docs/backends/wandb.md."""
    note_once(
        "wandb.login: tracelet records without a login; the key of a backend belongs into [plugins.wandb]"
    )
    return True


class _Setup:
    """What ``wandb.setup`` returns."""

    @property
    def settings(self) -> Any:
        """Settings without values."""
        from tracelet.compat.wandb.settings import Settings

        return Settings(
            entity=os.environ.get("WANDB_ENTITY"), project=os.environ.get("WANDB_PROJECT", DEFAULT_PROJECT)
        )


def setup(settings: Any = None) -> _Setup:
    """Do nothing: there is no service to start."""
    return _Setup()


def teardown(exit_code: int | None = None) -> None:
    """End the current run, if there is one."""
    run = current_run()
    if run is not None:
        run.finish(exit_code)


def require(requirement: Any = None, experiment: Any = None) -> None:
    """Do nothing: features do not need to be switched on."""


def attach(attach_id: str) -> Run:
    """Return the current run if it has this id.

    Raises:
        UsageError: it has not: a run is attached to where it was started.
    """
    run: Run | None = current_run()
    if run is None or run.id != attach_id:
        raise UsageError(
            f"wandb.attach: run {attach_id!r} is not going on in this process; call wandb.init(id=, resume=)"
        )
    return run
