"""Matched sets as arrays: one row per set, one column per background, for what is computed within sets."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from d3s.metrics.estimates import cluster_kind


@dataclass(frozen=True)
class Block:
    """The matched sets of one shift that were planned on the same backgrounds.

    Attributes:
        shift: the prompt family, empty where there is none.
        backgrounds: B names, sorted.
        sets: S names, sorted.
        clusters: of the sets, what is drawn together.
        exemplars: of the sets; empty text where it is not known.
        class_ids, class_names: of the sets.
        right: S x B, 1.0 or 0.0 (top-1 over super-classes); NaN where there is no judged picture.
        predicted: S x B class ids; -1 where there is no picture.
        margin: S x B log odds; NaN likewise.
        samples: S x B names; empty likewise.
        kind: what the clusters are.
    """

    shift: str
    backgrounds: tuple[str, ...]
    sets: np.ndarray
    clusters: np.ndarray
    exemplars: np.ndarray
    class_ids: np.ndarray
    class_names: np.ndarray
    right: np.ndarray
    predicted: np.ndarray
    margin: np.ndarray
    samples: np.ndarray
    kind: str

    def complete(self) -> "Block":
        """The sets that have a picture on every background."""
        return self.of(~np.isnan(self.right).any(axis=1))

    def of(self, chosen: np.ndarray) -> "Block":
        """Some of the sets.

        Args:
            chosen: S booleans, or positions.
        """
        own: dict[str, Any] = {
            name: value[chosen] for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        return replace(self, **own)

    def __len__(self) -> int:
        return len(self.sets)


def matched_blocks(judged: pd.DataFrame) -> list[Block]:
    """The matched sets of judged rows, one block per shift.

    A set belongs to the block if its judged pictures lie on the block's backgrounds and as many were planned for it.
    Where sets were planned on different backgrounds (one was renewed, say, and makes sets of its own), the block is of
    the backgrounds that most pictures are in sets of; sets of others are left out, as the n of each figure tells.
    Pictures without a set or a background, and sets planned on a single background, are left out too.
    """
    known = judged[(judged["matched_set"] != "") & (judged["background"] != "") & (judged["planned"] > 1)]
    known = known.drop_duplicates(["matched_set", "background"])
    kind = cluster_kind(judged)
    blocks = []
    for shift, part in known.groupby("shift", sort=True):
        backgrounds = _usual_backgrounds(part)
        if len(backgrounds) < 2:
            continue
        fits = part["background"].isin(backgrounds) & (part["planned"] == len(backgrounds))
        own = part[fits.groupby(part["matched_set"]).transform("all")]
        sets = np.sort(own["matched_set"].unique())
        if not len(sets):
            continue
        rows = np.searchsorted(sets, own["matched_set"].to_numpy(dtype=object))
        columns = np.searchsorted(np.asarray(backgrounds, dtype=object), own["background"].to_numpy(dtype=object))

        def grid(column: str, empty: float | int | str, own: pd.DataFrame = own, where: Any = (rows, columns)) -> Any:
            cells = np.full((len(sets), len(backgrounds)), empty, dtype=object if empty == "" else type(empty))  # noqa: B023
            cells[where] = own[column].to_numpy()
            return cells

        first = own.drop_duplicates("matched_set").set_index("matched_set").loc[sets]
        blocks.append(
            Block(
                shift=str(shift),
                backgrounds=tuple(backgrounds),
                sets=sets,
                clusters=first["cluster"].to_numpy(),
                exemplars=first["exemplar"].to_numpy(),
                class_ids=first["class_id"].to_numpy(),
                class_names=first["class_name"].to_numpy(),
                right=grid("top1", np.nan),
                predicted=grid("predicted", -1),
                margin=grid("margin", np.nan),
                samples=grid("sample", ""),
                kind=kind,
            )
        )
    return blocks


def _usual_backgrounds(part: pd.DataFrame) -> list[str]:
    """The backgrounds of the most usual kind of set, by its number of pictures; ties go to the longer, then by name.

    What backgrounds a set was planned on is told by its judged pictures only as far as they go, so only sets that have
    as many as were planned are asked; if none has, all backgrounds of the sets planned on most.
    """
    whole = part[part.groupby("matched_set")["background"].transform("nunique") == part["planned"]]
    if not len(whole):
        most = part[part["planned"] == part["planned"].max()]
        found = sorted(most["background"].unique())
        return found if len(found) == part["planned"].max() else []
    kinds = whole.groupby("matched_set")["background"].agg(lambda names: tuple(sorted(names)))
    counts = kinds.value_counts()
    best = max(counts.items(), key=lambda item: (item[1] * len(item[0]), len(item[0]), item[0]))
    return list(best[0])
