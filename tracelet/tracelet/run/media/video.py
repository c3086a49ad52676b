"""Videos: files, encoded bytes, and arrays of frames, which become an animated GIF."""

from __future__ import annotations

import io
import re
from typing import Any, Final

from tracelet.errors import RecordingError
from tracelet.run.media.arrays import as_array, numpy
from tracelet.run.media.encoded import is_encoded, read_encoded

_SIGNATURES: Final = (
    (re.compile(rb"GIF8[79]a"), ".gif"),
    (re.compile(rb"....ftyp(?!avi[fs]|hei|mif|msf)", re.DOTALL), ".mp4"),
    (re.compile(rb"\x1aE\xdf\xa3"), ".webm"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), ".avi"),
    (re.compile(rb"OggS"), ".ogv"),
)
_CHANNELS: Final = (1, 3, 4)
_MAX_VALUES: Final = 1 << 30


def video_bytes(video: Any, fps: float) -> tuple[bytes, str, dict[str, Any]]:
    """Return the bytes of a video, its file's suffix, and what a reader has to know of it.

    Takes a path, encoded bytes (GIF, MP4, WebM, ...), or an array of shape (time, height, width), (time, height,
    width, channels), (time, channels, height, width), or a batch (number, time, channels, height, width), which is
    shown side by side. ``fps`` is the number of frames per second of an array.

    Raises:
        RecordingError: it is not a video, or Pillow is missing for an array.
    """
    if is_encoded(video):
        return *read_encoded(video, "video", _SIGNATURES), {}
    if not (isinstance(fps, (int, float)) and 0 < fps <= 1000):
        raise RecordingError(
            f"log_video: fps: expected a number above 0 and up to 1000, found {fps!r}",
            reason="video: frame rate",
        )
    try:
        from PIL import Image
    except ImportError:
        raise _not_a_video("an array without Pillow; run: pip install 'tracelet[media,numpy]'") from None
    if numpy() is None:
        raise _not_a_video("an array without NumPy; run: pip install 'tracelet[media,numpy]'")
    frames, facts = _frames(as_array(video))
    pictures = [Image.fromarray(frame[:, :, 0] if frame.shape[2] == 1 else frame) for frame in frames]
    file = io.BytesIO()
    # GIF counts time in hundredths of a second.
    pictures[0].save(
        file, format="GIF", save_all=True, append_images=pictures[1:], duration=1000 / fps, loop=0
    )
    return file.getvalue(), ".gif", {"frames": len(frames), "fps": fps, **facts}


def _frames(array: Any) -> tuple[Any, dict[str, Any]]:
    """Return (time, height, width, channels) as bytes, and the range of values that black and white stand for."""
    from tracelet.run.media.image_arrays import array_shades

    shape = array.shape
    if array.dtype.kind not in "biuf" or not array.size or array.size > _MAX_VALUES:
        raise _not_a_video(f"an array of shape {shape} of {array.dtype}")
    if array.ndim == 3:
        array = array[:, :, :, None]
    elif array.ndim == 4 and shape[3] not in _CHANNELS and shape[1] in _CHANNELS:
        array = array.transpose(0, 2, 3, 1)
    elif array.ndim == 5 and shape[2] in _CHANNELS:  # side by side: (time, height, number * width, channels)
        number, time, channels, height, width = shape
        array = array.transpose(1, 3, 0, 4, 2).reshape(time, height, number * width, channels)
    if array.ndim != 4 or array.shape[3] not in _CHANNELS:
        raise _not_a_video(f"an array of shape {shape}")
    return array_shades(array)


def _not_a_video(found: str) -> RecordingError:
    return RecordingError(
        f"log_video: expected a path, encoded bytes, or an array of frames, found {found}",
        reason="video: not a video",
    )
