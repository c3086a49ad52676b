"""``mlflow.load_table``: the tables that runs have kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tracelet.compat.mlflow.artifacts import artifact_paths
from tracelet.compat.mlflow.exceptions import missing
from tracelet.compat.mlflow.recorded import data_of, record_of


def load_table(
    artifact_file: str, run_ids: Sequence[str] | None = None, extra_columns: Sequence[str] | None = None
) -> Any:
    """Return the rows of a table of several runs, as a DataFrame of pandas.

    Raises:
        MlflowException: no run has kept such a table.
    """
    import pandas as pd

    from tracelet.compat.mlflow.searching import current_records

    records = [record_of(run_id) for run_id in run_ids] if run_ids is not None else current_records()
    frames = []
    for record in records:
        path = artifact_paths(record).get(artifact_file)
        if path is not None:
            plain = json.loads(path.read_text(encoding="utf-8"))
            frame = pd.DataFrame(plain["data"], columns=plain["columns"])
            known = {"run_id": record.id, **data_of(record).params, **data_of(record).tags}
            for column in extra_columns or ():
                frame[column] = known.get(column)
            frames.append(frame)
    if not frames:
        raise missing(f"No runs found with the corresponding table artifact {artifact_file}.")
    return pd.concat(frames, ignore_index=True)
