"""Cut-outs on plain grey: what the matched sets show, where and as large as on every background, and nothing else.

They are the guides' own reference: how well a classifier knows the objects as they are cut out and placed here.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pandas as pd
from PIL import Image

from d3s import cli
from d3s.composition import Placement, PlacementRanges, draw_placement, paste
from d3s.guides import ShardPlan, choose_by_index
from d3s.imageio import decode_png, encode_png, image_digest
from d3s.shards import TarReader
from d3s.tables import Row

GREY = (128, 128, 128)
"""The middle of the range, which is near the mean of the inputs that classifiers were trained on."""


def plan_cutouts(
    plan: ShardPlan, revisions: Iterable[int], classes: list[Row], exemplars: pd.DataFrame, ranges: PlacementRanges
) -> pd.DataFrame:
    """The cut-outs of a shard: one per matched set of guides, with the exemplar and the placement of its guides.

    Args:
        plan: split, shift, images per class and root seed; it is of no background, and its revision counts for nothing.
        revisions: of the shift's backgrounds; those of one revision form matched sets of their own.
        classes: rows of the chunk's classes.
        exemplars: manifest of the chunk's exemplars.
        ranges: what placements are drawn from.

    Returns:
        One row per matched set, usable or not, still without ``guide_digest`` and ``member``.
    """
    usable = exemplars[(exemplars["status"] == "ok") & (exemplars["split"] == plan.material_split)]
    by_class: dict[int, dict[str, dict[str, Any]]] = {}
    for one in usable.sort_values("exemplar").to_dict("records"):
        by_class.setdefault(int(one["class_id"]), {})[one["exemplar"]] = one
    records = []
    for revision in sorted(set(revisions)):
        for row in classes:
            own = by_class.get(int(row["class_id"]), {})
            for choice in choose_by_index(replace(plan, revision=revision), row, own):
                exemplar = own.get(choice.exemplar, {"exemplar": "", "digest": "", "split_group": ""})
                records.append(
                    {
                        "sample": f"cutout-{choice.matched_set}",
                        "split": plan.split,
                        "shift": plan.shift,
                        "class_id": int(row["class_id"]),
                        "class_name": row["name"],
                        "background": "",
                        "index": choice.index,
                        "revision": revision,
                        "matched_set": choice.matched_set,
                        "exemplar": exemplar["exemplar"],
                        "exemplar_digest": exemplar["digest"],
                        "split_group": exemplar["split_group"],
                        **draw_placement(ranges, plan.seed, *choice.placement).as_dict(),
                        "guide_digest": "",
                        "member": "",
                        "status": "ok" if choice.exemplar else "no_exemplar",
                        "reason": "" if choice.exemplar else choice.fault,
                    }
                )
    return pd.DataFrame(records)


def paste_cutouts(
    planned: pd.DataFrame, exemplars: pd.DataFrame, tar: TarReader, size: int
) -> tuple[pd.DataFrame, list[tuple[str, bytes]]]:
    """Paste the usable ones of planned cut-outs.

    Args:
        planned: from ``plan_cutouts``.
        exemplars, tar: manifest of the chunk's exemplars, and where they lie.
        size: side in pixels.

    Returns:
        The rows, with the digest of the decoded pixels as ``guide_digest``, and the members of the shard.
    """
    planned = planned.assign(size=size)
    grey = Image.new("RGB", (size, size), GREY)
    lies = dict(zip(exemplars["exemplar"], exemplars["member"], strict=True))
    usable = planned[planned["status"] == "ok"].sort_values("exemplar", kind="stable")
    held, picture = "", grey
    members = []
    rows = zip(usable.index, usable.to_dict("records"), strict=True)
    for position, row in cli.progress(rows, len(usable), "cut-outs"):
        if row["exemplar"] != held:
            held, picture = row["exemplar"], decode_png(tar.read(lies[row["exemplar"]]))
        made = paste(picture, grey, Placement(row["scale"], row["flip"], row["x"], row["y"]), size)
        planned.at[position, "guide_digest"] = image_digest(made)
        planned.at[position, "member"] = f"{row['sample']}.png"
        members.append((f"{row['sample']}.png", encode_png(made)))
    return planned, members
