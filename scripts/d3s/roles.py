"""Who is who among the classifiers: what each had to do with the making of the data, and which of them judges."""

from collections.abc import Mapping, Sequence

import pandas as pd

from d3s.errors import D3SError

JUDGE = "judge"
AT_WORK = {
    "backbone": "the encoders are trained on its features",
    "screen": "it screened the images",
}
"""Roles that had a part in the making of the data, so that the accepted images may flatter them."""


def parse_roles(texts: Sequence[str]) -> dict[str, str]:
    """Roles by classifier, in the order given.

    Args:
        texts: ``NAME=ROLE`` each.

    Raises:
        D3SError: one has another form.
    """
    pairs = [text.rpartition("=") for text in texts]
    for text, (name, _, role) in zip(texts, pairs, strict=True):
        if not name or not role:
            raise D3SError(f"{text!r} names no classifier with its role", "write NAME=ROLE, such as lite2=judge")
    return {name: role for name, _, role in pairs}


def with_roles(table: pd.DataFrame, roles: Mapping[str, str]) -> pd.DataFrame:
    """A table of classifiers with two more columns: role (empty if it has none) and place in the list of classifiers.

    A table without the column ``model`` stays as it is.
    """
    if "model" not in table:
        return table
    places = {name: place for place, name in enumerate(roles)}
    models = table["model"].astype(str)
    return table.assign(
        model=models,
        role=[roles.get(name, "") for name in models],
        place=[places.get(name, len(places)) for name in models],
    )


def judges_of(table: pd.DataFrame) -> list[str]:
    """The judges that a table has rows of, the report's first; without any, the last classifier by name."""
    known = table[["model", *({"role", "place"} & set(table.columns))]].drop_duplicates("model")
    if "role" in known and (known["role"] == JUDGE).any():
        return known[known["role"] == JUDGE].sort_values(["place", "model"])["model"].astype(str).tolist()
    return sorted(known["model"].astype(str))[-1:]


def marks_of(table: pd.DataFrame) -> dict[str, str]:
    """What to write beside classifiers that had a part in the making of the data, by name: their role."""
    if "role" not in table:
        return {}
    known = table[table["role"].isin(AT_WORK)]
    return dict(zip(known["model"].astype(str), known["role"].astype(str), strict=True))
