"""Starting runs for the drop-ins: inside ``tracelet run``, with ids of the program's own, in groups."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tracelet.errors import StoreError
from tracelet.run import Run, start_run
from tracelet.run.current import adoptable_run

if TYPE_CHECKING:
    from tracelet.store.record import RunRecord
    from tracelet.store.store import Store


def start_apart(
    name: str | None,
    *,
    project: str | None,
    run_id: str | None = None,
    resume: bool = False,
    config: Mapping[str, Any] | None = None,
    **about: Any,
) -> Run:
    """Start a run: the one that ``tracelet run`` has opened, unless the program gives an id or a mode of its own.

    ``about`` is what ``start_run`` knows of a run's place among others: group, parent, job type, notes.
    """
    own = run_id is not None or config is not None
    with _ambient_kept_apart() if own else contextlib.nullcontext():
        return start_run(name, project=project, run_id=run_id, resume=resume, config=config, **about)


@contextlib.contextmanager
def _ambient_kept_apart() -> Iterator[None]:
    """Keep ``start_run`` from joining the run that ``tracelet run`` has opened."""
    ambient = adoptable_run()
    if ambient is not None:
        ambient.adoptable = False
    try:
        yield
    finally:
        if ambient is not None:
            ambient.adoptable = True


def store_of(run: Run | None = None) -> Store | None:
    """Return the store that a run, or the program, records into; None if nothing was recorded yet."""
    from tracelet.store import open_store

    try:
        return open_store(run.dir.parent.parent if run is not None else None)
    except StoreError:
        return None


def find_run(run_id: str) -> RunRecord | None:
    """Return the recorded run with exactly this id, or None."""
    store = store_of()
    if store is None:
        return None
    try:
        record = store.run(run_id)
    except StoreError:
        return None
    return record if record.id == run_id else None
