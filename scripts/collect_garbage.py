"""Free the disk of what nothing wants any more: replaced images and doubles in the store, scores and activations of
pictures that are gone, trainings that no result came from, and shards that the config no longer names.

Until then they stay, so that a change that is taken back costs nothing.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import yaml

from d3s import array_store, cli, kept_runs
from d3s.config import check_config, load_tables
from d3s.errors import D3SError
from d3s.identity import file_sha256
from d3s.planning import shard_grid
from d3s.store import ImageStore

log = logging.getLogger(__name__)
STAGES = ("guides", "images", "validation/screens")
"""Where shards lie."""


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--dry-run", action="store_true", help="only tell what would go")
    return parser.parse_args()


def collect(config: dict, results: Path, dry_run: bool) -> Iterator[tuple[str, int, int]]:
    """What goes: its name, of how many things, and the bytes that are freed.

    Raises:
        D3SError: there are no images, so that everything would go.
    """
    grid = {
        str(Path(split, shift, background, str(chunk)))
        for split, shift, background, chunk in shard_grid(config, load_tables(config))
    }
    present = [path for path in sorted((results / "images").glob("*/*/*/*.parquet")) if _shard(path) in grid]
    if not present:
        raise D3SError(
            f"{results}/images holds no image shard of this config, so everything in the store would be dropped",
            "make the images first; to drop it all, remove the store's folder",
        )
    rows = pd.concat([pd.read_parquet(path, columns=["recipe", "image_digest", "guide_digest"]) for path in present])
    for stage in STAGES:
        for path in sorted((results / stage).glob("*/*/*/*")):
            if _shard(path) not in grid:
                size = path.stat().st_size if path.stat().st_nlink == 1 else 0
                if not dry_run:
                    path.unlink()
                yield str(path), 1, size
    store = Path(config["store"])
    yield from ImageStore(store).collect(set(rows["recipe"]), dry_run)
    yield from array_store.collect(store, {*rows["image_digest"], *rows["guide_digest"]}, dry_run)
    trained = {file_sha256(path) for path in (results / "encoders").glob("*/*/encoder.json")}
    yield from kept_runs.collect(store, "encoder", "encoder.json", trained, dry_run)


def _shard(path: Path) -> str:
    """split/shift/background/chunk of one of a shard's files."""
    return str(Path(*path.parts[-4:-1], path.name.partition(".")[0]))


def main(args: argparse.Namespace) -> None:
    config = check_config(yaml.safe_load(args.configfile.read_text(encoding="utf-8")))
    if any(Path(".snakemake/locks").glob("*")):
        raise D3SError(
            "a workflow is running here, or was killed", "wait until it is done, or run snakemake --unlock, then again"
        )
    things = total = 0
    for name, gone, freed in collect(config, args.results, args.dry_run):
        log.info("%s: %d, %.1f MB", name, gone, freed / 1e6)
        things, total = things + gone, total + freed
    verb = "would go" if args.dry_run else "went"
    log.info("%d images, scores and files that nothing wants %s, %.1f MB of disk", things, verb, total / 1e6)


if __name__ == "__main__":
    cli.run(parse, main)
