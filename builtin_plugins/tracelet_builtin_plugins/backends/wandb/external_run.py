"""The run at W&B: opened once in a process, written to, and finished."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.wandb import mapping
from tracelet_builtin_plugins.backends.wandb.run_file import RunFile, delivered_in
from tracelet_builtin_plugins.extras import MissingExtraError, import_extra
from tracelet_builtin_plugins.own_process import in_own_process
from tracelet_hookspecs import MetricData, RecordId, RunView, mask_text

__all__ = ["ExternalRun", "OutageError", "load_wandb"]

MINIMUM: Final = "0.31"  # whose file is written at an interval of our choice
INIT_TIMEOUT: Final = 24.0  # seconds; a data hook may take 30
WRITE_TIMEOUT: Final = 20.0
FLUSH_INTERVAL: Final = 0.01  # seconds between two writes of wandb's own process to the run's file
REMEMBERED: Final = 100_000  # ids of points, to recognize repeats in this process

_open_runs: dict[str, Any] = {}  # by id: wandb refuses to open a run twice in one process


class OutageError(ConnectionError):
    """W&B cannot be reached, or does not answer in time."""


def load_wandb() -> Any:
    """Import wandb. Raises :class:`MissingExtraError` if that is impossible.

    A program that uses wandb itself passes on the address of wandb's process. It would keep our run open after a crash
    of ours, and refuse it to our successor.
    """
    if in_own_process():
        os.environ.pop("WANDB_SERVICE", None)
    return import_extra("wandb", plugin="wandb", distribution="wandb", minimum=MINIMUM)


class _NameMap(dict[str, str]):
    """The accepted name of each name, computed when it is first needed."""

    def __missing__(self, name: str) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        self[name] = mapping.metric_name(name)
        return self[name]


class ExternalRun:
    """One wandb run. A call returns when the run's file on this machine has what was sent."""

    def __init__(self, config: Mapping[str, Any], run: RunView, root: Path) -> None:
        self.id = mapping.run_id(run.id)
        self.folder = root / Path(config.get("dir") or ".").expanduser()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.delivered = delivered_in(self.folder / "wandb", self.id)
        self._before: dict[str, list[int]] = dict(self.delivered)
        with translated():
            if self.id in _open_runs:  # of a plugin that was abandoned in this process
                _open_runs.pop(self.id).finish()
            self._run = _open_runs[self.id] = start(config, run, self.id, self.folder)
        self._learn_from_server()
        self.file = RunFile(Path(self._run.settings.sync_file))
        self.is_offline = bool(self._run.settings._offline)
        self.sent = 0
        self._names = _NameMap()
        self._recent: set[RecordId] = set()
        self._older: set[RecordId] = set()
        self._tags: dict[str, Any] = dict(self._config_of("tags"))
        # Without step_sync, which would give a row that has no step the latest one.
        self._run.define_metric("*", step_metric=mapping.STEP, step_sync=False)

    @property
    def url(self) -> str | None:
        """The run's page, if it has one."""
        return None if self.is_offline else self._run.url

    def _config_of(self, key: str) -> Mapping[str, Any]:
        value = dict(self._run.config).get(key)
        return value if isinstance(value, Mapping) else {}

    def _learn_from_server(self) -> None:
        """Take over what the server has of a run that was begun on another machine."""
        for writer, position in dict(self._config_of("tracelet").get("delivered") or {}).items():
            known = self._before.get(writer, [-1, -1])
            self._before[writer] = self.delivered[writer] = max(known, list(position))

    # -- what has been sent -----------------------------------------------------------------------------

    def is_known(self, id: RecordId | None) -> bool:
        """Say whether a record was sent already: by this process, or by an earlier one."""
        if id is None:
            return False
        if id in self._recent or id in self._older:
            return True
        before = self._before.get(id[0])
        return before is not None and list(id[1:]) <= before

    def _remember(self, ids: Sequence[RecordId]) -> None:
        self._recent.update(ids)
        if len(self._recent) >= REMEMBERED:
            self._older, self._recent = self._recent, set()
        for writer, *position in ids:
            self.delivered[writer] = max(self.delivered.get(writer, position), position)

    def confirm(self, ids: Sequence[RecordId]) -> None:
        """Wait until the run's file has these records.

        Their positions are sent after them, as a part of the configuration; wandb writes in order.
        """
        self._remember(ids)
        wanted = {id[0]: self.delivered[id[0]] for id in ids}
        about = {"run_id": self._run.id, "delivered": self.delivered}
        with translated():
            self._run.config.update({"tracelet": about}, allow_val_change=True)
        end = time.monotonic() + WRITE_TIMEOUT
        while wanted:
            for writer, position in self.file.read_delivered().items():
                if writer in wanted and position >= wanted[writer]:
                    del wanted[writer]
            if wanted and time.monotonic() > end:
                raise OutageError(f"wandb has not written the run's file within {WRITE_TIMEOUT:.0f} s")
            if wanted:
                time.sleep(0.005)

    # -- what hooks send --------------------------------------------------------------------------------

    def send_points(self, points: Sequence[MetricData]) -> None:
        """Log points: one row for each record."""
        fresh = [point for point in points if not self.is_known(point.id)]
        sent: list[RecordId] = []
        try:
            with translated():
                for row in mapping.rows_of(fresh):
                    self._run.log(mapping.row_of(row, self._names))
                    sent += [point.id for point in row if point.id is not None]
        finally:
            self._remember(sent)  # what follows a failure is sent again, but not these
        self.confirm([point.id for point in points if point.id is not None])
        self.sent += len(fresh)

    def send_config(self, values: Mapping[str, Any], id: RecordId | None) -> None:
        """Store parameters."""
        self._once(id, lambda: self._run.config.update(dict(values), allow_val_change=True))

    def send_tags(self, tags: Mapping[str, Any], id: RecordId | None) -> None:
        """Store tags: as W&B's own, which have no values, and in the configuration."""

        def send() -> None:
            mine = {mapping.tag_text(key, value) for key, value in self._tags.items()}
            others = [tag for tag in self._run.tags or () if tag not in mine]
            self._tags.update(tags)
            shown = [mapping.tag_text(key, value) for key, value in self._tags.items()]
            self._run.tags = tuple(dict.fromkeys([*others, *shown]))
            self._run.config.update({"tags": dict(self._tags)}, allow_val_change=True)

        self._once(id, send)

    def remove_tags(self, names: Iterable[str]) -> None:
        """Remove tags."""
        gone = {name: self._tags.pop(name) for name in names if name in self._tags}
        if gone:
            texts = {mapping.tag_text(key, value) for key, value in gone.items()}
            with translated():
                self._run.tags = tuple(tag for tag in self._run.tags or () if tag not in texts)
                self._run.config.update({"tags": dict(self._tags)}, allow_val_change=True)

    def send_row(self, row: Mapping[str, Any], id: RecordId | None) -> None:
        """Log one row."""
        self._once(id, lambda: self._run.log(dict(row)))

    def send_artifact(self, artifact: Any, id: RecordId | None) -> None:
        """Store an artifact; online, wait until it is uploaded. The same content again makes no new version."""

        def send() -> None:
            logged = self._run.log_artifact(artifact)
            if not self.is_offline:
                logged.wait(timeout=int(WRITE_TIMEOUT))

        self._once(id, send)

    def change(self, *, name: str | None = None, notes: str | None = None) -> None:
        """Give the run another name or note."""
        with translated():
            if name:
                self._run.name = name
            if notes is not None:
                self._run.notes = notes

    def _once(self, id: RecordId | None, send: Callable[[], Any]) -> None:
        if not self.is_known(id):
            with translated():
                send()
        if id is not None:
            self.confirm([id])

    def finish(self, exit_code: int, within: float) -> bool:
        """End the run, and say whether W&B has everything by then. wandb's process continues to upload without us."""
        _open_runs.pop(self.id, None)
        thread = threading.Thread(
            target=self._run.finish, args=(exit_code,), name="tracelet wandb", daemon=True
        )
        thread.start()
        thread.join(within)
        return not thread.is_alive()


