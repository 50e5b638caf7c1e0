"""Build an annotation campaign: a page per batch that works from a file, and the same items for other tools.

The folder that is written holds pages/ (to hand out), images/ (to host, for the other tools), label_studio/,
mechanical_turk/ (if the address of images/ is given), and items.csv, which knows what gold is: keep it to yourself.
"""

import argparse
import logging
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from d3s import cli
from d3s.annotation.campaign import CHOICES, CampaignSettings, plan_batches, select_images
from d3s.annotation.page import data_address, render_index, render_page
from d3s.annotation.pictures import shown_cut_out, shown_picture
from d3s.annotation.tools import (
    LOCAL_FILES,
    address_of_images,
    deal_items,
    describe_items,
    label_studio_config,
    label_studio_tasks,
    mechanical_turk_layout,
    mechanical_turk_rows,
)
from d3s.errors import D3SError
from d3s.identity import digest
from d3s.imageio import decode_png
from d3s.shards import TarReader, whole_folder, write_table, write_text
from d3s.spreadsheets import defuse
from d3s.tables import check_slice, parse_indices, read_table

log = logging.getLogger(__name__)
CLASS_COLUMNS = ("class_id", "name", "label", "definition", "imagenet_indices")
BACKGROUND_COLUMNS = ("background", "phrase")
ANY_PLACE = "any place at all"
"""What the question about the place names where the prompt names none, as in a family of plain photographs."""


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="tar shards, their manifests beside them")
    parser.add_argument("--screens", type=Path, nargs="+", required=True, help="the tables of screens of these shards")
    parser.add_argument("--guides", type=Path, nargs="+", required=True, help="tar shards of guides, for gold")
    parser.add_argument("--foregrounds", type=Path, nargs="*", default=[], help="tar shards of exemplars, for examples")
    parser.add_argument("--decisions", type=Path, help="leave out images that these decisions are about (Parquet)")
    parser.add_argument("--classes", type=Path, required=True)
    parser.add_argument("--classes-digest", help="digest of the classes' rows that this run was planned with")
    parser.add_argument("--backgrounds", type=Path, required=True)
    parser.add_argument("--backgrounds-digest", help="the same of the backgrounds' rows")
    parser.add_argument("--campaign", required=True, help="its name; votes name it")
    parser.add_argument("--choice", choices=CHOICES, required=True, help="which images")
    parser.add_argument("--doubt-below", type=float, required=True, help="the screen's probability, for doubtful")
    parser.add_argument("--per-cell", type=int, required=True, help="images of each class and background, for sample")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--gold", type=float, required=True, help="items of known answers per image")
    parser.add_argument("--repeats", type=float, required=True, help="share of images shown twice")
    parser.add_argument("--examples", type=int, required=True, help="cut-outs shown of a class")
    parser.add_argument("--side", type=int, required=True, help="pixels of an image as shown, at most")
    parser.add_argument("--images-per-task", type=int, required=True, help="of Mechanical Turk")
    parser.add_argument("--votes", type=int, required=True, help="people for each batch")
    parser.add_argument("--address", default="", help="where images/ is hosted, for the other tools")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    return parser.parse_args()


@lru_cache(maxsize=128)
def shard(tar: str) -> TarReader:
    """A shard that stays open for a while: a batch takes its images from all of them."""
    return TarReader(tar)


def read_manifests(tars: list[Path], columns: list[str]) -> pd.DataFrame:
    """The usable rows of shards, with the tar of each."""
    tables = [pd.read_parquet(tar.with_suffix(".parquet")).assign(tar=str(tar)) for tar in tars]
    table = pd.concat([table[table["status"] == "ok"] for table in tables], ignore_index=True)
    return table[[*columns, "member", "tar"]]


def candidates(args: argparse.Namespace) -> pd.DataFrame:
    """Images that people can judge: not broken, and not decided if decisions are given."""
    images = read_manifests(args.images, ["sample", "recipe", "class_id", "background"])
    screens = pd.concat([pd.read_parquet(path) for path in args.screens], ignore_index=True)
    images = images.merge(screens[["sample", "status", "super_probability"]], on="sample", validate="one_to_one")
    images = images[images["status"].isin(["ok", "off_class"])]
    if args.decisions:
        decisions = pd.read_parquet(args.decisions)
        images = images[~images["sample"].isin(decisions.loc[decisions["decision"] != "undecided", "sample"])]
    return images


def examples(tars: list[Path], count: int, seed: int) -> dict[int, list[str]]:
    """Pictures of some train exemplars of every class, as addresses."""
    if count == 0 or not tars:
        return {}
    exemplars = read_manifests(tars, ["exemplar", "class_id", "split"])
    exemplars = exemplars[exemplars["split"] == "train"]
    order = exemplars["exemplar"].map(lambda name: digest(seed, "example", name))
    chosen = exemplars.assign(order=order).sort_values("order").groupby("class_id").head(count)
    found: dict[int, list[str]] = {}
    for row in chosen.to_dict("records"):
        picture = decode_png(shard(row["tar"]).read(row["member"]))
        found.setdefault(row["class_id"], []).append(data_address(shown_cut_out(picture)))
    return found


