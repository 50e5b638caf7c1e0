"""Pictures whose licence nobody has written down."""

from collections import Counter
from collections.abc import Iterable, Mapping

from d3s.tables import Row


def licences_of(sources: Iterable[Row]) -> dict[str, str]:
    """The licence of each source of the registry; empty where it states none."""
    return {row["source"]: row["licence"] for row in sources}


def without_licence(rows: Iterable[Mapping[str, str]], sources: Iterable[Row]) -> dict[str, int]:
    """How many rows of a table have no licence, by the source that they name; most of them first.

    Args:
        rows: of exemplars or templates, with their ``source``, which may be empty.
        sources: rows of the registry.
    """
    known = licences_of(sources)
    counts = Counter(row["source"] for row in rows if not known.get(row["source"]))
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def describe(missing: Mapping[str, int]) -> str:
    """``without_licence`` as words."""
    return ", ".join(
        f"{count} {'row' if count == 1 else 'rows'} " + (f"of the source {source!r}" if source else "without a source")
        for source, count in missing.items()
    )
