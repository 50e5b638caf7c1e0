"""Generate the images of one shard from its guides, taking from the store whatever was made before."""

import argparse
import logging
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.errors import D3SError
from d3s.generation import make_images, plan_recipes
from d3s.models import model_digest
from d3s.sampling import DTYPES, MODES, OWN_SCHEDULER, ImageMaker, Sampling, read_options
from d3s.shards import TarReader, write_shard
from d3s.store import ImageStore

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--guides", type=Path, required=True, help="tar of the guide shard")
    parser.add_argument("--model", type=Path, required=True, help="diffusers model, pinned")
    parser.add_argument("--model-digest", help="digest of the model that this run was planned with")
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
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--store", type=Path, required=True, help="folder of finished images")
    parser.add_argument("--output", type=Path, required=True, help="the shard's tar")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    digest = model_digest(args.model)
    if args.model_digest and args.model_digest != digest:
        raise D3SError(f"{args.model} changed while the workflow was running", "start the workflow again")
    names = ("mode", "scheduler", "options", "steps", "strength", "guidance", "size", "dtype")
    settings = {name: getattr(args, name) for name in names}
    table = plan_recipes(pd.read_parquet(args.guides.with_suffix(".parquet")), digest, settings)
    table["model"] = str(args.model)

    def load() -> ImageMaker:
        from d3s.generator import Generator  # takes seconds to import, for nothing if the store has all images

        cli.set_threads(args.threads)
        options = read_options(args.options)
        sampling = Sampling(args.scheduler, args.steps, args.strength, args.guidance, options, args.mode)
        return Generator(args.model, sampling, args.size, args.dtype, args.batch_size, args.device)

    store = ImageStore(args.store)
    with TarReader(args.guides) as guides:
        label = "/".join(args.output.with_suffix("").parts[-4:])
        table, members = make_images(table, guides, store, load, args.batch_size, label)
    table["shard"] = str(args.output)
    digests = write_shard(args.output, table, members)
    whole = table[table["status"] == "ok"]
    store.adopt(args.output, {r: (m, digests[m]) for r, m in zip(whole["recipe"], whole["member"], strict=True)})
    log.info("%d images packed, %d rows without one", len(members), len(table) - len(members))


if __name__ == "__main__":
    cli.run(parse, main)
