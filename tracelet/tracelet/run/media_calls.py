"""The calls that record media: texts, tables, histograms, images, figures, sounds, videos, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracelet.run.file_calls import FileCalls


class MediaCalls(FileCalls):
    """Calls that turn an object into a file under the run's folder.

    An object that cannot be turned into one is left out and reported, as a metric that is not a number is.
    """

    def log_text(self, name: str, text: str, step: int | None = None) -> None:
        """Record a text. Raises as :meth:`log_image`."""
        self._log_medium("text", name, step, lambda: (_encode_text(text), ".txt", {}))

    def log_table(
        self, name: str, rows: Any, columns: Sequence[str] | None = None, step: int | None = None
    ) -> None:
        """Record a table: rows, mappings, a mapping of columns, or a DataFrame. Raises as :meth:`log_image`."""
        from tracelet.run.media.table_rows import check_columns, table_json

        chosen = check_columns(columns)
        self._log_medium("table", name, step, lambda: (table_json(rows, chosen), ".table.json", {}))

    def log_histogram(
        self, name: str, values: Any, step: int | None = None, *, bins: int | Sequence[float] = 64
    ) -> None:
        """Record how numbers are distributed: ``bins`` is the number of bins, or their edges.

        Raises as :meth:`log_image`.
        """
        from tracelet.run.media.histograms import check_bins, histogram_json

        edges = check_bins(bins)
        self._log_medium(
            "histogram", name, step, lambda: (histogram_json(values, edges), ".histogram.json", {})
        )

    def log_image(self, name: str, image: Any, step: int | None = None) -> None:
        """Record an image: a path, encoded bytes, a Pillow image, or an array (height, width[, 1 | 3 | 4]).

        What is not an image is left out and reported, as a metric that is not a number.

        Raises:
            RecordingError: the name is not a text, or the step is not a whole number.
            NoActiveRunError: the run has ended.
        """
        from tracelet.run.media.images import image_bytes

        self._log_medium("image", name, step, lambda: image_bytes(image))

    def log_figure(self, name: str, figure: Any, step: int | None = None) -> None:
        """Record a figure of Matplotlib (as PNG) or Plotly (as JSON). Raises as :meth:`log_image`."""
        from tracelet.run.media.figures import figure_bytes

        self._log_medium("figure", name, step, lambda: (*figure_bytes(figure), {}))

    def log_audio(
        self, name: str, audio: Any, step: int | None = None, *, sample_rate: int | None = None
    ) -> None:
        """Record a sound: a path, encoded bytes, or an array (samples[, channels]) with its ``sample_rate`` in hertz.

        Floats are expected between -1 and 1. Arrays become WAV with 16 bits. Raises as :meth:`log_image`.
        """
        from tracelet.run.media.audio import audio_bytes

        self._log_medium("audio", name, step, lambda: audio_bytes(audio, sample_rate))

    def log_video(self, name: str, video: Any, step: int | None = None, *, fps: float = 8) -> None:
        """Record a video: a path, encoded bytes, or an array (time, height, width[, 1 | 3 | 4]).

        ``fps`` is the number of frames per second of an array, which becomes an animated GIF. Raises as
        :meth:`log_image`.
        """
        from tracelet.run.media.video import video_bytes

        self._log_medium("video", name, step, lambda: video_bytes(video, fps))

    def log_mesh(
        self, name: str, vertices: Any, step: int | None = None, *, faces: Any = None, colors: Any = None
    ) -> None:
        """Record a mesh or a point cloud: a path, encoded bytes, or arrays of shape (number, 3), which become PLY.

        ``faces`` are indices of vertices, ``colors`` one color for each vertex. Raises as :meth:`log_image`.
        """
        from tracelet.run.media.meshes import mesh_bytes

        self._log_medium("mesh", name, step, lambda: mesh_bytes(vertices, faces, colors))

    def log_embedding(
        self,
        name: str,
        vectors: Any,
        step: int | None = None,
        *,
        labels: Sequence[Any] | Mapping[str, Sequence[Any]] | None = None,
        images: Any = None,
    ) -> None:
        """Record vectors (number, dimensions), with one label for each, or a mapping of columns, and pictures.

        The file is NumPy's ``.npz``. Raises as :meth:`log_image`.
        """
        from tracelet.run.media.embeddings import embedding_bytes

        self._log_medium("embedding", name, step, lambda: embedding_bytes(vectors, labels, images))

    def log_html(self, name: str, html: Any, step: int | None = None) -> None:
        """Record HTML: a text, the path of an ``.html`` file, or an object with ``_repr_html_`` or ``to_html``.

        Raises as :meth:`log_image`.
        """
        from tracelet.run.media.markup import html_bytes

        self._log_medium("html", name, step, lambda: (html_bytes(html), ".html", {}))

    def log_confusion_matrix(
        self,
        name: str,
        truth: Any = None,
        predictions: Any = None,
        step: int | None = None,
        *,
        labels: Sequence[Any] | None = None,
        matrix: Any = None,
    ) -> None:
        """Record how often each true class (row) was predicted as which (column).

        ``truth`` and ``predictions`` have one class for each example; predictions may also be scores (examples,
        classes). ``matrix`` is one that was counted before. ``labels`` are the names of classes 0, 1, ... or the order
        of classes that are texts. Raises as :meth:`log_image`.
        """
        from tracelet.run.media.classification import confusion_matrix_json

        self._log_medium(
            "confusion_matrix",
            name,
            step,
            lambda: (confusion_matrix_json(truth, predictions, labels, matrix), ".confusion_matrix.json", {}),
        )

    def log_pr_curve(
        self,
        name: str,
        truth: Any,
        scores: Any,
        step: int | None = None,
        *,
        labels: Sequence[Any] | None = None,
    ) -> None:
        """Record precision against recall, for one score per example or for scores (examples, classes).

        ``labels`` are the names of the classes, in the order of the columns. Raises as :meth:`log_image`.
        """
        from tracelet.run.media.classification import pr_curve_json

        self._log_medium(
            "pr_curve", name, step, lambda: (pr_curve_json(truth, scores, labels), ".pr_curve.json", {})
        )

    def log_roc_curve(
        self,
        name: str,
        truth: Any,
        scores: Any,
        step: int | None = None,
        *,
        labels: Sequence[Any] | None = None,
    ) -> None:
        """Record true against false positives, for one score per example or for scores (examples, classes).

        ``labels`` are the names of the classes, in the order of the columns. Raises as :meth:`log_image`.
        """
        from tracelet.run.media.classification import roc_curve_json

        self._log_medium(
            "roc_curve", name, step, lambda: (roc_curve_json(truth, scores, labels), ".roc_curve.json", {})
        )


def _encode_text(text: Any) -> bytes:
    if isinstance(text, (bytes, bytearray)):
        return bytes(text)
    plain = str.__str__(text) if isinstance(text, str) else str(text)
    return plain.encode("utf-8", "backslashreplace")
