"""Promises on parameters, tags, artifacts and media that are delivered again, as after a crash."""

from __future__ import annotations

from typing import Any, Final

from tracelet.testing.conformance.backend_files import png
from tracelet.testing.conformance.far_mapping import FarMapping
from tracelet.testing.conformance.promises import NEEDED, promise
from tracelet.testing.harness import Harness

_EVENTS: Final = ("log_params", "set_tags", "log_artifact", "log_media")
_PARTS: Final = ("params", "tags", "artifacts", "media")


class RedeliveryPromises(FarMapping):
    """What a backend promises on events that it gets more than once. Points have promises of their own."""

    @promise(
        "once_events",
        "Parameters, tags, artifacts and media that are delivered again are stored once",
        read_back=NEEDED,
        hooks=_EVENTS,
    )
    def test_events_delivered_again_are_stored_once(self) -> None:
        """The last events again, then everything again, then events whose answers were lost."""
        harness = self.harness()
        self._record(harness, 0)
        harness.send()  # what follows is "last"
        self._record(harness, 1)
        harness.wait()
        harness.send_again("last")
        harness.send_again("all")
        for hook in _EVENTS:
            if hook in self._hooks():
                harness.lose_answer(hook=hook)
        self._record(harness, 2)
        harness.wait()
        self._check_events(harness)

    @promise(
        "restarted_events",
        "Parameters, tags, artifacts and media are stored once, too, if the plugin was started again in between",
        read_back=NEEDED,
        hooks=_EVENTS,
    )
    def test_events_delivered_again_to_a_new_process_are_stored_once(self) -> None:
        """As after a crash: the plugin has forgotten what it has stored, the far side has not."""
        harness = self.harness()
        self._record(harness, 0)
        self._record(harness, 1)
        harness.wait()
        harness.kill()
        harness.restart()
        harness.send_again("all")
        self._check_events(harness)

    def _record(self, harness: Harness, at: int) -> None:
        """Record one event of each kind: some replace those of the call before, some are added to them."""
        run, file = harness.run, harness.folder / "model.bin"
        run.log_params({"lr": 0.1 / (at + 1), "seed": 7, f"new{at}": at})
        run.set_tags({"stage": f"draft {at}", "team": "vision"})
        file.write_bytes(bytes(range(256)) * (at + 1))
        run.log_artifact(file)
        run.log_artifact(file, f"checkpoints/{at}")
        run.log_image("samples/digit", png(at), step=at)
        run.log_table("predictions", [{"label": 3, "score": at / 4}], step=at)
        run.log_text("story", f"chapter {at}", step=at)

    def _check_events(self, harness: Harness) -> None:
        limits, self.limits = (
            self.limits,
            {},
        )  # whatever is declared for points, each event must be there once
        try:
            found: Any = self.check_far_side(harness)
        finally:
            self.limits = limits
        if all(getattr(found, part) is None for part in _PARTS):
            self.not_applicable(f"read_back() returns no {', '.join(_PARTS[:-1])} and no {_PARTS[-1]}")
