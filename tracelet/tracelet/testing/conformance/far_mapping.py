"""What the far side should have: the journal, after routes and processors, through the backend's own mapping."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.testing.conformance.promises import broken
from tracelet.testing.conformance.suite import Suite
from tracelet.testing.expected import Received, expected
from tracelet.testing.far_side import LEFT_OUT, FarSide, Row, find_differences
from tracelet.testing.faults import place_of
from tracelet.testing.harness import Harness
from tracelet_hookspecs import MetricData

_POLL: Final = 0.05


class RunAtRest(NamedTuple):
    """A run as ``read_back`` gets it: its identity and its folder."""

    id: str
    name: str
    project: str
    dir: Path


class FarMapping(Suite):
    """Reads the far side back and compares it with what it should have."""

    #: Seconds that the far side may take until its reader shows what it has accepted.
    settle: float = 0.0
    #: Seconds by which a timestamp at the far side may differ from the journal's.
    time_resolution: float = 1e-3
    read_back: Callable[..., FarSide] | None = None

    # -- the backend's mapping, for authors to override ------------------------------------------------

    def far_name(self, name: str) -> Any:
        """Return a metric's name at the far side, or ``LEFT_OUT``."""
        return name

    def far_step(self, step: int | None) -> Any:
        """Return a step at the far side, or ``LEFT_OUT`` for a point that is not stored."""
        return step

    def far_value(self, value: float) -> Any:
        """Return a value at the far side, or ``LEFT_OUT`` for a point that is not stored."""
        return value

    def far_time(self, timestamp: float) -> Any:
        """Return a time at the far side, in seconds since the epoch."""
        return timestamp

    def far_param(self, key: str, value: Any) -> Any:
        """Return a parameter at the far side as a pair, key and value, or ``LEFT_OUT``."""
        return key, value

    def far_tag(self, key: str, value: Any) -> Any:
        """Return a tag at the far side as a pair, key and value, or ``LEFT_OUT``."""
        return key, value

    def far_path(self, path: str) -> Any:
        """Return an artifact's path at the far side, or ``LEFT_OUT``."""
        return path

    def far_media(self, name: str, step: int | None, kind: str) -> Any:
        """Return a media file at the far side as ``(name, step, kind)``, or ``LEFT_OUT``."""
        return name, step, kind

    def far_points(self, points: Sequence[MetricData]) -> dict[str, list[Row]]:
        """Return the points of each metric at the far side, in order. Override it for a rule that concerns several."""
        metrics: dict[str, list[Row]] = {}
        for point in points:
            name, step = self.far_name(point.name), self.far_step(point.iteration)
            value = self.far_value(point.value)
            if LEFT_OUT not in (name, step) and value is not LEFT_OUT:
                metrics.setdefault(name, []).append((step, value, self.far_time(point.timestamp or 0.0)))
        return metrics

    def far_params(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the parameters at the far side. Each event is one ``log_params``; a later value replaces others."""
        return _mapped(events, self.far_param)

    def far_tags(self, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the tags at the far side. Each event is one ``set_tags``; a later value replaces an earlier one."""
        return _mapped(events, self.far_tag)

    # -- comparing -------------------------------------------------------------------------------------

    def _can_read_back(self) -> bool:
        return type(self).read_back is not None

    def far_side(self, run: Any) -> FarSide:
        """Read back what the far side has of a run."""
        at_rest = RunAtRest(run.id, run.name, run.project, run.dir)
        try:
            found = self.call("read_back", run=at_rest)
        except Exception as error:
            broken(f"read_back failed: {type(error).__name__}: {error} ({place_of(error)})")
        if not isinstance(found, FarSide):
            broken(f"read_back: expected a FarSide, found {type(found).__name__}")
        return found  # type: ignore[no-any-return]

    def should_have(self, received: Received) -> FarSide:
        """Return what the far side should have, given what the backend should have received."""
        files = {
            path: file
            for artifact in received.artifacts
            for local, file in artifact.files.items()
            if (path := self.far_path(local)) is not LEFT_OUT
        }
        media = [
            (*far, medium.path)
            for medium in received.media
            if (far := self.far_media(medium.name, medium.step, medium.kind)) is not LEFT_OUT
        ]
        return FarSide(
            self.far_points(received.points),
            self.far_params(received.param_events),
            self.far_tags(received.tag_events),
            files,
            media,
        )

    def check_far_side(
        self, harness: Harness, *, ordered: bool = False, times: bool = False, without: Sequence[Any] = ()
    ) -> FarSide:
        """Fail unless the far side has exactly what the journal says that it should have.

        ``without`` holds the names of metrics that it must not have.
        """
        if not self._can_read_back():
            self._check_accepted(harness, len(without))
            return FarSide()
        received = expected(harness.run_dir, harness.name, harness.manager)
        received.points = [point for point in received.points if point.name not in without]
        return self.compare(harness.run, received, ordered=ordered, times=times)

    def _check_accepted(self, harness: Harness, refused: int) -> None:
        """Fail unless the plugin has accepted all records: as much as can be known without the far side's reader."""
        status = harness.delivery.status()[harness.name]
        dropped = sum(status["dropped"].values())
        if status["pending"] or dropped != refused:
            errors = dict.fromkeys(call.error for call in harness.calls if call.error and not call.injected)
            why = ", ".join(filter(None, errors)) or status["dropped"]
            broken(f"{status['pending']} records are not accepted, and {dropped} were dropped ({why})")

    def compare(
        self, run: Any, received: Received, *, ordered: bool = False, times: bool = False, once: bool = True
    ) -> FarSide:
        """Fail unless the far side has exactly this of a run.

        Timestamps are compared with ``times``, and points may be there several times unless ``once``. Each is a
        promise of its own, so that a backend that breaks one fails one test.
        """
        wanted = self.should_have(received)
        end = time.monotonic() + self.settle
        while True:
            found = self.far_side(run)
            differences = find_differences(
                wanted,
                found,
                tolerance=self.time_resolution if times else None,
                ordered=ordered,
                repeats=not once or "once" in self.limits,
            )
            if not differences:
                return found
            if time.monotonic() >= end:
                broken("the far side differs from the journal: " + "; ".join(differences))
            time.sleep(_POLL)


def _mapped(events: Sequence[Mapping[str, Any]], far: Callable[[str, Any], Any]) -> dict[str, Any]:
    merged = {key: value for event in events for key, value in event.items()}
    pairs = [far(key, value) for key, value in merged.items()]
    return dict(pair for pair in pairs if pair is not LEFT_OUT)
