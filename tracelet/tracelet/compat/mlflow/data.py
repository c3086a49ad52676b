"""``mlflow.data``: descriptions of data sets, for ``log_input``."""

from __future__ import annotations

import hashlib
from typing import Any

__all__ = ["Dataset", "from_numpy", "from_pandas", "from_polars", "load_delta"]


class Dataset:
    """A data set: its name, where it is from, and a checksum of its contents."""

    def __init__(
        self, data: Any, source: Any, name: str | None, digest: str | None, targets: Any = None
    ) -> None:
        self.source = source
        self.name = name or "dataset"
        self._data = data
        self.targets = targets
        self.digest = digest or _digest(data)

    @property
    def df(self) -> Any:
        """The data."""
        return self._data

    features = df

    @property
    def profile(self) -> dict[str, Any]:
        """Its shape."""
        shape = getattr(self._data, "shape", None)
        return {"shape": list(shape) if shape is not None else None}

    @property
    def schema(self) -> Any:
        """The types of its columns, if it has any."""
        types: Any = getattr(self._data, "dtypes", None)
        return {str(name): str(kind) for name, kind in types.items()} if hasattr(types, "items") else None

    def to_dict(self) -> dict[str, str]:
        """Return what describes it."""
        return {"name": self.name, "digest": self.digest, "source": str(self.source)}


def _digest(data: Any) -> str:
    if hasattr(data, "to_csv"):
        contents = data.head(10_000).to_csv().encode()
    elif hasattr(data, "tobytes"):
        contents = data.tobytes()[: 1 << 24]
    else:
        contents = repr(data).encode()
    return hashlib.md5(contents, usedforsecurity=False).hexdigest()[:8]


def from_pandas(
    df: Any, source: Any = None, targets: Any = None, name: str | None = None, digest: str | None = None,
    predictions: Any = None,
) -> Dataset:  # fmt: skip
    """Describe a DataFrame of pandas."""
    return Dataset(df, source, name, digest, targets)


def from_numpy(
    features: Any, source: Any = None, targets: Any = None, name: str | None = None, digest: str | None = None
) -> Dataset:
    """Describe an array."""
    return Dataset(features, source, name, digest, targets)


from_polars = from_pandas


def load_delta(*_: Any, **__: Any) -> Dataset:
    """Refuse: Delta tables are not offered.

    Raises:
        MlflowException: always.
    """
    from tracelet.compat.mlflow.exceptions import MlflowException

    raise MlflowException(
        "mlflow.data.load_delta is not offered by tracelet's drop-in; use mlflow.data.from_pandas"
    )
