"""Arrays of any library as NumPy's, if NumPy can be imported."""

from __future__ import annotations

from typing import Any, Final

from tracelet.errors import RecordingError

NOT_AN_IMAGE: Final = "image: not an image"  # the reason under which it is counted


def numpy() -> Any:
    """Return NumPy, or None."""
    try:
        import numpy
    except ImportError:
        return None
    return numpy


def is_array(value: Any) -> bool:
    """Whether a value is an array, a tensor, a column or the like."""
    if isinstance(value, type):
        return False
    return any(
        hasattr(value, name)
        for name in ("__array__", "__array_interface__", "__cuda_array_interface__", "dtype")
    )


def as_array(value: Any) -> Any:
    """Return a value as an array of NumPy: what it holds, on whatever device, with or without a gradient."""
    np = numpy()
    if not isinstance(value, np.ndarray):
        value = _to_host(value)
    array = np.asanyarray(value)
    if array.dtype.kind == "V" and array.dtype.names is None:  # bfloat16 of ml_dtypes, as JAX has it
        array = array.astype(np.float32)
    return array if isinstance(array, np.ma.MaskedArray) else np.asarray(array)


def _to_host(value: Any) -> Any:
    """Return what NumPy can read of a tensor, column or array of another library."""
    for name in ("detach", "resolve_conj", "resolve_neg", "cpu"):  # PyTorch
        if callable(getattr(value, name, None)):
            value = getattr(value, name)()
    if str(getattr(value, "dtype", "")) in ("torch.bfloat16", "torch.float8_e4m3fn", "torch.float8_e5m2"):
        value = value.float()  # NumPy has no such type
    if type(value).__module__.startswith("cupy") and callable(getattr(value, "get", None)):
        value = value.get()
    elif hasattr(value, "copy_to_host"):  # Numba
        value = value.copy_to_host()
    elif callable(getattr(value, "to_numpy", None)):  # pandas, Polars, PyArrow
        value = _to_numpy(value)
    elif not hasattr(value, "__array__") and callable(getattr(value, "numpy", None)):
        value = value.numpy()
    return value


def _to_numpy(value: Any) -> Any:
    try:
        return value.to_numpy(zero_copy_only=False)  # PyArrow
    except TypeError:
        return value.to_numpy()


def not_an_image(found: str) -> RecordingError:
    """Return the error for what cannot be an image."""
    return RecordingError(
        "log_image: expected a path, encoded bytes, a Pillow image or an array of shape (height, width) or"
        f" (height, width, 1 | 3 | 4), found {found}",
        reason=NOT_AN_IMAGE,
    )
