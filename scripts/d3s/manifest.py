"""The manifest of the data set: one row per planned image, with all that was found out about it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from d3s.errors import D3SError

IDENTITY = [
    "sample",
    "split",
    "shift",
    "class_id",
    "class_name",
    "background",
    "index",
    "revision",
    "matched_set",
    "exemplar",
    "split_group",
    "template",
    "template_group",
    "prompt",
    "prompt_trimmed",
    "seed",
    "recipe",
    "guide_digest",
    "image_digest",
    "safety",
    "shard",
    "member",
]
"""Columns taken from the manifests of the image shards."""
SCREENS = ["brightness", "contrast", "dhash", "guide_distance", "classifier", "super_top1", "super_probability"]
"""Columns taken from the screens, beside status and reason."""
VERDICTS = ["votes", "rule", "decision", "verified_by", "accepted", "set_complete"]
ORDER = ["split", "shift", "class_id", "index", "revision", "background", "sample"]
"""Rows are sorted by these; near-duplicates are told in this order too: the first one stays."""
ALIKE = ["split", "shift", "class_id", "background"]
"""Images are compared only where all of these are equal: members of a matched set, which differ in their background,
share exemplar and placement and are meant to be similar."""
GROUPS = ["exemplar", "split_group", "template_group"]
"""Columns whose equal values say that images are not independent of each other."""


def join_screens(images: pd.DataFrame, screens: pd.DataFrame) -> pd.DataFrame:
    """Give each planned image what screening found.

    Args:
        images: rows of all image shards, with the columns of ``IDENTITY``.
        screens: rows of all tables of screens.

    Returns:
        The columns of ``IDENTITY``, status, reason and the columns of ``SCREENS``, sorted by ``ORDER``.

    Raises:
        D3SError: a sample stands twice, an image has no screens, or screens are of another image.
    """
    for table, what in ((images, "image shards"), (screens, "tables of screens")):
        twice = sorted(table.loc[table["sample"].duplicated(), "sample"])
        if twice:
            raise D3SError(
                f"{len(twice)} samples stand twice in the {what}, such as {twice[0]}",
                "give each shard once; if each was, delete them and run the workflow again",
            )
    for one, other, problem in (
        (images, screens, "images have no screens"),
        (screens, images, "screens belong to no image"),
    ):
        alone = sorted(set(one["sample"]) - set(other["sample"]))
        if alone:
            raise D3SError(
                f"{len(alone)} {problem}, such as {alone[0]}",
                "give the screens of just these image shards (rule screen_images makes them)",
            )
    found = screens[["sample", "status", "reason", *SCREENS, "image_digest"]]
    joined = images[IDENTITY].merge(
        found.rename(columns={"image_digest": "screened"}), on="sample", how="left", validate="one_to_one"
    )
    stale = joined["screened"].fillna("") != joined["image_digest"].fillna("")
    if stale.any():
        samples = joined.loc[stale, "sample"]
        raise D3SError(
            f"the screens of {len(samples)} images are of other pixels, such as {samples.iloc[0]}",
            "the images were made again since: run screen_images for their shards",
        )
    return joined.drop(columns="screened").sort_values(ORDER, ignore_index=True)


def apply_decisions(table: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """Let people overrule the classifier that screened, in both directions; what is broken stays rejected.

    Args:
        table: as ``join_screens`` gives it.
        decisions: as ``d3s.annotation.deciding.decide`` gives them.

    Returns:
        The table with the columns votes, rule and decision (empty where nobody voted) and verified_by: ``human`` where
        people decided what became of the image, ``model`` where a classifier judged, else ``none``.
    """
    table = table.merge(decisions, on="sample", how="left", validate="one_to_one")
    decided = table["decision"].where(table["status"].isin(["ok", "off_class"]), None)
    rejected, accepted = decided == "rejected", decided == "accepted"
    table["verified_by"] = np.where(table["classifier"].notna(), "model", "none")
    table.loc[accepted | rejected, "verified_by"] = "human"
    table.loc[accepted, ["status", "reason"]] = ["ok", ""]
    table.loc[rejected, "status"] = "rejected_by_people"
    for place, row in table[rejected].iterrows():
        table.at[place, "reason"] = (
            f"of {row['votes']:.0f} people {row['present']:.0f} see the object, and {row['safe']:.0f} say that nothing "
            f"is adult or violent (rule: {row['rule']})"
        )
    table["votes"] = table["votes"].fillna(0).astype("int64")
    for name in ("rule", "decision"):
        table[name] = table[name].fillna("").astype("str")
    return table


def mark_near_duplicates(table: pd.DataFrame, distance: int) -> pd.DataFrame:
    """Reject images whose hash is within ``distance`` bits (of 64) of one before them that stays.

    Only images that are otherwise fine are compared, and only those alike in ``ALIKE``. Those rejected here don't
    reject others, so that a chain of small differences doesn't empty a class. What people accepted goes first.
    """
    table = table.copy()
    people_first = table.sort_values("verified_by", key=lambda by: by != "human", kind="stable")
    for _, group in people_first[people_first["status"] == "ok"].groupby(ALIKE, sort=True):
        kept: list[int] = []
        hashes = np.array([int(text, 16) for text in group["dhash"]], dtype=np.uint64)
        for place, row in enumerate(group.index):
            bits = np.bitwise_count(hashes[kept] ^ hashes[place])
            if bits.size and bits.min() <= distance:
                nearest = int(bits.argmin())
                other = table.at[group.index[kept[nearest]], "sample"]
                table.at[row, "status"] = "near_duplicate"
                table.at[row, "reason"] = f"its hash is within {int(bits[nearest])} of 64 bits of that of {other}"
            else:
                kept.append(place)
    return table


def build_manifest(
    images: pd.DataFrame, screens: pd.DataFrame, duplicate_distance: int, decisions: pd.DataFrame | None = None
) -> pd.DataFrame:
    """The manifest: no row is lost, each has its verdict.

    Args:
        images: as ``join_screens``.
        screens: as ``join_screens``.
        duplicate_distance: as ``mark_near_duplicates``.
        decisions: as ``apply_decisions``; none if nobody was asked.

    Returns:
        One row per planned image. ``verified_by`` is as in ``apply_decisions``; ``accepted`` is true where the
        status is ``ok``; ``set_complete`` where every background of the matched set has an accepted image.

    Raises:
        D3SError: what ``join_screens`` raises.
    """
    nobody = pd.DataFrame(columns=["sample", "votes", "present", "safe", "rule", "decision"])
    table = apply_decisions(join_screens(images, screens), nobody if decisions is None else decisions)
    table = mark_near_duplicates(table, duplicate_distance)
    table["accepted"] = table["status"] == "ok"
    backgrounds = table.groupby(["split", "shift", "revision"])["background"].transform("nunique")
    accepted = table["background"].where(table["accepted"])
    table["set_complete"] = accepted.groupby(table["matched_set"]).transform("nunique") == backgrounds
    return table[[*IDENTITY, "status", "reason", *SCREENS, *VERDICTS]]


def count_statuses(manifest: pd.DataFrame) -> pd.DataFrame:
    """How many images of each class and background have each status, in the long form of ``counts.csv``."""
    keys = ["split", "background", "class_id", "class_name", "status"]
    return manifest.groupby(keys, sort=True, dropna=False).size().rename("n").reset_index()


def with_own_groups(manifest: pd.DataFrame) -> pd.DataFrame:
    """The manifest with a group of its own for each image of which it is not known what it shares with others.

    So it is with imported images: nobody recorded their exemplars. Those that do share one count as independent then,
    and intervals come out narrower than they should.
    """
    own = {name: manifest[name].where(manifest[name].fillna("") != "", manifest["sample"]) for name in GROUPS}
    return manifest.assign(**own)


def gather(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table of the rows of many; those without rows have no say in its types."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled or list(tables[:1]), ignore_index=True)
