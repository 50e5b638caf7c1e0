"""The exemplars of a chunk: cut out, assigned to splits, and kept from leaking from one split into the other."""

from collections.abc import Iterable

import pandas as pd
from PIL import Image

from d3s import cli
from d3s.errors import BadInput
from d3s.fingerprint import alike, mirrored_dhashes
from d3s.foregrounds import cut_out
from d3s.identity import uniform
from d3s.imageio import encode_png, image_digest
from d3s.tables import Row

COLUMNS = ("exemplar", "class_id", "split_group", "split", "image", "mask")
"""The cells of the exemplar table that a prepared exemplar depends on."""


def split_of(row: Row, val_fraction: float, seed: int) -> tuple[str, str]:
    """The split group and the split of an exemplar: as the table says, else by a hash of its group.

    Returns:
        The group's name (the exemplar's own where the table gives none) and ``train`` or ``val``.
    """
    group = row["split_group"] or row["exemplar"]
    if row["split"]:
        return group, row["split"]
    return group, "val" if uniform(seed, "split", row["class_id"], group) < val_fraction else "train"


def prepare_exemplars(
    rows: list[Row], max_side: int, min_side: int, duplicate_distance: int, val_fraction: float, seed: int
) -> tuple[pd.DataFrame, list[tuple[str, bytes]]]:
    """Prepare every exemplar of a chunk; what can't be used stays as a row with its reason.

    A split group that the table spreads over both splits, and a val exemplar that looks like a train exemplar of its
    class (mirrored copies included), would let a model recognise what it should generalise to; both are refused.

    Returns:
        One row per exemplar, in the order of their names, and the members of the shard.
    """
    records, members, hashes = [], [], {}
    for row in cli.progress(sorted(rows, key=lambda row: row["exemplar"]), len(rows), "exemplars"):
        group, split = split_of(row, val_fraction, seed)
        record = {
            "exemplar": row["exemplar"],
            "class_id": int(row["class_id"]),
            "split_group": group,
            "split": split,
            "status": "ok",
            "reason": "",
            "width": 0,
            "height": 0,
            "member": "",
            "digest": "",
        }
        records.append(record)
        try:
            picture = cut_out(row["image"], row["mask"] or None, max_side, min_side)
        except BadInput as error:
            record |= {"status": error.status, "reason": error.reason}
            continue
        name = f"{row['exemplar']}.png"
        record |= {"width": picture.width, "height": picture.height, "member": name, "digest": image_digest(picture)}
        hashes[row["exemplar"]] = mirrored_dhashes(_on_grey(picture))
        members.append((name, encode_png(picture)))
    _refuse_leaks(records, hashes, duplicate_distance)
    kept = {record["member"] for record in records if record["status"] == "ok"}
    return pd.DataFrame(records), [(name, data) for name, data in members if name in kept]


def _on_grey(picture: Image.Image) -> Image.Image:
    ground = Image.new("RGB", picture.size, (127, 127, 127))
    ground.paste(picture, (0, 0), picture)
    return ground


def _refuse_leaks(records: list[dict], hashes: dict[str, tuple[int, int]], limit: int) -> None:
    """Give val exemplars that the train split knows already a status of their own."""
    train = [record for record in records if record["split"] == "train" and record["status"] == "ok"]
    for record in records:
        if record["split"] != "val" or record["status"] != "ok":
            continue
        twin = _twin(record, train, hashes, limit)
        if twin is not None:
            record |= {
                "status": "leaks_across_splits",
                "reason": f"{record['exemplar']} is in val, and {twin} of train is its copy or of its split group",
                "member": "",
            }


def _twin(record: dict, train: Iterable[dict], hashes: dict[str, tuple[int, int]], limit: int) -> str | None:
    own = hashes[record["exemplar"]]
    for other in train:
        if other["class_id"] != record["class_id"]:
            continue
        copy = alike(own, hashes[other["exemplar"]], limit)
        if copy or other["split_group"] == record["split_group"]:
            return str(other["exemplar"])
    return None
