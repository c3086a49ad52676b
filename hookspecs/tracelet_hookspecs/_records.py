"""The records that pass between host and plugin: metadata, states, metrics, runs."""

from __future__ import annotations

import enum
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import attrs


class PluginType(enum.Enum):
    """What a plugin is for."""

    BACKEND = "backend"
    COLLECTOR = "collector"
    FRAMEWORK = "framework"
    PROCESSOR = "processor"


class PluginState(enum.IntEnum):
    """The state of a plugin. The order is part of the contract (``state >= LOADED``)."""

    DISCOVERED = 1
    LOADED = 2
    VALIDATED = 3
    INITIALIZED = 4
    ACTIVE = 5
    ERROR = 6
    STOPPED = 7


class MetricType(enum.Enum):
    """What kind of value a metric carries."""

    SCALAR = "scalar"
    TENSOR = "tensor"
    ARTIFACT = "artifact"
    PARAMETER = "parameter"
    SYSTEM = "system"
    CUSTOM = "custom"
    HISTOGRAM = "histogram"
    IMAGE = "image"
    TEXT = "text"
    FIGURE = "figure"
    EMBEDDING = "embedding"
    VIDEO = "video"
    AUDIO = "audio"
    MESH = "mesh"
    HPARAMS = "hparams"


def _as_plugin_type(value: PluginType | str | None) -> PluginType | None:
    if value is None or isinstance(value, PluginType):
        return value
    try:
        return PluginType(value)
    except ValueError:
        wanted = ", ".join(repr(member.value) for member in PluginType)
        raise ValueError(f"plugin type: expected one of {wanted}, found {value!r}") from None


def _as_type_text(value: PluginType | str | None) -> str | None:
    return value.value if isinstance(value, PluginType) else value


@attrs.define
class PluginMetadata:
    """A plugin's description of itself.

    ``type`` takes a :class:`PluginType` or its string value; ``plugin_type="backend"`` instead
    means the same, and after construction both attributes are set. ``dependencies`` holds names of
    other plugins and PEP 508 requirements on distributions. ``config_schema`` is the short form, a
    JSON Schema or an attrs class. ``requires_tracelet`` is a PEP 440 specifier for the host's version
    (``">=0.1,<2"``). ``isolation="process"`` requests a separate process for the plugin by default. ``mapping`` says,
    for people, what a backend does with what its destination cannot hold: ``{"names over 250 characters": "shortened,
    with a hash at the end"}``.

    Raises ``TypeError`` when no type is given, ``ValueError`` when it is unknown or contradicts
    ``plugin_type``.
    """

    name: str
    version: str
    # The converter runs before __attrs_post_init__, which guarantees a member for every reader.
    type: PluginType = attrs.field(default=None, converter=_as_plugin_type)
    description: str = ""
    author: str = ""
    dependencies: list[str] = attrs.field(factory=list)
    config_schema: Any = None
    capabilities: set[str] = attrs.field(factory=set)
    plugin_type: str | None = attrs.field(default=None, converter=_as_type_text)
    entry_point: str | None = None
    requires_tracelet: str = ""
    isolation: str = "thread"
    mapping: Mapping[str, str] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        given = _as_plugin_type(self.plugin_type)
        if self.type is None:
            if given is None:
                raise TypeError(f"metadata of plugin {self.name!r}: expected type=..., found none")
            self.type = given
        elif given is not None and given is not self.type:
            raise ValueError(
                f"metadata of plugin {self.name!r}: type={self.type.value!r} contradicts"
                f" plugin_type={self.plugin_type!r}; give one of them"
            )
        self.plugin_type = self.type.value

    @classmethod
    def from_outside(
        cls, name: str, version: str = "", description: str = "", author: str = ""
    ) -> PluginMetadata:
        """Describe a plugin that is not loaded yet; until then its ``type`` is ``None``."""
        metadata = cls(name, version, PluginType.FRAMEWORK, description, author)
        metadata.type = metadata.plugin_type = None  # type: ignore[assignment]
        return metadata


@attrs.define(eq=False)
class PluginInfo:
    """One plugin as the host knows it.

    ``module_path`` is an import name or the path of a ``.py`` file, ``class_name`` the class in it (empty if the
    module itself is the plugin). ``instance`` is the loaded class (or, for a plugin without one, the loaded object).
    ``error`` is the text of the last failure, ``traceback`` its traceback with secrets masked. ``origin`` says where
    the plugin came from, for people. ``timings`` maps a lifecycle step to the seconds its last call took.
    ``unavailable`` is the reason why a plugin that is on by default cannot work on this machine.
    """

    metadata: PluginMetadata
    module_path: str = ""
    class_name: str = ""
    state: PluginState = attrs.field(default=PluginState.DISCOVERED, converter=PluginState)
    instance: Any = None
    error: str | None = None
    origin: str = "by hand"
    traceback: str | None = None
    timings: dict[str, float] = attrs.field(factory=dict)
    unavailable: str | None = None

    @property
    def name(self) -> str:
        """The plugin's name, from its metadata."""
        return self.metadata.name


#: Identifies a record permanently: the writer, the record's sequence number, and the index of the value in it (0 for
#: an event). It is the same each time that the record is delivered.
RecordId = tuple[str, int, int]


@attrs.define
class MetricData:
    """One value of one metric.

    ``iteration`` is the training step, ``timestamp`` seconds since the epoch (now, when left out),
    ``source`` the plugin that measured it (``None`` for the program itself). ``id`` identifies the record that it
    came from, ``(writer, sequence, index)``, so that a backend can recognize repeats; it is ``None`` for a value that
    was not read from a journal.
    """

    name: str
    value: Any
    type: MetricType = MetricType.SCALAR
    iteration: int | None = None
    timestamp: float | None = None
    source: str | None = None
    metadata: Mapping[str, Any] | None = None
    id: RecordId | None = None

    def __attrs_post_init__(self) -> None:
        if self.timestamp is None:
            self.timestamp = time.time()


class Batching(NamedTuple):
    """Which batches a backend prefers. It is the value of the attribute ``batching`` of a backend.

    While a run records, the host calls ``log_metrics`` when the last batch is ``seconds`` old, or when ``records`` of
    one process are pending, whichever comes first. A flush and the end of the run do not wait. A backend without the
    attribute gets its records as soon as possible. With ``seconds`` of 0 nothing waits either: when much is pending,
    batches grow to ``records`` while a call takes no more than a few seconds, which suits a backend that has to wait
    for its far side at the end of each call.
    """

    seconds: float
    records: int


@runtime_checkable
class RunView(Protocol):
    """The run as hooks see it: its identity, and the methods that record into it.

    The recording methods append to the journal and return at once; they may be called from any thread. What a
    framework plugin gets in the program's process is the program's run: it also has the methods for media
    (``log_image``, ...), ``log_metric(..., timestamp=)``, and ``is_active``, whether ``tracelet.log_metric``, called
    here and now, would record into it.
    """

    @property
    def id(self) -> str:
        """The run's id, unique in its store."""

    @property
    def name(self) -> str:
        """The run's display name."""

    @property
    def project(self) -> str:
        """The project that the run belongs to."""

    @property
    def dir(self) -> Path:
        """The run's folder."""

    @property
    def started_at(self) -> float:
        """When the run started, in seconds since the epoch."""

    def log_metric(self, name: str, value: Any, iteration: int | None = None) -> None:
        """Record one number."""

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record many numbers at one step."""

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters."""

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Record tags."""

    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None:
        """Copy a file or folder into the run."""
