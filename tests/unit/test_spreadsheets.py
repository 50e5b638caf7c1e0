"""Foreign text in tables that people open."""

import pandas as pd

from d3s.spreadsheets import defuse


def test_text_that_begins_like_a_formula_becomes_text_and_numbers_stay() -> None:
    table = pd.DataFrame({"text": ["=1+1", "+a", "-b", "@c", "\td", "fine", None], "number": [-1.5] * 7})
    safe = defuse(table)
    assert safe["text"].tolist()[:6] == ["'=1+1", "'+a", "'-b", "'@c", "'\td", "fine"]
    assert safe["number"].equals(table["number"])
