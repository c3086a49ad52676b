"""What must hold of a plugin before it is initialized. Every fault is told at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from tracelet.config.validation import check_schema
from tracelet.host.discovery import has_lifecycle, implementations, lacking
from tracelet.host.plugins.dependencies import dependency_faults
from tracelet.host.plugins.hookchecks import hook_faults
from tracelet.host.plugins.registry import Registry
from tracelet_hookspecs import PluginInfo, PluginMetadata


def faults(
    plugin: Any, info: PluginInfo, registry: Registry, known: Mapping[str, PluginInfo], host_version: str
) -> Iterator[str]:
    """Yield all that keeps a plugin from being valid."""
    if has_lifecycle(plugin) and (missing := lacking(plugin)):
        yield f"lacks {', '.join(f'{name}()' for name in missing)}; add the missing methods"
    yield from metadata_faults(info.metadata, host_version)
    yield from hook_faults(plugin, registry, complete=not brings_hooks(plugin))
    yield from dependency_faults(info, known)


def brings_hooks(plugin: Any) -> bool:
    """Whether a plugin has hookspecs of its own, which are not known before it is registered."""
    return any(one.hook == "addhooks" for one in implementations(plugin))


def metadata_faults(metadata: PluginMetadata, host_version: str) -> Iterator[str]:
    """Yield what is wrong with a plugin's name, version, the host's version and the schema."""
    if not isinstance(metadata.name, str) or not metadata.name.strip():
        yield f"metadata name: expected a non-empty string, found {metadata.name!r}"
    if not _is_version(metadata.version):
        yield f"metadata version: expected a PEP 440 version such as '1.0', found {metadata.version!r}"
    yield from _host_version_faults(metadata.requires_tracelet, host_version)
    yield from (f"metadata {fault}" for fault in check_schema(metadata.config_schema))


def _is_version(version: Any) -> bool:
    try:
        Version(version)
    except (InvalidVersion, TypeError):
        return False
    return True


def _host_version_faults(wanted: Any, host_version: str) -> Iterator[str]:
    try:
        accepted = SpecifierSet(wanted or "").contains(host_version, prereleases=True)
    except (InvalidSpecifier, TypeError, AttributeError):
        yield f"metadata requires_tracelet: expected a version specifier such as '>=0.1', found {wanted!r}"
        return
    if not accepted:
        yield f"needs tracelet {wanted}, found {host_version}; run: pip install 'tracelet{wanted}'"
