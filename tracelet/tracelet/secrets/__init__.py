"""Secrets: types that do not show themselves, and the means to keep known values out of any text.

A secret is known by the name of its key (:func:`is_secret_key`) or by its schema. Its value is a
:class:`Secret`: a string or number like any other to the plugin that needs it, masked wherever it is
displayed. Every such value is remembered for the life of the process, so that :func:`redact` finds it in
error messages and tracebacks of code that knows nothing of all this.
"""

from tracelet.secrets.keys import is_secret_key
from tracelet.secrets.masking import mask
from tracelet.secrets.redaction import (
    MASK,
    fit_to_chain,
    format_exception,
    redact,
    redact_record,
    register_secret,
)
from tracelet.secrets.values import Secret, SecretFloat, SecretInt, SecretStr, seal

__all__ = [
    "MASK",
    "Secret",
    "SecretFloat",
    "SecretInt",
    "SecretStr",
    "fit_to_chain",
    "format_exception",
    "is_secret_key",
    "mask",
    "redact",
    "redact_record",
    "register_secret",
    "seal",
]
