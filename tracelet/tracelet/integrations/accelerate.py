"""A tracker for Accelerate: ``Accelerator(log_with=TraceletTracker())``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracelet.integrations.run_slot import RecordsIntoRun, missing_package
from tracelet.run import Run

try:
    from accelerate.tracking import GeneralTracker, on_main_process
except ImportError as error:
    raise missing_package("accelerate", ["accelerate"], error) from None

__all__ = ["TraceletTracker"]


class TraceletTracker(RecordsIntoRun, GeneralTracker):  # type: ignore[misc]
    """Records into the active run what ``accelerator.log`` is given; without one, into a run that it starts.

    Only the main process records. ``accelerator.end_training()`` ends a run that was started here.

    Args:
        run: the run to record into, instead of the active one; or the name of the one to start.
        name, project, tags: of the run, if one is started.
        options: further arguments of :func:`tracelet.start_run`.
    """

    name = "tracelet"
    requires_logging_directory = False
    main_process_only = True

    def __init__(self, run: Run | str | None = None, **options: Any) -> None:
        RecordsIntoRun.__init__(self, run, **options)
        GeneralTracker.__init__(self)

    @property
    def tracker(self) -> Run:
        """The run."""
        return self._slot.run

    @on_main_process  # type: ignore[untyped-decorator]
    def start(self) -> None:
        """Look for the run, or start one."""
        _ = self._slot.run

    @on_main_process  # type: ignore[untyped-decorator]
    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Record the configuration as parameters."""
        self._slot.log_params(values)

    @on_main_process  # type: ignore[untyped-decorator]
    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Record numbers at a step, and texts."""
        texts = {key: value for key, value in values.items() if isinstance(value, str)}
        numbers = {key: value for key, value in values.items() if key not in texts}
        if numbers:
            self._slot.try_log(numbers, step)
        for key, text in texts.items():
            self._slot.run.log_text(key, text, step)

    @on_main_process  # type: ignore[untyped-decorator]
    def log_images(self, values: Mapping[str, Sequence[Any]], step: int | None = None, **kwargs: Any) -> None:
        """Record images, several of one name as ``name/0``, ``name/1``, ..."""
        for key, images in values.items():
            for at, image in enumerate(images):
                self._slot.run.log_image(f"{key}/{at}" if len(images) > 1 else key, image, step)

    @on_main_process  # type: ignore[untyped-decorator]
    def log_table(
        self,
        table_name: str,
        columns: Sequence[str] | None = None,
        data: Any = None,
        dataframe: Any = None,
        step: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Record a table: rows with the names of their columns, or a DataFrame."""
        rows = data if dataframe is None else dataframe
        self._slot.run.log_table(table_name, rows, columns if dataframe is None else None, step)

    @on_main_process  # type: ignore[untyped-decorator]
    def finish(self) -> None:
        """End the run if it was started here."""
        self._slot.finish()
