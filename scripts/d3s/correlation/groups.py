"""Rows of group data, from the manifest or from a benchmark's index: one table for all methods and measures.

A group is a class on a background.
"""

import logging

import pandas as pd

from d3s.errors import D3SError
from d3s.identity import uniform

log = logging.getLogger("d3s")
COLUMNS = ("sample", "class", "background", "split", "split_group", "template_group", "accepted")
"""Of a table of group data.

``split`` is ``train``, ``validation`` or ``test``; rows of one ``split_group`` share an exemplar, those of one
``template_group`` a panorama (each row has groups of its own where that is not known); ``accepted`` tells whether the
image may be used (the guide of a rejected image may).
"""
TRAIN_SHARE = 0.6
"""Of a benchmark without splits of its own."""
_SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


def groups_of_manifest(manifest: pd.DataFrame) -> pd.DataFrame:
    """The rows of the manifest: its val is the test; a validation part is held out of train when a split is built.

    Args:
        manifest: as ``features.read_manifest`` gives it.
    """
    rows = manifest[manifest["split"].isin(["train", "val"])]
    made = rows.assign(**{"class": rows["class_id"].astype(int).astype(str)})
    made["split"] = made["split"].map({"train": "train", "val": "test"})
    return made[list(COLUMNS)].sort_values("sample", ignore_index=True)


def groups_of_index(index: pd.DataFrame, where: str) -> pd.DataFrame:
    """The rows of a benchmark's index (``benchmark_index.COLUMNS``) whose class and background are known.

    A class that is none of ImageNet's is as good as any here. Pictures of one matched set stand for one exemplar.

    Raises:
        D3SError: no background is known, or there are no pictures to train or to test on.
    """
    usable = index[index["status"].isin(["ok", "no_indices"]) & (index["class_name"] != "")]
    rows = usable[usable["background"] != ""]
    named = rows["split"].map(_SPLITS)
    if named.isna().all():
        # such as Spawrious, whose parts are none of these: split by hashes, the same whoever else is there
        identity = rows["matched_set"].where(rows["matched_set"] != "", rows["sample"])
        named = identity.map(lambda name: "train" if uniform(0, "correlation.split", name) < TRAIN_SHARE else "test")
    rows = rows[named.notna()]
    if rows.empty:
        raise D3SError(
            f"{where} has no picture of a known class, background and split",
            "name a benchmark whose index has them, such as Waterbirds with all of its splits",
        )
    if len(rows) < len(index):
        log.warning(
            "%s: %d of %d pictures have no class, background or split", where, len(index) - len(rows), len(index)
        )
    group = rows["matched_set"].where(rows["matched_set"] != "", rows["sample"])
    made = pd.DataFrame(
        {
            "sample": rows["sample"],
            "class": rows["class_name"],
            "background": rows["background"],
            "split": named[named.notna()],
            "split_group": group,
            "template_group": rows["sample"],
            "accepted": True,
        }
    )
    for split in ("train", "test"):
        if not (made["split"] == split).any():
            raise D3SError(
                f"{where} has no pictures of {split}", "leave out splits: of this benchmark, so that all are there"
            )
    return made[list(COLUMNS)].sort_values("sample", ignore_index=True)
