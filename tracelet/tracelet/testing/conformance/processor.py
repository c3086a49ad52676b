"""The suite for processors."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

from tracelet.delivery.pipeline.processors import check_answer
from tracelet.testing.conformance.manners import Manners
from tracelet.testing.conformance.promises import broken, promise
from tracelet.testing.doubles import drive, make_points
from tracelet.testing.harness import Harness
from tracelet_hookspecs import MetricData, PluginMetadata, PluginType, hookimpl


class Sink:
    """A backend that keeps nothing; the harness notes what it is given."""

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata("sink", "1", PluginType.BACKEND)

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Nothing to prepare."""

    @hookimpl
    def start(self) -> None:
        """Nothing to start."""

    @hookimpl
    def stop(self) -> None:
        """Nothing to stop."""

    @hookimpl
    def get_status(self) -> Mapping[str, Any]:
        """Return nothing."""
        return {}

    @hookimpl
    def log_metrics(self, points: Any) -> None:
        """Take points."""


class SecondSink(Sink):
    """Another one."""

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata("second-sink", "1", PluginType.BACKEND)


class ProcessorConformance(Manners):
    """The promises of a processor, one test each.

    Subclass it, set ``plugin`` and ``config``. Override ``stream`` to give points that it changes, derives or drops.
    """

    def stream(self) -> list[Any]:
        """Return points to process: ``(name, value, step)``."""
        usual = [(name, step / 4, step) for step in range(40) for name in ("loss", "train/acc", "debug/x")]
        odd = [("loss", math.nan, 40), ("loss", math.inf, 41), ("loss", 1, -1), ("caf\u00e9 \u8a9e", 0.5, 0)]
        return [*usual, *odd, ("x" * 1000, 0.25, 0)]

    def use(self, harness: Harness) -> None:
        """Have it process points on their way to a backend."""
        if harness.name != "sink":
            with drive(self._object, self.table()) as driven:
                driven.call("process_metric", metric=make_points([("loss", 0.5, 0)])[0], backend="sink")

    def _through_host(self, sink: Any = Sink) -> Harness:
        harness = self.harness(
            plugin=sink, config={}, processors=[self._object], tables={self.metadata.name: self.table()}
        )
        harness.send(self.stream())
        return harness

    def _process(self) -> list[list[MetricData]]:
        with drive(self._object, self.table()) as driven:
            points = make_points(self.stream())
            return [
                check_answer(driven.call("process_metric", metric=point, backend="sink")) for point in points
            ]

    @promise("answers", "process_metric returns a metric, several or None, for every metric")
    def test_it_answers_for_every_metric(self) -> None:
        """NaN, infinities, no step, long names: it raises for none, and every field has its type."""
        self._process()

    @promise("pure", "The same metrics give the same results, and a result is not changed later")
    def test_it_is_pure(self) -> None:
        """Two objects, fed with the same stream; its results are compared with copies made at once."""
        first, second = self._process(), self._process()
        for at, (one, other) in enumerate(zip(first, second, strict=True)):
            if not _same(one, other):
                broken(f"metric {at} gives {one} the first time and {other} the second time")
        with drive(self._object, self.table()) as driven:
            kept = []
            for point in make_points(self.stream()):
                answer = check_answer(driven.call("process_metric", metric=point, backend="sink"))
                kept.append((answer, copy.deepcopy(answer)))
        if any(not _same(answer, untouched) for answer, untouched in kept):
            broken("it changes a metric after it has returned it")

    @promise("order", "The order of the points of each metric is kept")
    def test_the_order_is_kept(self) -> None:
        """What a backend receives, compared with what the processor returns for each metric in turn."""
        harness = self._through_host()
        wanted = [(metric.name, metric.iteration) for group in self._process() for metric in group]
        found = [(metric.name, metric.iteration) for metric in harness.received.points]
        if wanted != found:
            broken(
                f"expected {len(wanted)} points in the order of recording, found {len(found)} in another one"
            )

    @promise("counted", "What it drops is counted, and nothing is lost")
    def test_drops_are_counted(self) -> None:
        """Recorded = delivered + excluded, and excluded is what it returned nothing for."""
        harness = self._through_host()
        harness.verify()
        dropped = sum(not group for group in self._process())
        excluded = harness.delivery.status()["sink"]["excluded"]
        if excluded != dropped:
            broken(f"it returns nothing for {dropped} metrics, and {excluded} are counted")

    @promise("backends", "Each backend gets the same, independent of the others")
    def test_backends_do_not_share_its_state(self) -> None:
        """Two backends, one after the other."""
        one, other = self._through_host(), self._through_host(SecondSink)
        if not _same(one.received.points, other.received.points, times=False):
            broken("a second backend receives something else")

    @promise("errors", "None of its calls fails in the host")
    def test_no_call_fails(self) -> None:
        """The host would let the metric through unchanged, and count an error."""
        harness = self._through_host()
        cost = harness.manager.handle(self.metadata.name).cost("process_metric")
        if cost.errors:
            broken(f"process_metric failed {cost.errors} times: {cost.failure or 'see the log'}")


def _same(one: list[MetricData], other: list[MetricData], *, times: bool = True) -> bool:
    return [_key(metric, times) for metric in one] == [_key(metric, times) for metric in other]


def _key(metric: MetricData, times: bool) -> tuple[Any, ...]:
    value = "nan" if isinstance(metric.value, float) and math.isnan(metric.value) else metric.value
    when = metric.timestamp if times else None
    return (metric.name, value, metric.type, metric.iteration, when, metric.source)
