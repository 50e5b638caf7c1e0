"""Generate the images of one shard from its guides, taking from the store whatever was made before."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from PIL import Image

from d3s import cli
from d3s.generation import make_images, plan_recipes
from d3s.imageio import decode_png
from d3s.models import run_digest
from d3s.safety import FLAGGED, OFF, RECORD, UNKNOWN, has_checker, verdicts
from d3s.sampling import (
    AUTO,
    DTYPES,
    MODES,
    NONE,
    OFFLOADS,
    OWN_SCHEDULER,
    ImageMaker,
    Sampling,
    read_batch_size,
    read_options,
)
from d3s.shards import TarReader, write_shard
from d3s.store import ImageStore

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--guides", type=Path, required=True, help="tar of the guide shard")
    parser.add_argument("--model", type=Path, required=True, help="diffusers model, pinned")
    parser.add_argument("--model-digest", default="", help="what the run was planned with: a digest, or hub ...")
    parser.add_argument("--mode", choices=MODES, default=MODES[0], help="what an image is made from")
    parser.add_argument(
        "--scheduler", required=True, help=f"class name in diffusers; {OWN_SCHEDULER} is the model's own"
    )
    parser.add_argument("--scheduler-options", dest="options", default="{}", help="further settings of it, as JSON")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--strength", type=float, required=True)
    parser.add_argument("--guidance", type=float, required=True)
    parser.add_argument("--size", type=int, required=True, help="side in pixels")
    parser.add_argument("--dtype", choices=DTYPES, required=True)
    parser.add_argument("--batch-size", type=read_batch_size, required=True, help=f"images per call, or {AUTO}")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--compile", default=NONE, help="backend of torch.compile for the denoiser")
    parser.add_argument("--offload", choices=OFFLOADS, default=NONE, help="what waits in main memory")
    parser.add_argument("--safety", choices=(RECORD, OFF), default=RECORD, help="whether the model's checker is asked")
    parser.add_argument("--store", type=Path, required=True, help="folder of finished images")
    parser.add_argument("--output", type=Path, required=True, help="the shard's tar")
    return parser.parse_args()


def judge_safety(table: pd.DataFrame, members: Sequence[tuple[str, bytes]], args: argparse.Namespace) -> pd.Series:
    """What the model's safety checker says of each row's image."""
    found = pd.Series(UNKNOWN, index=table.index, dtype="str")
    if args.safety == RECORD and has_checker(args.model):

        def pictures(places: Sequence[int]) -> Iterator[tuple[int, Image.Image]]:
            return ((place, decode_png(members[place][1])) for place in places)

        made = table["status"] == "ok"
        found[made] = verdicts(args.model, list(table["image_digest"][made]), pictures, args.store, args.device)
        log.info("the safety checker flags %d of %d images", (found == FLAGGED).sum(), made.sum())
    return found


def main(args: argparse.Namespace) -> None:
    digest = run_digest(args.model, args.model_digest)
    names = ("mode", "scheduler", "options", "steps", "strength", "guidance", "size", "dtype")
    settings = {name: getattr(args, name) for name in names}
    table = plan_recipes(pd.read_parquet(args.guides.with_suffix(".parquet")), digest, settings)
    table["model"] = str(args.model)

    def load() -> ImageMaker:
        from d3s.generator import Generator  # takes seconds to import, for nothing if the store has all images

        cli.set_threads(args.threads)
        options = read_options(args.options)
        sampling = Sampling(args.scheduler, args.steps, args.strength, args.guidance, options, args.mode)
        return Generator(
            args.model,
            sampling,
            args.size,
            args.dtype,
            args.batch_size,
            args.device,
            backend=args.compile,
            offload=args.offload,
            store=args.store,
        )

    store = ImageStore(args.store)
    with TarReader(args.guides) as guides:
        label = "/".join(args.output.with_suffix("").parts[-4:])
        table, members = make_images(table, guides, store, load, label)
    table["safety"] = judge_safety(table, members, args)
    table["shard"] = str(args.output)
    digests = write_shard(args.output, table, members)
    whole = table[table["status"] == "ok"]
    store.adopt(args.output, {r: (m, digests[m]) for r, m in zip(whole["recipe"], whole["member"], strict=True)})
    log.info("%d images packed, %d rows without one", len(members), len(table) - len(members))


if __name__ == "__main__":
    cli.run(parse, main)
