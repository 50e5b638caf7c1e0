"""Which backgrounds go with which class (paper, section 5; many-to-many as in Spawrious, Lynch et al. 2023)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from d3s.errors import D3SError
from d3s.identity import digest


@dataclass(frozen=True)
class Pairing:
    """Backgrounds by class.

    Attributes:
        name: for tables.
        backgrounds: of each class, those that it is paired with.
    """

    name: str
    backgrounds: Mapping[str, tuple[str, ...]]

    def used(self) -> list[str]:
        """The backgrounds that some class is paired with; a classifier trained at rho = 1 sees no others."""
        return sorted({name for own in self.backgrounds.values() for name in own})

    def paired(self, rows: pd.DataFrame) -> pd.Series:
        """Whether each row (class, background) shows a class on a background of its own."""
        known = {(label, name) for label, own in self.backgrounds.items() for name in own}
        return pd.Series([cell in known for cell in zip(rows["class"], rows["background"], strict=True)], rows.index)

    def probability(self, label: str, rho: float) -> float:
        """P(a picture of the class shows a background of its own): rho + (1 - rho) x their share of all backgrounds."""
        return rho + (1 - rho) * len(self.backgrounds[label]) / len(self.used())

    def classes_of(self, background: str) -> list[str]:
        """The classes that are paired with a background."""
        return sorted(label for label, own in self.backgrounds.items() if background in own)


def pair_classes(
    classes: Sequence[str], backgrounds: Sequence[str], each: int = 1, number: int = 0, seed: int = 0
) -> Pairing:
    """Deal backgrounds out to classes.

    Classes and backgrounds are each put in an order that is hashed from the seed; each class takes the next ``each``
    backgrounds in turn, so no background has two classes more than another. Pairing ``number`` starts that many places
    further on: over as many pairings as there are backgrounds, every class has every background equally often, and
    their mean depends on no lucky pair.

    Args:
        classes: their names.
        backgrounds: their names.
        each: backgrounds per class: 1 is one to one (as long as there are enough), more is many to many.
        number: of the pairing.
        seed: of the two orders.

    Raises:
        D3SError: there are fewer than two classes or backgrounds, or every class would have all backgrounds.
    """
    if len(set(backgrounds)) < 2:
        raise D3SError("a spurious correlation needs at least two backgrounds", "add a background to its table")
    if len(set(classes)) < 2:
        raise D3SError("a spurious correlation needs at least two classes", "add a class to its table")
    if not 1 <= each < len(set(backgrounds)):
        raise D3SError(
            f"{each} backgrounds per class, of {len(set(backgrounds))}, leave no pairing that could be broken",
            "set correlation: backgrounds_per_class: to at least 1 and less than the number of backgrounds",
        )
    places = sorted(set(backgrounds), key=lambda name: (digest(seed, "spurious.background", name), name))
    order = sorted(set(classes), key=lambda name: (digest(seed, "spurious.class", name), name))
    dealt = {
        label: tuple(sorted(places[(place * each + turn + number) % len(places)] for turn in range(each)))
        for place, label in enumerate(order)
    }
    return Pairing(f"k{each}-p{number}", dict(sorted(dealt.items())))


def find_pairing(rows: pd.DataFrame, name: str = "own") -> Pairing:
    """The pairing that a data set has of itself: backgrounds that a class shows more often than all do.

    More often means by a tenth at least, so that no accident of sampling makes a pairing.

    Raises:
        D3SError: a class has none, since classes and backgrounds go together in no way.
    """
    train = rows[rows["split"] == "train"]
    overall = train["background"].value_counts(normalize=True)
    found = {}
    for label, own in train.groupby("class"):
        shares = own["background"].value_counts(normalize=True)
        found[str(label)] = tuple(sorted(place for place in shares.index if shares[place] > 1.1 * overall[place]))
        if not found[str(label)]:
            raise D3SError(
                f"{name}: the class {label} is on no background more often than the others are",
                "give a benchmark whose training pictures are correlated, or let the workflow build splits of it (rho)",
            )
    return Pairing(name, found)