def start(config: Mapping[str, Any], run: RunView, run_id: str, folder: Path) -> Any:
    """Return a wandb run that continues the one of this id, if there is one."""
    wandb = load_wandb()
    settings = {
        "mode": config.get("mode") or "online",
        "reinit": "create_new",  # a run of the program's own is not touched
        "root_dir": str(folder),
        "base_url": config.get("base_url"),
        "api_key": config.get("api_key"),
        "init_timeout": INIT_TIMEOUT,
        "login_timeout": INIT_TIMEOUT,
        "console": "off",
        "silent": True,
        "quiet": True,
        "show_emoji": False,
        "disable_git": True,
        "disable_code": True,
        "save_code": False,
        "disable_job_creation": True,
        "x_disable_meta": True,
        "x_disable_stats": True,
        "x_disable_machine_info": True,
        "x_save_requirements": False,
        "x_start_time": run.started_at,
        "x_transaction_log_flush_interval": FLUSH_INTERVAL,
        "x_skip_transaction_log": False,
        "program": "",
    }
    known = known_settings(wandb.Settings)
    given = {key: value for key, value in settings.items() if key in known and value is not None}
    wandb.setup(wandb.Settings(silent=True, quiet=True))  # logging in would print otherwise
    try:
        return wandb.init(
            id=run_id,
            resume="allow",
            project=mapping.project_name(config.get("project") or run.project),
            entity=config.get("entity"),
            name=mapping.text(run.name),
            group=config.get("group") or getattr(run, "group", None),
            job_type=config.get("job_type") or getattr(run, "job_type", None),
            notes=getattr(run, "notes", None),
            dir=str(folder),
            config={},
            settings=wandb.Settings(**given),
        )
    except Exception:
        if in_own_process():
            wandb.teardown()  # its process holds the half-opened run, and would refuse the next attempt
        raise


@lru_cache(maxsize=1)
def known_settings(settings: Any) -> frozenset[str]:
    """Return the names of the settings that this version of wandb has."""
    return frozenset(settings.model_fields)


class translated:
    """Turns wandb's exceptions into those that say what to do about them."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, MissingExtraError):
            raised = translate(error)
            if raised is not error:
                raise raised from error


def translate(error: Exception) -> Exception:
    """Return the exception to raise in place of wandb's."""
    names = {cls.__name__ for cls in type(error).__mro__}
    said = mask_text(f"wandb: {' '.join(str(error).split())[:500] or type(error).__name__}")
    low = said.lower()
    if "AuthenticationError" in names or "api_key not configured" in low or "api key" in low:
        return PermissionError(f'{said}; set WANDB_API_KEY or plugins.wandb.api_key, or mode = "offline"')
    if any(word in low for word in ("permission", "403", "401", "unauthorized")):
        return PermissionError(f"{said}; check the API key, the entity and the project")
    if names & {
        "CommError",
        "MailboxClosedError",
        "HandleAbandonedError",
        "WaitTimeoutError",
        "TimeoutError",
    }:
        return OutageError(said)
    if names & {"ServiceStartTimeoutError", "ServiceDiedError", "ConnectionResetError", "BrokenPipeError"}:
        return OutageError(said)
    return error
