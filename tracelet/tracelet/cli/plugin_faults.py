"""Faults of the tables that configure plugins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tracelet.cli.options import global_options

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager


def find_configuration_faults(manager: PluginManager, name: str) -> Iterator[str]:
    """Yield the faults of a plugin's table in the project's configuration, if it has one."""
    from tracelet.config.validation import check_schema, declared_keys, validate
    from tracelet.errors import ConfigError

    schema = manager.plugins[name].metadata.config_schema
    if check_schema(schema):
        return  # the plugin's own fault, which its validation reports
    config = manager.config or global_options().config()
    if name not in config.tables:
        return

    def check(own: dict[str, Any]) -> None:
        validate(schema, own, path=f"plugins.{name}")

    try:
        check(config.plugin_config(name, declared_keys(schema), check=check)[1])
    except ConfigError as error:
        yield from error.faults
