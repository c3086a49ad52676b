"""Checking a plugin's configuration against its schema: every fault at once, each with its path."""

from tracelet.config.validation.forms import check_schema, declared_keys, validate

__all__ = ["check_schema", "declared_keys", "validate"]
