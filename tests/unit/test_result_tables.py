"""Tables of results: read with care for names, and never a crash for want of rows."""

from pathlib import Path

import pandas as pd
import pytest

from d3s.errors import D3SError
from d3s.result_tables import load_table, texts


def test_paired_tables_name_their_value_difference(tmp_path: Path) -> None:
    (tmp_path / "paired.csv").write_text("objective,difference\nwasserstein,-0.2\n")
    assert load_table(tmp_path / "paired.csv", ("objective", "value"))["value"].tolist() == [-0.2]


def test_a_class_may_be_called_none(tmp_path: Path) -> None:
    (tmp_path / "counts.csv").write_text("class_name,n\nNone,1\nNA,2\n")
    assert load_table(tmp_path / "counts.csv", ("class_name", "n"))["class_name"].tolist() == ["None", "NA"]


def test_a_lacking_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "probes.csv").write_text("objective\nerm\n")
    with pytest.raises(D3SError, match="'value'"):
        load_table(tmp_path / "probes.csv", ("objective", "value"))


def test_empty_cells_and_absent_columns_are_empty_texts() -> None:
    table = texts(pd.DataFrame({"shift": [float("nan")] * 2, "model": ["a", None]}), "shift", "model", "detail")
    assert table.to_numpy().tolist() == [["", "a", ""], ["", "", ""]]
