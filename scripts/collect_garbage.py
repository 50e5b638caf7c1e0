"""Free the disk of what nothing wants any more: replaced images and doubles in the store, scores and activations of
pictures that are gone, trainings that no result came from, and shards that the config no longer names.

Until then they stay, so that a change that is taken back costs nothing. Only what the given config wants is kept: don't
collect from a store that several configs share.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from d3s import array_store, cli, kept_runs
from d3s.config import load_tables, read_config
from d3s.errors import D3SError
from d3s.generation import plan_recipes, recipe_settings
from d3s.identity import file_sha256
from d3s.models import model_digest
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
        D3SError: as ``planned_images``.
    """
    grid = {
        str(Path(split, shift, background, str(chunk)))
        for split, shift, background, chunk in shard_grid(config, load_tables(config))
    }
    rows = pd.concat([planned_images(config, results, shard) for shard in sorted(grid)])
    for stage in STAGES:
        for path in sorted((results / stage).glob("*/*/*/*")):
            if _shard(path) not in grid:
                size = path.stat().st_size if path.stat().st_nlink == 1 else 0
                if not dry_run:
                    path.unlink()
                yield str(path), 1, size
    store = Path(config["store"])
    yield from ImageStore(store).collect(set(rows["recipe"]), dry_run)
    scored = {*rows["image_digest"], *rows["guide_digest"], *template_digests(config, results)}
    scored |= other_digests(config, results)
    yield from array_store.collect(store, scored, dry_run)
    encoders = [
        results / "encoders" / objective / str(seed) / "encoder.json"
        for objective in config["encoders"]["objectives"]
        for seed in config["encoders"]["seeds"]
    ]
    if all(path.exists() for path in encoders):  # else a kept one may be just what a missing one needs
        trained = {file_sha256(path) for path in encoders}
        yield from kept_runs.collect(store, "encoder", "encoder.json", trained, dry_run)
    for folder in (results, store):
        for part in sorted(folder.rglob(".*.part")):  # of writers that were killed
            size = part.stat().st_size
            if not dry_run:
                part.unlink()
            yield str(part), 1, size


def planned_images(config: dict, results: Path, shard: str) -> pd.DataFrame:
    """recipe, image_digest and guide_digest of a shard's images, also of one that is still to be made.

    Raises:
        D3SError: its guides are not there, so that nobody knows what it will want.
    """
    made, guides = (results / stage / f"{shard}.parquet" for stage in ("images", "guides"))
    columns = ["recipe", "image_digest", "guide_digest"]
    if made.exists():
        return pd.read_parquet(made, columns=columns)
    if not guides.exists() or config["released"]["folder"]:
        raise D3SError(
            f"{guides} is not made yet, so nobody knows which images it will want",
            "make the guides first: snakemake guides; to drop all that was ever made, remove the store's folder",
        )
    digest = model_digest(config["generator"]["model"])
    return plan_recipes(pd.read_parquet(guides), digest, recipe_settings(config))[columns]


def template_digests(config: dict, results: Path) -> set[str]:
    """The digests of the templates that are prepared."""
    names = [row["background"] for row in load_tables(config).backgrounds]
    made = [path for name in names if (path := results / "backgrounds" / f"{name}.parquet").exists()]
    return {digest for path in made for digest in pd.read_parquet(path, columns=["digest"])["digest"]}


def other_digests(config: dict, results: Path) -> set[str]:
    """The digests of cut-outs on grey, and of the pictures of the benchmarks that the config names."""
    made = [(path, "guide_digest") for path in sorted((results / "cutouts").glob("*/*/*.parquet"))]
    named = [results / "benchmarks" / f"{benchmark['name']}.parquet" for benchmark in config["benchmarks"]]
    made += [(path, "digest") for path in named if path.exists()]
    return {digest for path, column in made for digest in pd.read_parquet(path, columns=[column])[column]}


def _shard(path: Path) -> str:
    """split/shift/background/chunk of one of a shard's files."""
    return str(Path(*path.parts[-4:-1], path.name.partition(".")[0]))


def main(args: argparse.Namespace) -> None:
    config = read_config(args.configfile)
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
