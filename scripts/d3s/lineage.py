"""Where one image comes from: every file, digest and choice between it and the pictures it was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from d3s.errors import D3SError
from d3s.guides import mask_member
from d3s.identity import file_sha256
from d3s.imageio import decode_png, image_digest
from d3s.sampling import Request, Sampling, read_options
from d3s.shards import TarReader

Facts = dict[str, str]


@dataclass(frozen=True)
class Lineage:
    """One image's lineage: its row of the image manifest, and titled groups of facts about each step to it."""

    row: dict[str, Any]
    steps: list[tuple[str, Facts]]

    def text(self) -> str:
        """The lineage as indented lines."""
        lines = [str(self.row["sample"])]
        for title, facts in self.steps:
            lines.append(f"  {title}")
            lines.extend(f"    {name:<16} {value}" for name, value in facts.items() if value != "")
        return "\n".join(lines)


def find_sample(results: Path, sample: str) -> dict[str, Any]:
    """The row of a sample in the image manifests.

    Raises:
        D3SError: there is no such sample, or no image yet.
    """
    # After a change of the chunk size there are old shards with the same samples; the newest is meant.
    manifests = (results / "images").glob("*/*/*/*.parquet")
    for manifest in sorted(manifests, key=lambda path: path.stat().st_mtime, reverse=True):
        rows = pd.read_parquet(manifest, filters=[("sample", "==", sample)])
        if len(rows):
            row: dict[str, Any] = rows.iloc[0].to_dict()
            return row
    raise D3SError(
        f"no image shard under {results} holds a sample {sample!r}",
        "names look like val-background-grass-00003-00001; results/validation/manifest.csv lists them all",
    )


def trace(results: Path, sample: str, tables: Mapping[str, list[dict[str, str]]]) -> Lineage:
    """Gather a sample's lineage from the manifests.

    Args:
        results: folder of the results.
        sample: its name.
        tables: rows of the ``exemplars``, ``templates`` and ``backgrounds`` tables.

    Raises:
        D3SError: as ``find_sample``.
    """
    row = find_sample(results, sample)
    shard = Path(row["shard"])
    stem = Path(*shard.with_suffix("").parts[-4:])  # split, shift, background, chunk
    chunk, background = stem.parts[-1], row["background"]
    image = {
        "shard": f"{row['shard']} : {row['member']}",
        "pixels": row["image_digest"],
        "safety": row.get("safety", ""),
        "status": row["status"],
        "reason": row["reason"],
    }
    validation = _validation(results / "validation" / "manifest.parquet", sample)
    if "released_file" in row:
        released = {
            "file": row["released_file"],
            "prompt": row["prompt"],
            "guide": f"{row['guide_shard']} : {row['guide_member']}" if row["guide_member"] else "none",
            "log": _if_there(Path("logs/import_released") / stem.with_suffix(".log")),
        }
        return Lineage(row, [("released data set", released), ("image", image), ("validation", validation)])
    places = next(
        (other["templates"] for other in tables["backgrounds"] if other["background"] == background), background
    )
    steps = [
        ("exemplar", _exemplar(results / "foregrounds" / f"{chunk}.parquet", row, tables["exemplars"])),
        ("template", _template(results / "backgrounds" / f"{places}.parquet", row, tables["templates"])),
        (
            "guide",
            {
                "shard": f"{row['guide_shard']} : {row['guide_member']}",
                "placement": ", ".join(f"{name} {row[name]}" for name in ("scale", "flip", "x", "y")),
                "pixels": row["guide_digest"],
                "matched set": row["matched_set"],
                "log": _if_there(Path("logs/compose_guides") / stem.with_suffix(".log")),
            },
        ),
        (
            "recipe",
            {
                "key": row["recipe"],
                "prompt": row["prompt"],
                "negative prompt": row["negative_prompt"],
                "noise seed": str(row["seed"]),
                "model": f"{row['model']} ({row['model_digest']})",
                "sampling": ", ".join(
                    f"{name} {row[name]}" for name in ("scheduler", "steps", "strength", "guidance", "dtype")
                ),
                "version": str(row["generation_version"]),
            },
        ),
        (
            "image",
            image | {"log": _if_there(Path("logs/generate_images") / stem.with_suffix(".log"))},
        ),
        ("validation", validation),
    ]
    return Lineage(row, steps)


def _if_there(path: Path) -> str:
    return str(path) if path.exists() else ""


