"""Limits and intervals of delivery. The defaults suit all programs."""

from __future__ import annotations

from typing import NamedTuple


class Settings(NamedTuple):
    """Limits and intervals; times are in seconds."""

    poll_shortest: float = 0.02  # between two reads of a journal that had new records
    poll_longest: float = 0.25  # between two reads of one that had none
    batch_first: int = 64  # records in the first batch; it grows while the backend is fast
    batch_largest: int = 8192
    #: The largest batch while a call takes less than ``call_quick``: in larger ones the garbage collector, which
    #: visits each point, costs more than the fewer calls save.
    batch_quick: int = 512
    call_quick: float = 0.002
    batch_aim: float = 0.5  # how long a backend should take for one batch
    retry_first: float = 0.25  # full jitter: the delay is random between 0 and this, doubled at each failure
    retry_longest: float = 60.0
    retry_longest_ending: float = 1.0  # while the program waits for delivery
    retry_after_longest: float = 300.0  # the longest Retry-After of a server that is honored
    breaker_after: int = 5  # consecutive failures that open the breaker
    refusals_before_split: int = 3  # of a batch that is refused as such (ValueError, 422, ...)
    failures_before_split: int = 10  # of a batch that fails for an unknown reason
    aside_most: int = 8  # points refused one by one before the backend itself is blamed
    save_every: float = 0.05  # between two saves of a cursor: after a crash, this much is delivered again
    save_durably_every: float = 1.0  # the same for a power failure
    save_rest: float = 10.0  # wait this many times as long as a save took before the next one
    lease_beat: float = 5.0  # between two heartbeats of the process that delivers
    lease_stale: float = 60.0  # another host's lease is free after this long without a heartbeat
    standby_poll: float = 2.0  # between two checks of a lease that another process holds
