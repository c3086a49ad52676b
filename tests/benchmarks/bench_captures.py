"""What a capture adds to a framework's call, measured against the same call without it.

python tests/benchmarks/bench_captures.py [--rounds N]

Needs PyTorch and TensorBoard.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable

import tracelet

CALLS = 2000
OFF = {"plugins": {"system": False, "environment": False, "gpu": False}}


def seconds_per_call(call: Callable[[int], None]) -> float:
    """Return the mean over many calls in a row, of this thread's CPU time: other work on the machine does not count."""
    began = time.thread_time()
    for step in range(CALLS):
        call(step)
    return (time.thread_time() - began) / CALLS


class NoFile:
    """Stands in for the queue to the thread that writes event files, whose pace has nothing to do with a capture."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def get_logdir(self) -> str:
        """Return the folder."""
        return self.folder

    def add_event(self, event: object) -> None:
        """Drop an event."""


def main() -> None:
    """Measure rounds in turn, with the capture and without, and print the medians in microseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    from torch.utils.tensorboard import SummaryWriter

    with tempfile.TemporaryDirectory() as folder:
        run = tracelet.start_run(dir=folder, config=OFF)
        writer = SummaryWriter(f"{folder}/events")
        writer._get_file_writer().event_writer = NoFile(f"{folder}/events")
        loss = 0.5
        plain, captured, logged = [], [], []
        for _ in range(rounds):
            plain.append(seconds_per_call(lambda step: writer.add_scalar("loss", loss, step)))
            run.add_plugin("summarywriter")
            captured.append(seconds_per_call(lambda step: writer.add_scalar("loss", loss, step)))
            run.remove_plugin("summarywriter")
            logged.append(seconds_per_call(lambda step: run.log_metric("direct", loss, step)))
        added = statistics.median(with_it - without for with_it, without in zip(captured, plain, strict=True))
        print(f"add_scalar            {statistics.median(plain) * 1e6:6.2f} us")
        print(f"add_scalar, captured  {statistics.median(captured) * 1e6:6.2f} us")
        print(f"the capture adds      {added * 1e6:6.2f} us (budget: 2)")
        print(f"run.log_metric        {statistics.median(logged) * 1e6:6.2f} us")
        run.finish()


if __name__ == "__main__":
    main()
