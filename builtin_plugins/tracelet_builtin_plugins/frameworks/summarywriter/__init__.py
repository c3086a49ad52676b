"""The framework plugin ``summarywriter``: records what a program writes to TensorBoard.

``docs/plugins/summarywriter.md`` says what becomes of each call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType
from typing import Any, Final

from tracelet_builtin_plugins.capturing import CapturePlugin, Patches
from tracelet_builtin_plugins.frameworks.summarywriter import beside
from tracelet_builtin_plugins.frameworks.summarywriter.decoding import bins_of, record_tensor
from tracelet_builtin_plugins.frameworks.summarywriter.latest import latest, marking_figures, remembering
from tracelet_builtin_plugins.frameworks.summarywriter.names import Names
from tracelet_builtin_plugins.frameworks.summarywriter.tensorflow import (
    folder_of_writer,
    note_folder,
    places_of_write,
    record_written,
    step_of,
    wrap_write,
)
from tracelet_hookspecs import RunView, hookimpl, is_suspended

__all__ = ["SummaryWriterCapture"]

_GIF: Final = b"GIF8"
_OWN: Final = ("summarywriter",)


class SummaryWriterCapture(CapturePlugin):
    """Records every ``add_*`` of the ``SummaryWriter`` of PyTorch and of tensorboardX, and ``tf.summary``.

    All of them write through a ``FileWriter``, whose summaries are recorded after they were written. The calls of which
    a summary keeps only a part (meshes, embeddings, curves, hyperparameters) are recorded with what they were given.
    """

    NAME = "summarywriter"
    DESCRIPTION = "Records what the program writes to TensorBoard"
    MODULES = {
        "torch.utils.tensorboard.writer": "patch_writer",
        "tensorboardX.writer": "patch_writer",
        "tensorflow": "patch_tensorflow",
        "accelerate.accelerator": "patch_accelerate",
        "ignite.handlers.tensorboard_logger": "patch_ignite",
        "stable_baselines3.common.logger": "patch_stable_baselines3",
    }
    patch_accelerate = staticmethod(beside.patch_accelerate)
    patch_ignite = staticmethod(beside.patch_ignite)
    patch_stable_baselines3 = staticmethod(beside.patch_stable_baselines3)

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Record from now on what is written."""
        self._names = Names()
        #: By folder and the tag as it was given, since tensorboardX replaces characters in it.
        self.quick_names: dict[tuple[str, Any], str] = {}
        self.log_metric = run.log_metric
        super().run_started(run)

    @classmethod
    def patch_writer(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the calls of a module that defines ``FileWriter`` and ``SummaryWriter``."""
        has_defaults = hasattr(module.FileWriter, "use_metadata")
        patches.wrap(module.FileWriter, "add_summary", partial(cls._recording, has_defaults=has_defaults))
        patches.wrap(module, "scalar", remembering)
        writer = module.SummaryWriter
        patches.wrap(writer, "add_figure", marking_figures)
        patches.after(writer, "add_scalars", cls.note_scalars, suspend=_OWN)
        patches.after(writer, "add_hparams", cls.note_hparams, suspend=_OWN)
        patches.after(writer, "add_mesh", cls.note_mesh, suspend=_OWN)
        patches.after(writer, "add_pr_curve", cls.note_curve, suspend=_OWN)
        patches.after(writer, "add_embedding", cls.note_embedding, suspend=_OWN)

    @classmethod
    def patch_tensorflow(cls, module: ModuleType, patches: Patches) -> None:
        """Wrap the one call that writes the summaries of TensorFlow."""

        def note(*written: Any) -> None:
            plugin: Any = cls.current()
            if plugin is not None:
                try:
                    plugin.note_written(*written)
                except Exception as error:
                    plugin.report(error, "tf.summary")

        for place in places_of_write(module):
            patches.wrap(place, "write", lambda original: wrap_write(original, note))
            patches.after(place, "create_file_writer", note_folder)

    def note_written(self, result: Any, tag: Any, tensor: Any, step: Any, metadata: Any) -> None:
        """Record a summary of TensorFlow. Inside a ``tf.function`` there are no values yet, so nothing is recorded."""
        if not hasattr(result, "numpy") or not bool(result):
            return
        plugin = metadata.plugin_data.plugin_name if metadata is not None else ""
        name = self._names(folder_of_writer(), str(tag))
        record_written(self.run, name, tensor, step_of(step), plugin)

    @classmethod
    def _recording(cls, original: Callable[..., None], has_defaults: bool) -> Callable[..., None]:
        """Wrap ``add_summary``; with ``has_defaults``, the writer may have a step and a time for a block of calls."""
        current, made_last, shared, own = cls.current, latest, cls._shared, cls.NAME

        def add_summary(self: Any, summary: Any, global_step: Any = None, walltime: Any = None) -> None:
            original(self, summary, global_step, walltime)
            recording = shared.recording
            if len(recording) == 1 and not is_suspended(own):
                plugin: Any = recording[0]  # as ``current`` does
            elif (plugin := current()) is None:
                return
            try:
                made, number, tag = made_last.scalar
                # This covers nearly every call, and costs as little as it can.
                if (
                    made is summary
                    and walltime is None
                    and global_step.__class__ is int
                    and not (has_defaults and self._default_metadata)
                ):
                    name = plugin.quick_names.get((self.event_writer.get_logdir(), tag))
                    if name is not None:
                        plugin.log_metric(name, number, global_step)
                        return
                plugin.note(self, summary, global_step, walltime)
            except Exception as error:
                plugin.report(error, "SummaryWriter")

        return add_summary

    def note(self, writer: Any, summary: Any, step: Any, walltime: Any) -> None:
        """Record a summary that was written."""
        folder = writer.event_writer.get_logdir()
        made, number, given = latest.scalar
        for value in summary.value:
            name = self._names(folder, value.tag)
            if made is summary:
                self._log_at(writer, name, number, step, walltime)
                self.quick_names[folder, given] = name
            else:
                self._note_value(writer, name, value, step, walltime)

    def _note_value(self, writer: Any, name: str, value: Any, step: Any, walltime: Any) -> None:
        kind = value.WhichOneof("value")
        if kind == "simple_value":
            self._log_at(writer, name, value.simple_value, step, walltime)
            return
        step = _step(writer, step)
        if kind == "histo":
            self.run.log_histogram(name, bins_of(value.histo), step)
        elif kind == "image":
            self._log_image(name, value.image.encoded_image_string, step)
        elif kind == "audio":
            self.run.log_audio(name, value.audio.encoded_audio_string, step)
        else:  # a tensor, or metadata alone
            record_tensor(self.run, name, value, step)

    def _log_at(self, writer: Any, name: str, number: float, step: Any, walltime: Any) -> None:
        if walltime is None:
            walltime = (getattr(writer, "_default_metadata", None) or {}).get("walltime")
        when = None if walltime is None else float(walltime)
        self.run.log_metric(name, number, _step(writer, step), timestamp=when)

    def _log_image(self, name: str, data: bytes, step: int | None) -> None:
        if data.startswith(_GIF):
            self.run.log_video(name, data, step)
        elif latest.is_figure:
            self.run.log_figure(name, data, step)
        else:
            self.run.log_image(name, data, step)

    # -- calls of which a summary keeps only a part ------------------------------------------------------

    def name_of(self, writer: Any, tag: str) -> str:
        """Return the name of a tag of a ``SummaryWriter``."""
        return self._names(writer._get_file_writer().get_logdir(), str(tag))

    def note_scalars(
        self, _result: Any, writer: Any, main_tag: str, tag_scalar_dict: Any, *more: Any, **named: Any
    ) -> None:
        """Record several curves of one chart as ``main_tag/name``: each has an event file of its own."""
        step, walltime, *_ = (*more, None, None)
        step, walltime = named.get("global_step", step), named.get("walltime", walltime)
        files = writer._get_file_writer()
        for tag, value in tag_scalar_dict.items():
            number = float(value)
            self._log_at(files, self.name_of(writer, f"{main_tag}/{tag}"), number, step, walltime)

    def note_hparams(
        self, _result: Any, writer: Any, hparam_dict: Any, metric_dict: Any, *more: Any, **named: Any
    ) -> None:
        """Record hyperparameters, and the results that belong to them."""
        self.run.log_params(dict(hparam_dict))
        position = 1 if type(writer).__module__.startswith("tensorboardX") else 2
        step = named.get("global_step", more[position] if len(more) > position else None)
        for tag, value in metric_dict.items():
            self.run.log_metric(self.name_of(writer, tag), float(value), None if step is None else int(step))

    def note_mesh(
        self,
        _result: Any,
        writer: Any,
        tag: str,
        vertices: Any,
        colors: Any = None,
        faces: Any = None,
        config_dict: Any = None,
        global_step: Any = None,
        walltime: Any = None,
    ) -> None:
        """Record each mesh of a batch."""
        name, step = self.name_of(writer, tag), _step(writer._get_file_writer(), global_step)
        several = len(vertices) > 1
        for at, points in enumerate(vertices):
            self.run.log_mesh(
                f"{name}/{at}" if several else name,
                points,
                step,
                faces=None if faces is None else faces[at],
                colors=None if colors is None else colors[at],
            )

    def note_curve(
        self,
        _result: Any,
        writer: Any,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: Any = None,
        *more: Any,
        **named: Any,
    ) -> None:
        """Record precision against recall from the labels and predictions themselves."""
        step = _step(writer._get_file_writer(), global_step)
        self.run.log_pr_curve(self.name_of(writer, tag), _flat(labels), _flat(predictions), step)

    def note_embedding(
        self,
        _result: Any,
        writer: Any,
        mat: Any,
        metadata: Any = None,
        label_img: Any = None,
        global_step: Any = None,
        tag: str = "default",
        metadata_header: Any = None,
    ) -> None:
        """Record vectors with their labels and pictures."""
        labels = metadata
        if metadata is not None and metadata_header:
            rows = [[str(cell) for cell in row] for row in metadata]
            labels = {str(name): [row[at] for row in rows] for at, name in enumerate(metadata_header)}
        images = label_img.permute(0, 2, 3, 1) if hasattr(label_img, "permute") else label_img
        step = _step(writer._get_file_writer(), global_step)
        self.run.log_embedding(self.name_of(writer, tag), mat, step, labels=labels, images=images)


def _step(writer: Any, step: Any) -> int | None:
    """Return the step of a call; tensorboardX may have set one for a block of calls."""
    if step is None:
        step = (getattr(writer, "_default_metadata", None) or {}).get("global_step")
    return None if step is None else int(step)


def _flat(values: Any) -> Any:
    return values.reshape(-1) if hasattr(values, "reshape") else list(_flattened(values))


def _flattened(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flattened(value)
        else:
            yield value
