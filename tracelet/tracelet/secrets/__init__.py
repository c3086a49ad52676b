"""Secrets: types that do not show themselves, and keeping secret values out of texts.

What is a secret is decided by one rule, which plugins use as well: ``tracelet_hookspecs``. A secret of the
configuration is a :class:`Secret`: a string or number like any other to the plugin that needs it, masked
wherever it is displayed. Its value is registered for the life of the process, so that :func:`redact` finds it
in the error messages and tracebacks of other code.
"""

from tracelet.secrets.masking import (
    Masked,
    is_declared_readable,
    mask,
    mask_command_line,
    mask_recorded,
    report_masked,
    set_readable_names,
)
from tracelet.secrets.redaction import (
    fit_to_chain,
    format_exception,
    redact,
    redact_record,
    register_secret,
)
from tracelet.secrets.sealing import (
    PartlySecretStr,
    Secret,
    SecretFloat,
    SecretInt,
    SecretStr,
    holds_secret,
    seal,
)
from tracelet_hookspecs import MASK, is_secret, is_secret_key

__all__ = [
    "MASK",
    "Masked",
    "PartlySecretStr",
    "Secret",
    "SecretFloat",
    "SecretInt",
    "SecretStr",
    "fit_to_chain",
    "format_exception",
    "holds_secret",
    "is_declared_readable",
    "is_secret",
    "is_secret_key",
    "mask",
    "mask_command_line",
    "mask_recorded",
    "redact",
    "redact_record",
    "register_secret",
    "report_masked",
    "seal",
    "set_readable_names",
]
