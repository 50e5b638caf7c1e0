"""Licence notes: who has none is counted by source."""

from d3s.licences import describe, licences_of, without_licence

SOURCES = [{"source": "haven", "licence": "CC0-1.0"}, {"source": "mine", "licence": ""}]


def test_rows_without_a_licence_are_counted_by_source() -> None:
    rows = [{"source": name} for name in ("haven", "mine", "", "web", "", "haven")]
    missing = without_licence(rows, SOURCES)
    assert missing == {"": 2, "mine": 1, "web": 1}
    assert list(missing) == ["", "mine", "web"]
    assert describe(missing) == "2 rows without a source, 1 row of the source 'mine', 1 row of the source 'web'"


def test_nothing_is_missing_where_every_source_is_noted() -> None:
    assert without_licence([{"source": "haven"}], SOURCES) == {}
    assert licences_of(SOURCES) == {"haven": "CC0-1.0", "mine": ""}
