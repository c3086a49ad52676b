"""The objects that programs log: images, tables, histograms, sounds, ... Each knows how a run records it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.compat.wandb.errors import UsageError
from tracelet.compat.wandb.tables import JoinedTable, Table
from tracelet.compat.wandb.values import Media

if TYPE_CHECKING:
    from tracelet.run import Run

__all__ = [
    "Audio",
    "Classes",
    "Graph",
    "Histogram",
    "Html",
    "Image",
    "JoinedTable",
    "Molecule",
    "Object3D",
    "Plotly",
    "Table",
    "Video",
    "box3d",
]

_POINTS: Final = (3, 4, 6)  # values of each point of a cloud


class Classes:
    """The names of the classes of a picture's boxes and masks."""

    def __init__(self, class_set: Sequence[Mapping[str, Any]]) -> None:
        self.class_set = [dict(one) for one in class_set]


class Image(Media):
    """A picture: a path, a Pillow image, a figure, or an array (height, width[, channels]), with a caption."""

    def __init__(
        self,
        data_or_path: Any,
        mode: str | None = None,
        caption: str | None = None,
        grouping: int | None = None,
        classes: Classes | Sequence[Mapping[str, Any]] | None = None,
        boxes: Mapping[str, Mapping[str, Any]] | None = None,
        masks: Mapping[str, Mapping[str, Any]] | None = None,
        file_type: str | None = None,
        normalize: bool = True,
    ) -> None:
        is_image = isinstance(data_or_path, Image)
        self._data: Any = data_or_path._data if is_image else _picture(data_or_path, mode)
        self._caption = caption
        self._classes = classes.class_set if isinstance(classes, Classes) else classes
        self._boxes = boxes
        self._masks = dict(masks or {})

    @property
    def image(self) -> Any:
        """The picture as Pillow's image."""
        import io

        from PIL import Image as Pillow

        from tracelet.run.media.images import image_bytes

        return Pillow.open(io.BytesIO(image_bytes(self._data)[0]))

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it, and each of its masks as a picture of its own."""
        from tracelet.run.media.images import image_bytes

        facts = {"caption": self._caption, "classes": self._classes, "boxes": self._boxes}
        self._record_as("image", run, name, step, lambda: image_bytes(self._data), facts)
        for mask, given in self._masks.items():
            data = given.get("mask_data", given.get("path"))
            labels = {"class_labels": given.get("class_labels")}
            self._record_as("image", run, f"{name}/masks/{mask}", step, partial(image_bytes, data), labels)


def _picture(data: Any, mode: str | None) -> Any:
    if hasattr(data, "detach") and hasattr(data, "permute"):  # a tensor has its channels first
        data = data.detach().cpu()
        if data.dim() == 4:
            data = _grid(data)
        if data.dim() == 3 and data.shape[0] in (1, 3, 4):
            data = data.permute(1, 2, 0)
        data = data.float().clamp(0, 1).numpy() if data.is_floating_point() else data.numpy()
    if mode is not None and hasattr(data, "convert"):
        return data.convert(mode)
    if isinstance(data, os.PathLike):
        return os.fspath(data)
    return data


def _grid(batch: Any) -> Any:
    """Return the pictures of a batch in a row."""
    return batch.permute(1, 2, 0, 3).reshape(batch.shape[1], batch.shape[2], -1)


class Histogram(Media):
    """A distribution: of a sequence of numbers, or counts and edges as NumPy returns them."""

    MAX_LENGTH = 512

    def __init__(self, sequence: Any = None, np_histogram: Any = None, num_bins: int = 64) -> None:
        if (sequence is None) == (np_histogram is None):
            raise ValueError("Must provide exactly one of sequence and np_histogram")
        if np_histogram is not None and len(np_histogram) != 2:
            raise ValueError("Expected np_histogram to be a tuple of (values, bin_edges)")
        if num_bins > self.MAX_LENGTH:
            raise ValueError(f"The maximum length of a histogram is {self.MAX_LENGTH}")
        self._sequence = sequence
        self._counted = np_histogram
        self._num_bins = num_bins

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it."""
        if self._counted is None:
            run.log_histogram(name, self._sequence, step, bins=self._num_bins)
            return
        counts, edges = ([float(each) for each in part] for part in self._counted)
        self._record_as(
            "histogram", run, name, step, lambda: (_counted_json(counts, edges), ".histogram.json", {})
        )


def _counted_json(counts: list[float], edges: list[float]) -> bytes:
    from tracelet.run.json_values import strict_json

    whole = [int(count) if count.is_integer() else count for count in counts]
    return strict_json({"edges": edges, "counts": whole, "count": sum(whole), "not_finite": 0})


