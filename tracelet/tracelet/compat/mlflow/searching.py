"""``mlflow.search_runs``: MLflow's filters and orders, over the runs of the data folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tracelet.compat.mlflow.entities import PagedList, Run
from tracelet.compat.mlflow.exceptions import MlflowException
from tracelet.compat.mlflow.experiments import configured_project, current_project, project_of_id
from tracelet.compat.mlflow.filters import holds, parse_filter, split_key, value_of
from tracelet.compat.mlflow.recorded import run_of
from tracelet.compat.starting import store_of

if TYPE_CHECKING:
    from tracelet.store.record import RunRecord


def projects(
    experiment_ids: Sequence[str] | None, experiment_names: Sequence[str] | None, *, everything: bool = False
) -> list[str] | None:
    """Return the projects to search, by ids or names; the current one without any; None for all."""
    if everything:
        return None
    if experiment_ids and experiment_names:
        raise MlflowException.invalid_parameter_value(
            "Only experiment_ids or experiment_names can be used, but not both"
        )
    given: Iterable[str | None] = [project_of_id(one) for one in experiment_ids or ()]
    if experiment_names:
        given = [None if name == "Default" else name for name in experiment_names]
    if not experiment_ids and not experiment_names:
        given = [current_project()]
    return [name if name is not None else configured_project() for name in given]


def current_records() -> list[RunRecord]:
    """Return the runs of the current experiment, the newest first."""
    store = store_of()
    return store.runs(projects(None, None)) if store is not None else []


def search(
    projects: list[str] | None, filter_string: str | None, order_by: Sequence[str] | None, max_results: int
) -> PagedList:
    """Return the runs that fit, the newest first unless an order is given."""
    conditions = parse_filter(filter_string or "")
    store = store_of()
    records = store.runs(projects) if store is not None else []
    runs = [run for run in map(run_of, records) if "deleted" not in run.data.tags]
    found = [run for run in runs if all(holds(condition, run) for condition in conditions)]
    for order in reversed(list(order_by or ())):
        found = _sorted(found, order)
    return PagedList(found[:max_results])


def _sorted(runs: list[Run], order: str) -> list[Run]:
    match = re.fullmatch(r"\s*(.+?)(?:\s+(ASC|DESC))?\s*", order, re.IGNORECASE)
    assert match is not None
    kind, name = split_key(match[1])
    known = [run for run in runs if value_of(run, kind, name) is not None]
    descending = (match[2] or "ASC").upper() == "DESC"
    ordered = sorted(known, key=lambda run: value_of(run, kind, name), reverse=descending)
    return [*ordered, *(run for run in runs if run not in known)]


def frame(runs: Sequence[Run]) -> Any:
    """Return runs as a DataFrame of pandas: a row each, with a column for each metric, parameter and tag.

    Raises:
        MlflowException: pandas is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MlflowException(
            "search_runs needs pandas; pass output_format='list', or pip install pandas"
        ) from None
    names = ("run_id", "experiment_id", "status", "artifact_uri")
    rows: list[dict[str, Any]] = []
    for run in runs:
        row = {name: getattr(run.info, name) for name in names}
        for name in ("start_time", "end_time"):
            row[name] = pd.to_datetime(getattr(run.info, name), unit="ms", utc=True)
        for kind in ("metrics", "params", "tags"):
            row.update({f"{kind}.{name}": value for name, value in getattr(run.data, kind).items()})
        rows.append(row)
    return pd.DataFrame(rows, columns=None if rows else [*names, "start_time", "end_time"])
