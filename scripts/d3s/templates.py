"""The templates of a background, from whatever its rows name."""

from typing import Any

import pandas as pd

from d3s import cli
from d3s.errors import BadInput, D3SError
from d3s.fingerprint import alike, mirrored_dhashes
from d3s.imageio import encode_png, image_digest
from d3s.picture_choice import printable
from d3s.tables import Row
from d3s.template_source import TemplateSettings, find_templates

COLUMNS = ("template_source", "background", "kind", "split", "file", "yaw_start", "exposure", "interval")
"""The cells of the template table that a prepared template depends on."""
GUARDED = "panorama"
"""The kind whose templates look alike by design: its splits are kept apart by a guard."""


def prepare_templates(rows: list[Row], settings: TemplateSettings) -> tuple[pd.DataFrame, list[tuple[str, bytes]]]:
    """Prepare every template of one background; what can't be used stays as a row with its reason.

    Of equal pictures of a split only the first is kept, and a picture of val that looks like one of train (mirrored
    copies included) is refused; views of panoramas have their guard instead.

    Returns:
        One row per template, in the order of their names, and the members of the shard. The column ``picture`` is there
        only if some row of the table names many pictures.

    Raises:
        D3SError: two templates would have the same name.
    """
    records: list[dict[str, Any]] = []
    pictures: dict[str, bytes] = {}
    hashes: dict[str, tuple[int, int]] = {}
    for row in cli.progress(sorted(rows, key=lambda row: row["template_source"]), len(rows), "sources"):
        single = row["kind"] == GUARDED and len(rows) == 1
        try:
            for one in find_templates(row, rows, settings):
                made = _record(row, single, one.name, one.split, one.group, one.yaw, one.pitch)
                made["picture"] = printable(one.picture)
                records.append(made)
                try:
                    picture = one.make()
                except BadInput as error:
                    made |= {"status": error.status, "reason": printable(error.reason)}
                    continue
                made |= {"member": f"{one.name}.png", "digest": image_digest(picture)}
                if row["kind"] != GUARDED:
                    hashes[one.name] = mirrored_dhashes(picture)
                if made["member"] in pictures:
                    raise D3SError(
                        f"two templates of {row['background']} are called {one.name!r}",
                        f"rename the template_source {row['template_source']!r}",
                    )
                pictures[made["member"]] = encode_png(picture)
        except BadInput as error:
            made = _record(row, single, row["template_source"], row["split"], row["template_source"])
            records.append(made | {"status": error.status, "reason": printable(error.reason)})
    records.sort(key=lambda one: one["template"])
    _keep_once(records)
    _refuse_leaks(records, hashes, settings.duplicate_distance)
    table = pd.DataFrame(records)
    if not (table["picture"] != "").any():
        table = table.drop(columns="picture")
    return table, [(name, pictures[name]) for name in table["member"] if name]


def _record(
    row: Row, single: bool, name: str, split: str, group: str, yaw: float = 0.0, pitch: float = 0.0
) -> dict[str, Any]:
    """A row of the table for a template that is not made yet."""
    return {
        "template_source": row["template_source"],
        "background": row["background"],
        "kind": row["kind"],
        "template": name,
        "split": split,
        "yaw": yaw,
        "pitch": pitch,
        "template_group": group,
        "single_panorama": single,
        "status": "ok",
        "reason": "",
        "member": "",
        "digest": "",
        "picture": "",
    }


def _keep_once(records: list[dict[str, Any]]) -> None:
    """Refuse pictures that a split has already, by their pixels."""
    first: dict[tuple[str, str], str] = {}
    for record in records:
        if record["status"] != "ok" or record["kind"] == GUARDED:
            continue
        name = first.setdefault((record["split"], record["digest"]), record["template"])
        if name != record["template"]:
            record |= {"status": "duplicate", "reason": f"it has the same pixels as {name}", "member": ""}


def _refuse_leaks(records: list[dict[str, Any]], hashes: dict[str, tuple[int, int]], limit: int) -> None:
    """Refuse templates of val that show what the train split shows."""
    usable = [record for record in records if record["status"] == "ok" and record["template"] in hashes]
    train = [record["template"] for record in usable if record["split"] == "train"]
    for record in usable:
        if record["split"] != "val":
            continue
        own = hashes[record["template"]]
        twin = next((name for name in train if alike(own, hashes[name], limit)), None)
        if twin is not None:
            reason = f"{record['template']} is in val and looks like {twin} of train"
            record |= {"status": "leaks_across_splits", "reason": reason, "member": ""}