def main(args: argparse.Namespace) -> None:
    """Choose, plan, write."""
    classes, backgrounds = read_table(args.classes, "classes"), read_table(args.backgrounds, "backgrounds")
    check_slice(classes, CLASS_COLUMNS, args.classes_digest, args.classes)
    check_slice(backgrounds, BACKGROUND_COLUMNS, args.backgrounds_digest, args.backgrounds)
    settings = CampaignSettings(
        name=args.campaign,
        choice=args.choice,
        doubt_below=args.doubt_below,
        per_cell=args.per_cell,
        batch_size=args.batch_size,
        gold=args.gold,
        repeats=args.repeats,
        seed=args.seed,
    )
    images = select_images(candidates(args), settings)
    guides = read_manifests(args.guides, ["sample", "guide_digest", "class_id", "background"])
    unasked = guides[~guides["sample"].isin(images["sample"])]
    indices = {int(row["class_id"]): parse_indices(row["imagenet_indices"]) for row in classes}
    items = plan_batches(images, unasked if len(unasked) else guides, indices, settings)
    if items.empty:
        log.warning("no image is left to ask about")
    try:
        layout = mechanical_turk_layout(args.images_per_task) if args.address else ""
    except ValueError as error:
        raise D3SError(str(error), "lower annotations: images_per_task: in the config") from None
    shown = {
        int(row["class_id"]): {"label": row["label"], "definition": row["definition"], "examples": []}
        for row in classes
    }
    for class_id, pictures in examples(args.foregrounds, args.examples, args.seed).items():
        shown[class_id]["examples"] = pictures
    phrases = {row["background"]: row["phrase"] or ANY_PLACE for row in backgrounds}
    with whole_folder(args.output) as folder:
        write_pages(folder, items, shown, phrases, args)
        # Repeats tell how steady one person is; other tools may show them to two.
        once = items[items["kind"] != "repeat"]
        described = describe_items(once, shown, phrases, address_of_images(args.address) or LOCAL_FILES)
        write_text(folder / "label_studio" / "config.xml", label_studio_config())
        write_text(folder / "label_studio" / "tasks.json", label_studio_tasks(described))
        if args.address:
            write_text(folder / "mechanical_turk" / "layout.html", layout)
            dealt = deal_items(described, once["kind"].eq("gold").tolist(), args.images_per_task)
            write_table(folder / "mechanical_turk" / "hits.csv", mechanical_turk_rows(dealt, args.images_per_task))
            if once["kind"].eq("gold").sum() < len(once) / args.images_per_task:
                log.warning(
                    "not every HIT has gold, so who does a few of them is not judged: raise annotations: gold: to %.2f",
                    1 / args.images_per_task + 0.01,
                )
        write_table(folder / "items.csv", defuse(items.drop(columns=["tar", "member"])))
    kinds = items["kind"].value_counts()
    log.info(
        "%d pages ask about %d images, with %d gold items and %d repeats; hand out %s/pages, each page to %d people",
        items["batch"].nunique(),
        kinds.get("image", 0),
        kinds.get("gold", 0),
        kinds.get("repeat", 0),
        args.output,
        args.votes,
    )


def write_pages(
    folder: Path,
    items: pd.DataFrame,
    classes: dict[int, dict[str, Any]],
    phrases: dict[str, str],
    args: argparse.Namespace,
) -> None:
    """Write a page for each batch, their index, and the pictures as files."""
    (folder / "images").mkdir()
    sizes = {}
    for batch, rows in cli.progress(items.groupby("batch", sort=True), items["batch"].nunique(), "pages"):
        listed = []
        for row in rows.sort_values("place").to_dict("records"):
            jpeg = shown_picture(decode_png(shard(row["tar"]).read(row["member"])), args.side)
            (folder / "images" / f"{row['item']}.jpg").write_bytes(jpeg)
            listed.append(
                {
                    "item": row["item"],
                    "key": row["key"],
                    "class": str(row["class_id"]),
                    "background": row["background"],
                    "picture": data_address(jpeg),
                }
            )
        own = {class_id: classes[class_id] for class_id in set(rows["class_id"])}
        write_text(
            folder / "pages" / f"batch-{batch:04d}.html", render_page(args.campaign, int(batch), listed, own, phrases)
        )
        sizes[int(batch)] = len(listed)
    write_text(folder / "pages" / "index.html", render_index(args.campaign, sizes, args.votes))


if __name__ == "__main__":
    cli.run(parse, main)
