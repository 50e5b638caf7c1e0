"""The samples that settings are measured on: val guides of a finished run, balanced over classes and backgrounds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from d3s.composition import PlacementRanges, draw_placement
from d3s.errors import D3SError
from d3s.guides import Material, paste_guides
from d3s.imageio import image_digest
from d3s.shards import TarReader


def read_guides(results: Path) -> pd.DataFrame:
    """The rows of all usable val guides of a finished run, with the name of their chunk.

    Raises:
        D3SError: there are none.
    """
    tables = [
        pd.read_parquet(path).assign(chunk=path.stem) for path in sorted(results.glob("guides/val/*/*/*.parquet"))
    ]
    if not tables:
        raise D3SError(f"{results} has no guides", "finish a run first (make demo), or name its results: --results")
    table = pd.concat(tables, ignore_index=True)
    return table[table["status"] == "ok"].reset_index(drop=True)


def pick_samples(guides: pd.DataFrame, count: int) -> pd.DataFrame:
    """As many samples of each class on each background, one or more rounds of them.

    Backgrounds take different places of the matched sets, so that as many exemplars as possible are seen.

    Args:
        guides: of ``read_guides``.
        count: samples wanted; the last round is cut short where it is not a multiple of the cells.

    Raises:
        D3SError: a cell has too few samples for the rounds.
    """
    backgrounds = sorted(guides["background"].unique())
    cells = {
        (backgrounds.index(background), class_id): rows.sort_values("index").index
        for (background, class_id), rows in guides.groupby(["background", "class_id"])
    }
    rounds = -(-count // len(cells))
    chosen = []
    for turn in range(rounds):
        for (place, class_id), rows in sorted(cells.items()):
            if len(rows) < rounds:
                raise D3SError(
                    f"{len(rows)} guides of class {class_id} on {backgrounds[place]} are too few",
                    f"ask for fewer images (--images), at most {len(rows) * len(cells)}",
                )
            chosen.append(rows[(place * rounds + turn) % len(rows)])
    return guides.loc[chosen[:count]].reset_index(drop=True)


def paste_at(
    rows: pd.DataFrame, scale: tuple[float, float], results: Path, config: Mapping[str, Any]
) -> list[Image.Image]:
    """The guides of some samples, pasted anew with foregrounds of another size and all other choices kept.

    Raises:
        D3SError: at the run's own size, a guide is not the one that the run has: it had another config.
    """
    own = config["guides"]
    ranges = PlacementRanges(scale, bool(own["flip"]), tuple(own["x"]), tuple(own["y"]))
    placed = rows.copy()
    for position, row in zip(rows.index, rows.to_dict("records"), strict=True):
        identity = (row["class_id"], row["split"], row["index"], row["revision"])
        for name, value in draw_placement(ranges, int(config["seed"]), *identity).as_dict().items():
            placed.at[position, name] = value
    pictures: dict[Any, Image.Image] = {}
    for (chunk, background), part in placed.groupby(["chunk", "background"]):
        exemplars, templates = results / f"foregrounds/{chunk}.tar", results / f"backgrounds/{background}.tar"
        with TarReader(exemplars) as exemplar_tar, TarReader(templates) as template_tar:
            material = Material(
                pd.read_parquet(exemplars.with_suffix(".parquet")),
                exemplar_tar,
                pd.read_parquet(templates.with_suffix(".parquet")),
                template_tar,
            )
            for position, guide, _ in paste_guides(part, material, int(own["size"]), f"{scale[0]:g}/{background}"):
                pictures[position] = guide
    made = [pictures[position] for position in rows.index]
    if tuple(own["scale"]) == scale and [image_digest(picture) for picture in made] != rows["guide_digest"].tolist():
        raise D3SError(
            f"the guides of {results} are not those of the config", "finish a run of this config first (make demo)"
        )
    return made
