"""Audio: files, encoded bytes, and arrays of samples, which become WAV."""

from __future__ import annotations

import io
import re
import wave
from typing import Any, Final

from tracelet.errors import RecordingError
from tracelet.run.media.arrays import as_array, numpy
from tracelet.run.media.encoded import is_encoded, read_encoded

_SIGNATURES: Final = (
    (re.compile(rb"RIFF....WAVE", re.DOTALL), ".wav"),
    (re.compile(rb"fLaC"), ".flac"),
    (re.compile(rb"OggS"), ".ogg"),
    (re.compile(rb"ID3|\xff[\xfb\xf3\xf2]"), ".mp3"),
    (re.compile(rb"\xff[\xf1\xf9]"), ".aac"),
    (re.compile(rb"....ftypM4A", re.DOTALL), ".m4a"),
    (re.compile(rb"FORM....AIF[FC]", re.DOTALL), ".aiff"),
)
_MOST_CHANNELS: Final = 64
_FULL: Final = 32767  # what a sample of 1.0 becomes


def audio_bytes(audio: Any, sample_rate: int | None) -> tuple[bytes, str, dict[str, Any]]:
    """Return the bytes of a sound, its file's suffix, and what a reader has to know of it.

    Takes a path, encoded bytes (WAV, FLAC, Ogg, MP3, ...), or an array of shape (samples), (samples, channels) or
    (channels, samples), which becomes WAV. Floats are expected between -1 and 1 and become 16-bit integers, as do
    integers of another size.

    Raises:
        RecordingError: it is not a sound, or an array comes without its ``sample_rate`` in hertz.
    """
    if is_encoded(audio):
        return *read_encoded(audio, "audio", _SIGNATURES), {}
    if numpy() is None:
        raise _not_audio("an array without NumPy; run: pip install 'tracelet[numpy]'")
    rate = _rate(sample_rate)
    samples, facts = _as_16_bit(_in_order(as_array(audio)))
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(samples.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples.astype("<i2").tobytes())
    about = {"sample_rate": rate, "channels": samples.shape[1], "seconds": len(samples) / rate}
    return file.getvalue(), ".wav", {**about, **facts}


def _rate(sample_rate: Any) -> int:
    if (
        isinstance(sample_rate, (int, float))
        and not isinstance(sample_rate, bool)
        and 0 < sample_rate < 1 << 31
    ):
        return round(sample_rate)
    raise RecordingError(
        f"log_audio: sample_rate: expected the samples per second of the array, found {sample_rate!r}",
        reason="audio: no sample rate",
    )


def _in_order(array: Any) -> Any:
    """Return (samples, channels)."""
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or not array.size or array.dtype.kind not in "biuf":
        raise _not_audio(f"an array of shape {array.shape} of {array.dtype}")
    if array.shape[0] < array.shape[1] and array.shape[0] <= _MOST_CHANNELS:
        array = array.T
    if array.shape[1] > _MOST_CHANNELS:
        raise _not_audio(f"{array.shape[1]} channels")
    return array


def _as_16_bit(array: Any) -> tuple[Any, dict[str, Any]]:
    """Return samples as 16-bit integers, and how many of them were out of range."""
    np = numpy()
    if array.dtype.kind in "iub":
        if array.dtype.itemsize == 1:
            silence = 128 if array.dtype.kind == "u" else 0  # 8-bit sound without a sign has it in the middle
            return (array.astype(np.int16) - silence) * 256, {}
        shift = 8 * array.dtype.itemsize - 16
        return (array.astype(np.int64) >> shift if shift else array).astype(np.int16), {}
    known = np.nan_to_num(array.astype(np.float64), nan=0.0, posinf=1.0, neginf=-1.0)
    clipped = int((np.abs(known) > 1).sum() + (~np.isfinite(array)).sum())
    samples = np.rint(np.clip(known, -1, 1) * _FULL).astype(np.int16)
    return samples, {"clipped": clipped} if clipped else {}


def _not_audio(found: str) -> RecordingError:
    return RecordingError(
        f"log_audio: expected a path, encoded bytes, or an array of samples, found {found}",
        reason="audio: not audio",
    )