class Audio(Media):
    """A sound: a path, or an array of samples with its sample rate."""

    def __init__(self, data_or_path: Any, sample_rate: int | None = None, caption: str | None = None) -> None:
        if not isinstance(data_or_path, (str, os.PathLike)) and sample_rate is None:
            raise ValueError(
                'Argument "sample_rate" is required when instantiating wandb.Audio with raw data.'
            )
        self._data = data_or_path
        self._sample_rate = sample_rate
        self._caption = caption

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it."""
        from tracelet.run.media.audio import audio_bytes

        facts = {"caption": self._caption}
        self._record_as("audio", run, name, step, lambda: audio_bytes(self._data, self._sample_rate), facts)


class Video(Media):
    """A video: a path, a file object, or an array (time, channels, height, width)."""

    def __init__(
        self, data_or_path: Any, caption: str | None = None, fps: int | None = None, format: str | None = None
    ) -> None:
        self._data = data_or_path if not hasattr(data_or_path, "shape") else _frames(data_or_path)
        self._caption = caption
        self._fps = fps or 4

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it."""
        from tracelet.run.media.video import video_bytes

        facts = {"caption": self._caption}
        self._record_as("video", run, name, step, lambda: video_bytes(self._data, self._fps), facts)


def _frames(array: Any) -> Any:
    """Return (time, height, width, channels); of a batch, the videos one after the other."""
    array = array.detach().cpu().numpy() if hasattr(array, "detach") else array
    if array.ndim == 5:
        array = array.reshape(-1, *array.shape[2:])
    if array.ndim != 4:
        raise ValueError(f"Video: expected 4 dimensions (time, channels, height, width), found {array.ndim}")
    return array.transpose(0, 2, 3, 1) if array.shape[1] in (1, 3, 4) else array


class Html(Media):
    """HTML: a text, a file object, or the path of an ``.html`` file."""

    def __init__(self, data: Any, inject: bool = True, data_is_not_path: bool = False) -> None:
        is_path = isinstance(data, os.PathLike) or (isinstance(data, str) and os.path.isfile(data))
        if is_path and not data_is_not_path:
            self.html = Path(data).read_text(encoding="utf-8")
        elif hasattr(data, "read"):
            data.seek(0)
            self.html = data.read()
        else:
            self.html = str(data)

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it."""
        self._record_as(
            "html", run, name, step, lambda: (self.html.encode("utf-8", "backslashreplace"), ".html", {})
        )


class Object3D(Media):
    """A cloud of points, an array (number, 3 | 4 | 6), or a file of a mesh."""

    def __init__(self, data_or_path: Any, caption: str | None = None, **kwargs: Any) -> None:
        self._data = data_or_path["points"] if isinstance(data_or_path, Mapping) else data_or_path
        self._caption = caption
        shape = getattr(self._data, "shape", None)
        if shape is not None and (len(shape) != 2 or shape[1] not in _POINTS):
            raise ValueError(
                f"The shape of the numpy array must be one of either: (N, 3), (N, 4) or (N, 6), not {shape}"
            )

    @classmethod
    def from_numpy(cls, data: Any) -> Object3D:
        """Return a cloud of points."""
        return cls(data)

    @classmethod
    def from_file(cls, data_or_path: Any, file_type: str | None = None) -> Object3D:
        """Return what a file holds."""
        return cls(data_or_path)

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it: the first three values of a point are its place, three more its color."""
        if not hasattr(self._data, "shape"):
            run.log_mesh(name, self._data, step)
            return
        colors = self._data[:, 3:] if self._data.shape[1] == 6 else None
        run.log_mesh(name, self._data[:, :3], step, colors=colors)


class Molecule(Media):
    """A molecule, as a file or text."""

    def __init__(self, data_or_path: Any, caption: str | None = None, **kwargs: Any) -> None:
        self._data = data_or_path

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it as a text."""
        is_path = isinstance(self._data, (str, os.PathLike)) and os.path.isfile(self._data)
        if is_path:
            run.log_text(name, Path(self._data).read_text(encoding="utf-8"), step)
        else:
            run.log_text(name, self._data.read() if hasattr(self._data, "read") else str(self._data), step)


class Plotly(Media):
    """A figure of Plotly or Matplotlib."""

    def __init__(self, val: Any) -> None:
        self._figure = val

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it."""
        run.log_figure(name, self._figure, step)


class Graph(Media):
    """The layers of a model, recorded as a text."""

    def __init__(self, format: str = "keras") -> None:
        self.format = format
        self.nodes: list[str] = []

    @classmethod
    def from_keras(cls, model: Any) -> Graph:
        """Return the layers of a model of Keras."""
        graph = cls("keras")
        model.summary(print_fn=lambda line, **_: graph.nodes.append(line))
        return graph

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it."""
        run.log_text(name, "\n".join(self.nodes), step)


def box3d(*, center: Sequence[float], size: Sequence[float], orientation: Sequence[float], color: Sequence[int],
          label: str | None = None, score: float | None = None) -> dict[str, Any]:  # fmt: skip
    """Return a box in space as a mapping."""
    if len(center) != 3 or len(size) != 3 or len(orientation) != 4:
        raise UsageError("wandb.box3d: expected a center and a size of 3 numbers and an orientation of 4")
    box = {"center": list(center), "size": list(size), "orientation": list(orientation), "color": list(color)}
    return {**box, "label": label, "score": score}
