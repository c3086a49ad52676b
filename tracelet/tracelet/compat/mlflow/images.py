"""``mlflow.Image``."""

from __future__ import annotations

from typing import Any


class Image:
    """A picture: an array, a Pillow image, or a path."""

    def __init__(self, image: Any) -> None:
        self._mlflow_image = str(image) if hasattr(image, "__fspath__") else image

    def to_pil(self) -> Any:
        """Return it as Pillow's image."""
        import io

        from PIL import Image as Pillow

        from tracelet.run.media.images import image_bytes

        return Pillow.open(io.BytesIO(image_bytes(self._mlflow_image)[0]))

    def to_array(self) -> Any:
        """Return it as an array of NumPy."""
        import numpy as np

        return np.array(self.to_pil())

    def save(self, path: Any) -> None:
        """Write it to a file."""
        self.to_pil().save(path)
