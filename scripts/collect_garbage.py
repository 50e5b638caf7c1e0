"""Free the disk of images that no manifest wants any more: those of recipes that were changed, and doubles.

Until then they stay in the store, so that a change that is taken back costs no generation.
"""

import argparse
import logging
from pathlib import Path

import pandas as pd
import yaml

from d3s import cli
from d3s.config import check_config
from d3s.errors import D3SError
from d3s.store import ImageStore

log = logging.getLogger(__name__)


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--dry-run", action="store_true", help="only tell what would go")
    return parser.parse_args()


def wanted_recipes(results: Path) -> set[str]:
    """The recipe keys of all images of the data set as it is now.

    Raises:
        D3SError: there are no images, so that everything would go.
    """
    manifests = sorted((results / "images").glob("*/*/*/*.parquet"))
    if not manifests:
        raise D3SError(
            f"{results}/images holds no image shard, so every image of the store would be dropped",
            "make the images first; to drop them all, remove the store's folder",
        )
    return {key for path in manifests for key in pd.read_parquet(path, columns=["recipe"])["recipe"]} - {""}


def main(args: argparse.Namespace) -> None:
    config = check_config(yaml.safe_load(args.configfile.read_text(encoding="utf-8")))
    if any(Path(".snakemake/locks").glob("*")):
        raise D3SError(
            "a workflow is running here, or was killed", "wait until it is done, or run snakemake --unlock, then again"
        )
    store = ImageStore(config["store"])
    images = total = 0
    for segment, gone, freed in store.collect(wanted_recipes(args.results), args.dry_run):
        log.info("%s: %d images, %.1f MB", segment, gone, freed / 1e6)
        images, total = images + gone, total + freed
    verb = "would go" if args.dry_run else "are gone"
    log.info(
        "%d images %s from the store, %.1f MB of disk; %.1f MB remain", images, verb, total / 1e6, store.size() / 1e6
    )


if __name__ == "__main__":
    cli.run(parse, main)
