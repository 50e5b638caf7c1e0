"""Compose the guides of one shard: exemplars pasted on templates, with their prompts and noise seeds."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.composition import PlacementRanges
from d3s.crossed import Crossed
from d3s.errors import D3SError
from d3s.flagging import TARGET_OBJECT, refuse_flagged
from d3s.guides import Material, PromptSettings, ShardPlan, choose_by_index, compose_shard
from d3s.prompts import check_template, load_token_counter
from d3s.shards import TarReader, write_shard
from d3s.subject_names import CROSSED
from d3s.tables import check_slice, read_table

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--foregrounds", type=Path, required=True, help="tar of the chunk's exemplars")
    parser.add_argument("--backgrounds", type=Path, required=True, help="tar of the background's templates")
    parser.add_argument("--classes-table", type=Path, required=True)
    parser.add_argument("--classes", type=int, nargs="+", required=True, help="class ids of the chunk")
    parser.add_argument("--rows-digest", help="digest of the class rows that this run was planned with")
    parser.add_argument("--split", choices=("train", "val", CROSSED), required=True)
    parser.add_argument("--shift", required=True)
    parser.add_argument("--background", required=True)
    parser.add_argument("--phrase", default="", help="the background's words in the prompt")
    parser.add_argument("--templates", required=True, help="the name of the set of templates")
    parser.add_argument("--revision", type=int, required=True, help="the background's revision")
    parser.add_argument(
        "--count",
        type=int,
        nargs="+",
        required=True,
        help="images per class; of the crossed design exemplars, placements and noises",
    )
    parser.add_argument("--seed", type=int, required=True, help="root seed")
    parser.add_argument("--size", type=int, required=True, help="side in pixels")
    parser.add_argument("--scale", type=float, nargs=2, required=True, help="range of the exemplar's longer side")
    parser.add_argument("--flip", choices=("yes", "no"), required=True)
    parser.add_argument("--x", type=float, nargs=2, required=True, help="range of places in the free width")
    parser.add_argument("--y", type=float, nargs=2, required=True, help="range of places in the free height")
    parser.add_argument("--prompts", nargs="+", required=True, help="wordings with {class}, {definition}, {background}")
    parser.add_argument("--negative-prompt", default="")
    parser.add_argument("--model", type=Path, required=True, help="model whose tokenizer limits the prompt")
    parser.add_argument(
        "--masks", choices=("yes", "no"), default="no", help="also the exemplars' masks, for inpainting"
    )
    parser.add_argument("--inspection", type=Path, help="findings of the templates; flagged ones are left out")
    parser.add_argument("--max-target-probability", type=float, default=1.0, help="above which a template is flagged")
    parser.add_argument("--on-bad-input", choices=("keep", "fail"), default="keep")
    parser.add_argument("--output", type=Path, required=True, help="the shard's tar")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    """Plan, paste, write the shard.

    Raises:
        D3SError: --count is not the split's, or guides can't be made: none at all, or some with --on-bad-input fail.
    """
    numbers = 3 if args.split == CROSSED else 1
    if len(args.count) != numbers:
        raise D3SError(f"--count has {len(args.count)} numbers", f"for the split {args.split} give {numbers}")
    design = Crossed(*args.count) if args.split == CROSSED else None
    classes = [row for row in read_table(args.classes_table, "classes") if int(row["class_id"]) in args.classes]
    check_slice(classes, ("class_id", "name", "label", "definition"), args.rows_digest, args.classes_table)
    for wording in args.prompts:
        check_template(wording)
    count, limit = load_token_counter(args.model)
    plan = ShardPlan(
        args.split,
        args.shift,
        args.background,
        args.phrase,
        args.templates,
        args.revision,
        design.count if design else args.count[0],
        args.seed,
    )
    templates = pd.read_parquet(args.backgrounds.with_suffix(".parquet"))
    if args.inspection:
        templates = refuse_flagged(templates, pd.read_parquet(args.inspection), args.max_target_probability)
        left_out = templates[templates["status"] == TARGET_OBJECT]
        for name, reason in zip(left_out["template"], left_out["reason"], strict=True):
            log.warning("%s is left out: %s", name, reason)
    with TarReader(args.foregrounds) as exemplar_tar, TarReader(args.backgrounds) as template_tar:
        material = Material(
            pd.read_parquet(args.foregrounds.with_suffix(".parquet")),
            exemplar_tar,
            templates,
            template_tar,
        )
        manifest, members = compose_shard(
            plan,
            classes,
            material,
            PlacementRanges(tuple(args.scale), args.flip == "yes", tuple(args.x), tuple(args.y)),
            PromptSettings(tuple(args.prompts), args.negative_prompt, count, limit),
            args.size,
            args.masks == "yes",
            design or choose_by_index,
        )
    manifest["shard"] = str(args.output)
    bad = manifest[manifest["status"] != "ok"]
    for reason, rows in bad.groupby("reason"):
        log.warning("%d guides can't be made: %s", len(rows), reason)
    if len(bad) and args.on_bad_input == "fail":
        raise D3SError(f"{len(bad)} guides can't be made", "mend what the log names, or set on_bad_input: keep")
    if len(bad) == len(manifest):
        raise D3SError(f"no guide of {args.output} can be made", "the log names the reasons")
    write_shard(args.output, manifest, members)
    log.info("%d guides, %d refused", len(manifest) - len(bad), len(bad))


if __name__ == "__main__":
    cli.run(parse, main)
