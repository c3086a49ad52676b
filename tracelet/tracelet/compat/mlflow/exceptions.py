"""The exceptions of ``mlflow``."""

from __future__ import annotations

from typing import Any

from tracelet.errors import TraceletError


class MlflowException(TraceletError):
    """Something that MLflow's calls refuse. ``error_code`` says what kind it is."""

    def __init__(self, message: Any, error_code: Any = "INTERNAL_ERROR", **kwargs: Any) -> None:
        self.message = str(message)
        self.error_code = str(error_code)
        super().__init__(self.message)

    @classmethod
    def invalid_parameter_value(cls, message: str, **kwargs: Any) -> MlflowException:
        """Return one for an invalid argument."""
        return cls(message, "INVALID_PARAMETER_VALUE")

    def get_http_status_code(self) -> int:
        """Return what a server would answer."""
        return {"INVALID_PARAMETER_VALUE": 400, "RESOURCE_DOES_NOT_EXIST": 404}.get(self.error_code, 500)


class RestException(MlflowException):
    """Never raised here: there is no server."""


def missing(text: str) -> MlflowException:
    """Return the exception for something that is not there."""
    return MlflowException(text, "RESOURCE_DOES_NOT_EXIST")
