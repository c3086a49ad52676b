"""``wandb.Table``: rows and columns, with media in cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tracelet.compat.wandb.values import Media

if TYPE_CHECKING:
    from tracelet.run import Run


class Table(Media):
    """Rows and columns. ``data`` is rows, an array or a data frame."""

    def __init__(
        self,
        columns: Sequence[Any] | None = None,
        data: Any = None,
        rows: Any = None,
        dataframe: Any = None,
        dtype: Any = None,
        optional: Any = True,
        allow_mixed_types: bool = False,
        log_mode: str | None = "IMMUTABLE",
    ) -> None:
        given: Any = next((one for one in (dataframe, data, rows) if one is not None), [])
        if hasattr(given, "iloc"):
            columns = list(given.columns) if columns is None else list(columns)
            given = [list(row) for row in given.itertuples(index=False)]
        elif hasattr(given, "tolist"):
            given = given.tolist()
        elif not isinstance(given, (list, tuple)):
            raise ValueError(
                f"data argument expects a list of lists, a dataframe or an array, found {type(given)}"
            )
        width = len(given[0]) if given else 3
        names = (
            (["Input", "Output", "Expected"] if width == 3 else list(range(width)))
            if columns is None
            else columns
        )
        self.columns: list[Any] = list(names)
        self.data: list[list[Any]] = []
        for row in given:
            self.add_data(*row)

    def add_data(self, *data: Any) -> None:
        """Add a row.

        Raises:
            ValueError: it has more or fewer cells than there are columns.
        """
        if len(data) != len(self.columns):
            raise ValueError(
                f"This table expects {len(self.columns)} columns: {self.columns}, found {len(data)}"
            )
        self.data.append(list(data))

    def add_row(self, *row: Any) -> None:
        """Add a row; ``add_data`` is the newer name."""
        self.add_data(*row)

    def add_column(self, name: Any, data: Any, optional: bool = False) -> None:
        """Add a column: as many values as there are rows.

        Raises:
            ValueError: the name is taken, or the number of values differs.
        """
        values = data.tolist() if hasattr(data, "tolist") else list(data)
        if name in self.columns:
            raise ValueError(f"Column {name!r} exists already")
        if self.data and len(values) != len(self.data):
            raise ValueError(f"Expected length {len(self.data)}, found {len(values)}")
        if not self.data:
            self.data = [[None] * len(self.columns) for _ in values]
        self.columns.append(name)
        for row, value in zip(self.data, values, strict=True):
            row.append(value)

    def add_computed_columns(self, fn: Callable[[int, dict[Any, Any]], dict[Any, Any]]) -> None:
        """Add the columns that a function computes of each row."""
        rows = [fn(index, dict(zip(self.columns, row, strict=True))) for index, row in enumerate(self.data)]
        for name in dict.fromkeys(key for row in rows for key in row):
            self.add_column(name, [row.get(name) for row in rows])

    def get_column(self, name: Any, convert_to: str | None = None) -> Any:
        """Return the values of a column, as a list or with ``convert_to="numpy"`` as an array."""
        index = self.columns.index(name)
        values = [row[index] for row in self.data]
        if convert_to == "numpy":
            import numpy as np

            return np.array(values)
        return values

    def get_index(self) -> list[int]:
        """Return the numbers of the rows."""
        return list(range(len(self.data)))

    def iterrows(self) -> Iterator[tuple[int, list[Any]]]:
        """Yield the number of each row, and the row."""
        yield from enumerate(self.data)

    def get_dataframe(self) -> Any:
        """Return a DataFrame of pandas."""
        import pandas as pd

        return pd.DataFrame(self.data, columns=self.columns)

    def set_pk(self, key_column: str) -> None:
        """Do nothing: which column is the key makes no difference here."""

    def set_fk(self, column: str, foreign_table: Any, key_column: str) -> None:
        """Do nothing, as ``set_pk``."""

    def cast(self, col_name: str, dtype: Any, optional: bool = False) -> None:
        """Do nothing: cells keep their types."""

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record it; media in cells are recorded under ``NAME/COLUMN/ROW``, and the cells hold that name."""
        run.log_table(name, self._plain_rows(run, name, step), [str(column) for column in self.columns], step)

    def _plain_rows(self, run: Run, name: str, step: int | None) -> list[list[Any]]:
        return [
            [
                self._plain(run, f"{name}/{column}/{index}", cell, step)
                for column, cell in zip(self.columns, row, strict=True)
            ]
            for index, row in enumerate(self.data)
        ]

    def _plain(self, run: Run, name: str, cell: Any, step: int | None) -> Any:
        if not isinstance(cell, Media):
            return cell
        cell.record(run, name, step)
        return name

    def plain(self) -> dict[str, Any]:
        """Return columns and rows, as an artifact holds them."""
        rows = [[str(cell) if isinstance(cell, Media) else cell for cell in row] for row in self.data]
        return {"columns": [str(column) for column in self.columns], "data": rows}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and (self.columns, self.data) == (other.columns, other.data)

    __hash__ = None  # type: ignore[assignment]


class JoinedTable(Media):
    """Two tables joined on a column."""

    def __init__(self, table_1: Table, table_2: Table, join_key: str | Sequence[str]) -> None:
        self._tables = (table_1, table_2)
        self._keys = (join_key, join_key) if isinstance(join_key, str) else tuple(join_key)

    def record(self, run: Run, name: str, step: int | None) -> None:
        """Record the rows that both have, with the columns of both."""
        left, right = self._tables
        by_key = dict(zip(map(str, right.get_column(self._keys[1])), right.data, strict=True))
        columns = [f"0.{column}" for column in left.columns] + [f"1.{column}" for column in right.columns]
        pairs = zip(map(str, left.get_column(self._keys[0])), left.data, strict=True)
        rows = [[*row, *by_key[key]] for key, row in pairs if key in by_key]
        Table(columns, rows).record(run, name, step)
