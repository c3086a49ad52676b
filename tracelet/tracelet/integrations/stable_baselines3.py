"""An output format for Stable-Baselines3: ``model.set_logger(Logger(None, [TraceletOutputFormat()]))``."""

from __future__ import annotations

from typing import Any

from tracelet.integrations.run_slot import RecordsIntoRun, missing_package

try:
    from stable_baselines3.common.logger import Figure, HParam, Image, KVWriter, Video
except ImportError as error:
    raise missing_package("stable_baselines3", ["stable-baselines3"], error) from None

__all__ = ["TraceletOutputFormat"]


class TraceletOutputFormat(RecordsIntoRun, KVWriter):  # type: ignore[misc]
    """Records into the active run what an algorithm logs; without one, into a run that it starts.

    The step is the number of timesteps, as Stable-Baselines3 passes it. ``exclude="tracelet"`` of ``logger.record``
    leaves a value out. ``close()`` ends a run that was started here.

    Args:
        run: the run to record into, instead of the active one; or the name of the one to start.
        name, project, tags: of the run, if one is started.
        options: further arguments of :func:`tracelet.start_run`.
    """

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, Any], step: int = 0) -> None:
        """Record one dump of the logger: its numbers as one row, and its texts and media."""
        wanted = {
            key: value for key, value in key_values.items() if "tracelet" not in (key_excluded.get(key) or ())
        }
        media = {key: value for key, value in wanted.items() if _is_medium(value)}
        numbers = {key: value for key, value in wanted.items() if key not in media}
        if numbers:
            self._slot.try_log(numbers, step)
        for key, value in media.items():
            self._log_medium(key, value, step)

    def _log_medium(self, key: str, value: Any, step: int) -> None:
        run = self.run
        if isinstance(value, str):
            run.log_text(key, value, step)
        elif isinstance(value, Figure):
            run.log_figure(key, value.figure, step)
        elif isinstance(value, Image):
            run.log_image(key, _channels_last(value.image, value.dataformats), step)
        elif isinstance(value, Video):
            run.log_video(key, value.frames[0].permute(0, 2, 3, 1), step, fps=value.fps)
        elif isinstance(value, HParam):
            self._slot.log_params(value.hparam_dict)
        else:
            run.log_histogram(key, value, step)

    def close(self) -> None:
        """End the run if it was started here. May be called several times."""
        self._slot.finish()


def _is_medium(value: Any) -> bool:
    """Return whether a value is not one number. An array of one element is a number."""
    if isinstance(value, (str, Figure, Image, Video, HParam)):
        return True
    return hasattr(value, "shape") and value.shape not in ((), (1,))


def _channels_last(image: Any, dataformats: str) -> Any:
    """Return an image with its axes in the order height, width, channels."""
    if isinstance(image, str):
        return image
    order = [dataformats.upper().index(axis) for axis in "NHWC" if axis in dataformats.upper()]
    turned = image.permute(*order) if hasattr(image, "permute") else image.transpose(*order)
    return turned[0] if "N" in dataformats.upper() else turned
