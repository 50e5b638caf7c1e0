"""Tables of results as the report and its figures read them."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from d3s.errors import D3SError


def load_table(path: str | Path | None, columns: Iterable[str]) -> pd.DataFrame:
    """Read a CSV table; one that is absent, or has no rows, is an empty table with its columns.

    The column ``difference`` of paired tables comes out as ``value``.

    Raises:
        D3SError: the file has rows, but lacks a column, or is no CSV.
    """
    columns = list(columns)
    if path is None or not Path(path).is_file() or Path(path).stat().st_size == 0:
        return pd.DataFrame(columns=columns)
    try:
        # "None", "NA" and "null" are fair names of classes and backgrounds: only an empty cell is missing.
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype={"worker": str})
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise D3SError(f"{path} can't be read as CSV ({error})", "delete it and run the workflow again") from None
    if "value" in columns and "value" not in table and "difference" in table:
        table = table.rename(columns={"difference": "value"})
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise D3SError(f"{path} lacks the column {lacking[0]!r}", "delete it and run the workflow again")
    for name in {"value", "ci_low", "ci_high", "chance"} & set(table.columns):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table


def texts(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The table with these columns as text; an empty cell is an empty text, and an absent column one of them."""

    def text(column: pd.Series) -> pd.Series:
        # A column that is empty throughout was read as numbers.
        return column.astype(object).where(column.notna(), "").astype(str)

    return table.assign(**{name: text(table[name]) if name in table else "" for name in names})
