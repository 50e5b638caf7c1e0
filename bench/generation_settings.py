"""Compare samplers, steps, strengths and foreground sizes: speed, and what a judge sees in the same images.

    python bench/generation_settings.py

It needs a finished run of the demo. Every measure is kept as soon as it is known, so an interrupted run goes on where
it was; a measure whose model, settings, samples or code version changed is taken anew.
"""

import argparse
import logging
import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from measuring import processor  # it finds the project's own modules, so it comes first

# isort: split
from d3s import cli
from d3s.config import read_config
from d3s.errors import D3SError
from d3s.sampling import Request
from d3s.shards import write_table, write_text
from settings.grid import REFERENCE, lay_out_grid
from settings.measuring import Bench, Kept
from settings.samples import paste_at, pick_samples, read_guides
from settings.table import put_on_page, recommend, render, settings_table

log = logging.getLogger("d3s")


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--config", type=Path, default=Path("config/config.yaml"), help="of the run")
    parser.add_argument("--results", type=Path, default=Path("results"), help="of the run")
    parser.add_argument("--resources", type=Path, default=Path("resources/models"), help="weights of the judge")
    parser.add_argument("--kept", type=Path, default=Path("results/generation_settings"), help="folder of measures")
    parser.add_argument("--images", type=int, default=96, help="of each setting; balanced if a multiple of the cells")
    parser.add_argument("--rounds", type=int, default=5, help="of timing; 0 takes no times")
    parser.add_argument("--processes", type=int, default=2, help="that make images at once; times are taken by one")
    parser.add_argument("--only", nargs="+", default=[], metavar="SETTING", help=f"some settings, beside {REFERENCE}")
    parser.add_argument("--table", type=Path, default=Path("docs/generation_settings.csv"))
    parser.add_argument("--page", type=Path, default=Path("docs/speed.md"), help="page that shows the table")
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    cli.set_threads(args.threads)
    config = read_config(args.config)
    config["generator"]["threads"] = args.threads
    page = args.page.read_text(encoding="utf-8")
    put_on_page(page, "")  # a page without a place is better found now than after half an hour
    grid = lay_out_grid(config)
    if unknown := sorted(set(args.only) - {setting.name for setting in grid}):
        raise D3SError(f"there is no setting {unknown[0]!r}", f"there are {', '.join(s.name for s in grid)}")
    grid = [setting for setting in grid if not args.only or setting.name in {REFERENCE, *args.only}]
    samples = pick_samples(read_guides(args.results), args.images)
    words = list(zip(samples["prompt"], samples["negative_prompt"], samples["seed"], strict=True))
    scales = dict.fromkeys(setting.scale for setting in grid)
    requests = {
        scale: [
            Request(guide, prompt, negative, int(seed))
            for guide, (prompt, negative, seed) in zip(
                paste_at(samples, scale, args.results, config), words, strict=True
            )
        ]
        for scale in scales
    }
    host = f"{processor()}, {args.threads} of {os.cpu_count()} cores"
    bench = Bench(config, args.resources, Kept(args.kept), requests, samples["class_id"].tolist(), host)

    guides = {scale: bench.see(scale) for scale in scales}
    log.info("%d settings of %d images", len(grid), len(samples))
    # The longest first, so that no process is left with one of them at the end.
    waiting = sorted(grid, key=lambda setting: -setting.calls)
    begin = partial(cli.set_threads, args.threads)
    with ProcessPoolExecutor(args.processes, get_context("spawn"), begin) as pool:
        found = pool.map(bench.see, [setting.scale for setting in waiting], waiting)
        seen = {}
        for setting, one in cli.progress(zip(waiting, found, strict=True), len(waiting), "settings", "quality"):
            seen[setting.name] = one
            log.info("%s: top-1 %.1f %%", setting.name, 100 * one.correct.mean())
    bench.time(grid, args.rounds)

    seconds = {setting.name: bench.seconds(setting) for setting in grid}
    table = settings_table(grid, seen, guides, samples["exemplar"].tolist(), seconds)
    write_table(args.table, table)
    write_text(args.page, put_on_page(page, render(table, host)))
    log.info("%s is recommended; see %s", recommend(table)["setting"], args.page)


if __name__ == "__main__":
    cli.run(parse, main)
