"""What can be tuned in delivery. The defaults are meant for everybody."""

from __future__ import annotations

from typing import NamedTuple


class Settings(NamedTuple):
    """Limits and intervals of delivery; times are in seconds."""

    poll_shortest: float = 0.02  # between two looks at a journal in which something was new
    poll_longest: float = 0.25  # between two looks at one in which nothing was
    batch_first: int = 64  # records in the first batch; it grows while the backend is quick
    batch_largest: int = 8192
    batch_quick: int = (
        512  # the same while a call takes no time: of more, the garbage collector would go through each
    )
    call_quick: float = 0.002  # what is no time
    batch_aim: float = 0.5  # how long a backend should have to do with one batch
    retry_first: float = 0.25  # full jitter: a delay is drawn between 0 and this, doubled with each failure
    retry_longest: float = 60.0
    retry_longest_ending: float = 1.0  # while somebody waits for the rest
    retry_after_longest: float = 300.0  # what a server may ask for with Retry-After
    breaker_after: int = 5  # failures in a row that open the breaker
    refusals_before_split: int = 3  # of a batch that is refused as such (ValueError, 422, ...)
    failures_before_split: int = 10  # of a batch that fails for no reason known
    aside_most: int = 8  # points refused one by one before the backend is taken to be at fault
    save_every: float = 0.05  # between two saves of a cursor: what comes twice after a crash
    save_durably_every: float = 1.0  # the same after a loss of power
    save_rest: float = 10.0  # times as long as a save took, before the next one
    lease_beat: float = 5.0  # between two signs of life of whoever delivers
    lease_stale: float = 60.0  # without a sign of life from another host, the lease is free
    standby_poll: float = 2.0  # between two looks at a lease that another process has
