"""The templates of a background, from whatever its rows name."""

import pandas as pd

from d3s import cli
from d3s.backgrounds import View, ViewSettings, cut_views, plan_views, square_photo
from d3s.errors import BadInput
from d3s.imageio import encode_png, image_digest
from d3s.tables import Row

COLUMNS = ("template_source", "background", "kind", "split", "file", "yaw_start", "exposure")
"""The cells of the template table that a prepared template depends on."""
BLOCK = 30.0
"""Degrees of yaw; views of one panorama whose centres fall into one block count as one group when folds are made."""


def prepare_templates(rows: list[Row], settings: ViewSettings) -> tuple[pd.DataFrame, list[tuple[str, bytes]]]:
    """Prepare every template of one background; what can't be used stays as a row with its reason.

    Returns:
        One row per template, in the order of their names, and the members of the shard.
    """
    panoramas = sorted(row["template_source"] for row in rows if row["kind"] == "panorama")
    records, members = [], []
    for row in cli.progress(sorted(rows, key=lambda row: row["template_source"]), len(rows), "sources"):
        base = {"template_source": row["template_source"], "background": row["background"], "kind": row["kind"]}
        single = row["kind"] == "panorama" and len(rows) == 1
        try:
            if row["kind"] == "panorama":
                views = _views_of(row, panoramas, settings)
                cut = list(cut_views(row["file"], views, float(row["exposure"] or 0.18), settings))
                made = [(v.name, v.split, v.yaw, v.pitch, _group(row, v), picture) for v, picture in cut]
            else:
                if not row["split"]:
                    raise BadInput("no_split", f"the photograph {row['template_source']} has no split in the table")
                name = row["template_source"]
                made = [(name, row["split"], 0.0, 0.0, name, square_photo(row["file"], settings.size))]
        except BadInput as error:
            records.append(
                base
                | {"template": row["template_source"], "split": row["split"], "yaw": 0.0, "pitch": 0.0}
                | {"template_group": row["template_source"], "single_panorama": single}
                | {"status": error.status, "reason": error.reason, "member": "", "digest": ""}
            )
            continue
        for name, split, yaw, pitch, group, picture in made:
            records.append(
                base
                | {"template": name, "split": split, "yaw": yaw, "pitch": pitch}
                | {"template_group": group, "single_panorama": single}
                | {"status": "ok", "reason": "", "member": f"{name}.png", "digest": image_digest(picture)}
            )
            members.append((f"{name}.png", encode_png(picture)))
    return pd.DataFrame(records).sort_values("template", ignore_index=True), members


def _views_of(row: Row, panoramas: list[str], settings: ViewSettings) -> list[View]:
    """A panorama's share of its background's views: the first ones take what does not divide evenly."""
    place = panoramas.index(row["template_source"])

    def share(total: int) -> int:
        return total // len(panoramas) + (place < total % len(panoramas))

    start = float(row["yaw_start"] or 0)
    return plan_views(row["template_source"], start, share(settings.train), share(settings.val), settings.pitches)


def _group(row: Row, view: View) -> str:
    offset = (view.yaw - float(row["yaw_start"] or 0)) % 360
    return f"{row['template_source']}:{view.split}:{int(offset // BLOCK)}"