def _exemplar(manifest: Path, row: dict[str, Any], table: list[dict[str, str]]) -> Facts:
    facts = {"name": row["exemplar"], "split group": row["split_group"], "shard": f"{manifest.with_suffix('.tar')}"}
    listed = next((other for other in table if other["exemplar"] == row["exemplar"]), None)
    if listed is None and manifest.exists():  # chosen from another source than a table
        rows = pd.read_parquet(manifest, filters=[("exemplar", "==", row["exemplar"])])
        listed = {name: str(rows.iloc[0][name]) for name in ("image", "mask") if len(rows) and name in rows}
    for name in ("image", "mask"):
        if listed and listed.get(name):
            facts[name] = listed[name]
            if Path(listed[name]).exists():
                facts[f"{name} sha256"] = file_sha256(listed[name])
    return facts | _digest_of(manifest, "exemplar", row["exemplar"])


def _template(manifest: Path, row: dict[str, Any], table: list[dict[str, str]]) -> Facts:
    facts = {"name": row["template"], "group": row["template_group"], "shard": f"{manifest.with_suffix('.tar')}"}
    source = row["template_group"].split(":")[0]
    listed = next((other for other in table if other["template_source"] == source), None)
    if listed:
        facts["file"] = listed["file"]
        if Path(listed["file"]).is_file():
            facts["file sha256"] = file_sha256(listed["file"])
    return facts | _digest_of(manifest, "template", row["template"])


def _digest_of(manifest: Path, column: str, name: str) -> Facts:
    if not manifest.exists():
        return {}
    rows = pd.read_parquet(manifest, filters=[(column, "==", name)])
    if rows.empty:
        return {}
    found = {"pixels": str(rows.iloc[0]["digest"])}
    if "picture" in rows:
        found["picture"] = str(rows.iloc[0]["picture"])
    if "yaw" in rows:
        found["view"] = f"yaw {rows.iloc[0]['yaw']:.1f}, pitch {rows.iloc[0]['pitch']:.1f} degrees"
    return found


def _validation(manifest: Path, sample: str) -> Facts:
    if not manifest.exists():
        return {"state": "not validated yet"}
    rows = pd.read_parquet(manifest, filters=[("sample", "==", sample)])
    if rows.empty:
        return {"state": "not validated yet"}
    row = rows.iloc[0]
    return {
        "accepted": "yes" if row["accepted"] else "no",
        "status": str(row["status"]),
        "reason": str(row["reason"]),
        "verified by": str(row["verified_by"]),
        "votes": f"{row['votes']} ({row['decision'] or 'nobody was asked'})",
        "set complete": "yes" if row["set_complete"] else "no",
    }


@dataclass(frozen=True)
class Remade:
    """An image made again alone: its PNG pixels' digest, and how far it is from the one in the shard (0 to 255)."""

    digest: str
    recorded_digest: str
    largest_difference: int

    @property
    def same(self) -> bool:
        return self.digest == self.recorded_digest


def remake(row: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[Remade, Any]:
    """Make one image again from its recipe, alone, and compare it with the one in its shard.

    Args:
        row: from ``find_sample``.
        config: how images are computed; all that its recipe has is taken from the row.

    Returns:
        The comparison and the picture.

    Raises:
        D3SError: the sample has no image, or its shards are gone.
    """
    from d3s.generator import Generator  # takes seconds to import, which the lineage alone does not need

    if "released_file" in row:
        raise D3SError(
            f"{row['sample']} was imported from a released data set, which does not record how it was made",
            f"its picture there is {row['released_file']}",
        )
    if row["status"] != "ok":
        raise D3SError(f"{row['sample']} has no image: {row['reason']}", "choose a sample whose status is ok")
    numbers = int(row["steps"]), float(row["strength"]), float(row["guidance"])
    sampling = Sampling(row["scheduler"], *numbers, read_options(row["options"]), row["mode"])
    with TarReader(row["guide_shard"]) as guides, TarReader(row["shard"]) as images:
        guide, before = decode_png(guides.read(row["guide_member"])), decode_png(images.read(row["member"]))
        mask = decode_png(guides.read(mask_member(row["sample"]))) if row["mode"] == "inpainting" else None
    how = config["generator"]
    generator = Generator(
        row["model"],
        sampling,
        before.width,
        row["dtype"],
        how["batch_size"],
        how["device"],
        backend=how["compile"],
        offload=how["offload"],
        store=Path(config["store"]),
    )
    made = generator.generate([Request(guide, row["prompt"], row["negative_prompt"], int(row["seed"]), mask)])[0]
    difference = np.abs(np.asarray(made, dtype=np.int16) - np.asarray(before, dtype=np.int16)).max()
    return Remade(image_digest(made), str(row["image_digest"]), int(difference)), made
