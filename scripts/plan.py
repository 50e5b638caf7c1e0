"""Tell what a run would do, in images rather than jobs: to keep, to reuse, to make and to drop, by background.

Nothing is changed. Pictures that changed since they were prepared are prepared aside, and guides that were never made
are pasted (the first few thousand), so that what the store has is told exactly. --why adds the reasons.
"""

import argparse
import json
import logging
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pandas as pd

from d3s import cli
from d3s.composition import PlacementRanges
from d3s.config import Tables, load_tables, read_config
from d3s.costs import denoiser_calls, fastest_speeds, gpu_hours, known_denoiser
from d3s.crossed import Crossed
from d3s.errors import D3SError
from d3s.exemplars import ExemplarSettings, prepare_exemplars
from d3s.flagging import refuse_flagged
from d3s.generation import recipe_settings
from d3s.guides import Material, PromptSettings, ShardPlan, choose_by_index, paste_guides, plan_shard
from d3s.imageio import image_digest
from d3s.masking import choose_masking
from d3s.models import model_digest
from d3s.picture_digests import PictureDigests
from d3s.planning import (
    Job,
    find_guides,
    judge_samples,
    parse_dry_run,
    picture_reason,
    seconds_per_image,
    shard_grid,
)
from d3s.prompts import load_token_counter
from d3s.shards import TarReader, write_shard, write_table
from d3s.source import build_source
from d3s.store import ImageStore
from d3s.subject_names import CROSSED
from d3s.tables import Row
from d3s.template_source import TemplateSettings
from d3s.templates import prepare_templates

log = logging.getLogger(__name__)
MOST_COMPOSED = 5000
"""Guides that a plan pastes to learn whether the store has their images: at 512 px, about a minute's work."""
FROM_PICTURES = {"prepare_foregrounds": "foregrounds", "segment_foregrounds": "segmentation"}
"""The rules that have the digest of their pictures as a parameter, and where their shards lie."""
SNAKEFILE = Path(__file__).resolve().parents[1] / "Snakefile"


def parse() -> argparse.Namespace:
    parser = cli.parser(__doc__)
    parser.add_argument("--configfile", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--why", action="store_true", help="say for what reasons")
    parser.add_argument("--output", type=Path, help="also write the table of samples (CSV or Parquet)")
    return parser.parse_args()


def ask_snakemake(config: dict) -> list[Job]:
    """The jobs that making all images would take.

    Raises:
        D3SError: Snakemake can't plan them.
    """
    command = [sys.executable, "-m", "snakemake", "images", "--snakefile", str(SNAKEFILE), "--directory", "."]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config, file)
        file.flush()
        command += ["--configfile", file.name, "--dry-run", "--nolock", "--cores", "1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise D3SError(f"Snakemake can't plan this run:\n{last}", "mend what it names; nothing was changed")
    return parse_dry_run(done.stdout + done.stderr)


def unfetched_pictures(config: dict, tables: Tables, classes: list[Row]) -> list[str]:
    """The pictures of some classes that the source names one by one and the workflow does not fetch."""
    fetched = {row["file"] for row in tables.assets}
    source = build_source(config["foregrounds"]["source"], tables.exemplars)
    return [path for path in source.pictures(classes) if path not in fetched]


class Shards:
    """The shards that the config asks for, and what each one would hold."""

    def __init__(self, config: dict, tables: Tables, results: Path, aside: Path, jobs: list[Job]) -> None:
        self.config, self.tables, self.results, self.aside = config, tables, results, aside
        self.stale: dict[str, set[tuple[str, ...]]] = {}
        for job in jobs:
            self.stale.setdefault(job.rule, set()).add(tuple(job.wildcards.values()))
        self.chunks: dict[int, list] = {}
        for row in tables.classes:
            self.chunks.setdefault(int(row["class_id"]) // config["classes_per_chunk"], []).append(row)
        backgrounds = {row["background"]: row for row in tables.backgrounds}
        self.grid = [(split, backgrounds[name], chunk) for split, _, name, chunk in shard_grid(config, tables)]
        self._counter: tuple[Callable[[str], int], int] | None = None

    def path(self, stage: str, split: str, background: dict[str, str], chunk: int) -> Path:
        """The manifest of a shard."""
        return self.results / stage / split / background["shift"] / background["background"] / f"{chunk}.parquet"

    def must_run(self, split: str, background: dict[str, str], chunk: int) -> bool:
        shard = (split, background["shift"], background["background"], str(chunk))
        return shard in self.stale.get("generate_images", set())

    def plan(self, split: str, background: dict[str, str], chunk: int) -> pd.DataFrame:
        """The samples of a shard, without the digests of their guides."""
        guides, family = self.config["guides"], self.config["prompts"][background["shift"]]
        self._counter = self._counter or load_token_counter(self.config["generator"]["model"])
        prompts = PromptSettings(tuple(family["templates"]), family["negative"], *self._counter)
        design = Crossed.of(self.config) if split == CROSSED else None
        count = design.count if design else self.config["images_per_cell"][split]
        plan = ShardPlan.of(background, split, count, self.config["seed"])
        ranges = PlacementRanges(tuple(guides["scale"]), guides["flip"], tuple(guides["x"]), tuple(guides["y"]))
        exemplars, templates = self._exemplars(chunk), self._templates(background["templates"])
        tables = pd.read_parquet(exemplars.with_suffix(".parquet")), self._usable(templates, background["templates"])
        table = plan_shard(plan, self.chunks[chunk], *tables, ranges, prompts, design or choose_by_index)
        return table.assign(size=guides["size"])

    def _usable(self, templates: Path, background: str) -> pd.DataFrame:
        """The manifest of a background's templates; without what an inspection refuses, if the config asks for it.

        Templates that are yet to be inspected count as usable; ``_tell`` tells of them.
        """
        manifest, settings = pd.read_parquet(templates.with_suffix(".parquet")), self.config["backgrounds"]
        if settings["on_target_object"] == "flag" or (background,) in self.stale.get("inspect_templates", set()):
            return manifest
        inspection = pd.read_parquet(self.results / "backgrounds" / f"{background}.inspection.parquet")
        return refuse_flagged(manifest, inspection, settings["max_target_probability"])

    def compose(self, planned: pd.DataFrame, background: dict[str, str], chunk: int, most: int) -> pd.DataFrame:
        """Paste the first guides of those that nobody has made yet, for their digests alone."""
        rows = planned[(planned["guide_digest"] == "") & (planned["status"] == "ok")].head(most)
        if rows.empty:
            return planned
        exemplars, templates = self._exemplars(chunk), self._templates(background["templates"])
        with TarReader(exemplars) as ours, TarReader(templates) as theirs:
            tables = [pd.read_parquet(tar.with_suffix(".parquet")) for tar in (exemplars, templates)]
            material = Material(tables[0], ours, tables[1], theirs)
            label = f"{rows['split'].iloc[0]}/{background['background']}"
            masks = self.config["generator"]["mode"] == "inpainting"
            for position, guide, mask in paste_guides(rows, material, self.config["guides"]["size"], label, masks):
                planned.at[position, "guide_digest"] = image_digest(guide)
                planned.at[position, "mask_digest"] = image_digest(mask) if mask else ""
        return planned

    def name_pictures(self, jobs: list[Job], pictures: PictureDigests) -> list[Job]:
        """The jobs, with the names of pictures in the reasons of those that are made again because of them."""
        named = []
        for job in jobs:
            if job.rule in FROM_PICTURES:
                chunk, folder = int(job.wildcards["chunk"]), FROM_PICTURES[job.rule]
                made = self.results / folder / f"{chunk}.tar"
                since = made.stat().st_mtime_ns if made.exists() else 0
                changes = pictures.changes(unfetched_pictures(self.config, self.tables, self.chunks[chunk]), since)
                job = replace(job, reason=picture_reason(job.reason, *changes))
            named.append(job)
        return named

    def _exemplars(self, chunk: int) -> Path:
        """The tar of a chunk's exemplars, its manifest beside it: the run's own, or one made aside."""
        if (str(chunk),) not in self.stale.get("prepare_foregrounds", set()):
            return self.results / "foregrounds" / f"{chunk}.tar"
        made = self.aside / "foregrounds" / f"{chunk}.tar"
        if not made.exists():
            source = build_source(self.config["foregrounds"]["source"], self.tables.exemplars)
            settings, segmented = ExemplarSettings.of(self.config), self.results / "segmentation" / f"{chunk}.tar"
            with ExitStack() as stack:
                masks = stack.enter_context(TarReader(segmented)) if source.without_mask == "segment" else None
                masking = choose_masking(source.without_mask, masks)
                write_shard(made, *prepare_exemplars(source, self.chunks[chunk], settings, masking))
        return made

    def _templates(self, background: str) -> Path:
        """The tar of a set of templates, its manifest beside it: the run's own, or one made aside."""
        if (background,) not in self.stale.get("prepare_backgrounds", set()):
            return self.results / "backgrounds" / f"{background}.tar"
        made = self.aside / "backgrounds" / f"{background}.tar"
        if not made.exists():
            rows = [row for row in self.tables.templates if row["background"] == background]
            write_shard(made, *prepare_templates(rows, TemplateSettings.of(self.config)))
        return made


def read_all(stage: Path) -> pd.DataFrame:
    """All manifests of a stage, the newest last; there are old ones after a change of the chunk size."""
    paths = sorted(stage.glob("*/*/*/*.parquet"), key=lambda path: path.stat().st_mtime)
    tables = [pd.read_parquet(path) for path in paths]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def main(args: argparse.Namespace) -> None:
    config = read_config(args.configfile)
    if config["released"]["folder"]:
        raise D3SError(
            "the images of this config are imported from a released data set: none is to be made",
            "snakemake --dry-run tells the jobs",
        )
    tables, pictures = load_tables(config), PictureDigests()
    pictures.look(unfetched_pictures(config, tables, tables.classes))  # here, since nobody sees Snakemake's progress
    jobs = ask_snakemake(config)
    if any(job.rule.startswith("fetch_demo_assets") for job in jobs):
        raise D3SError(
            "the pictures of this data set are not fetched yet, so nothing can be said of single images",
            "run the first stages: snakemake --cores 2 guides; without results, all images are to make",
        )
    if any(job.rule == "fetch_model" for job in jobs):
        raise D3SError(
            "the model is not fetched yet, so nothing can be said of single images",
            f"fetch the model first: snakemake --cores 1 fetch_model --configfile {args.configfile}",
        )
    if any(job.rule == "segment_foregrounds" for job in jobs):
        raise D3SError(
            "the pictures of this data set are not segmented yet, so nothing can be said of single images",
            "run the first stages: snakemake --cores 2 foregrounds",
        )
    with tempfile.TemporaryDirectory() as aside:
        shards = Shards(config, tables, args.results, Path(aside), jobs)
        _tell(args, config, shards.name_pictures(jobs, pictures) if args.why else jobs, shards)


def _tell(args: argparse.Namespace, config: dict, jobs: list[Job], shards: Shards) -> None:
    """Judge every sample and print the plan."""
    settings = recipe_settings(config)
    digest = model_digest(config["generator"]["model"])
    store = ImageStore(config["store"])
    images, guides = (read_all(args.results / stage) for stage in ("images", "guides"))
    images = images.drop_duplicates("sample", keep="last") if len(images) else images

    tables, left = [], MOST_COMPOSED if store.keys() else 0
    for split, background, chunk in cli.progress(shards.grid, len(shards.grid), "shards"):
        manifest = shards.path("images", split, background, chunk)
        if not shards.must_run(split, background, chunk):
            kept = pd.read_parquet(manifest, columns=["sample", "split", "background", "recipe", "status", "reason"])
            action = kept["status"].map(lambda status: "keep" if status == "ok" else "none")
            tables.append(kept.assign(action=action).drop(columns="status"))
            continue
        planned = find_guides(
            shards.plan(split, background, chunk), guides, config["generator"]["mode"] == "inpainting"
        )
        unknown = int((planned["guide_digest"] == "").sum())
        planned = shards.compose(planned, background, chunk, left)
        left -= unknown - int((planned["guide_digest"] == "").sum())
        tables.append(judge_samples(planned, images, store.keys(), digest, settings))
    table = pd.concat(tables, ignore_index=True)
    old = (
        images[images["status"] == "ok"] if len(images) else pd.DataFrame({"recipe": [], "split": [], "background": []})
    )
    dropped = old[~old["recipe"].isin(set(table["recipe"]))]
    if args.output:
        write_table(args.output, table)
    print_plan(table, dropped, jobs, args.why)
    unknown = int(((table["action"] == "make") & (table["recipe"] == "")).sum())
    if unknown and store.keys():
        print(
            f"of those to make, {unknown} have guides that were not made for this plan; the store may have some of them"
        )
    if waiting := shards.stale.get("inspect_templates"):
        names = ", ".join(sorted(name for (name,) in waiting))
        print(f"templates of {names} are yet to be inspected; guides on those that are refused will come out otherwise")
    print_costs(table, dropped, images, store, config, args.results)


def print_plan(table: pd.DataFrame, dropped: pd.DataFrame, jobs: list[Job], why: bool) -> None:
    """The counts by background, the jobs, and with ``why`` the reasons."""
    actions = ["keep", "reuse", "make", "none"]
    counts = table.groupby(["background", "action"]).size().unstack(fill_value=0).reindex(columns=actions, fill_value=0)
    counts["drop"] = dropped.groupby("background").size().reindex(counts.index, fill_value=0)
    gone = dropped[~dropped["background"].isin(counts.index)].groupby("background").size()
    for background, number in gone.items():
        counts.loc[f"{background} (gone)"] = [0, 0, 0, 0, number]
    counts.loc["all"] = counts.sum()
    head = f"{'images':<16}" + "".join(f"{name:>10}" for name in ("keep", "reuse", "make", "unusable", "drop"))
    print(head, *(f"{name!s:<16}" + "".join(f"{n:>10}" for n in row) for name, *row in counts.itertuples()), sep="\n")
    if why:
        for reason, rows in table[table["action"] == "make"].groupby("reason"):
            where = ", ".join(f"{background} {n}" for background, n in rows.groupby("background").size().items())
            print(f"to make because of {reason}: {where}; such as {rows['sample'].iloc[0]}")
        # What follows from another job needs no telling.
        own = Counter((j.rule, j.reason) for j in jobs if "by another job" not in j.reason and j.rule != "images")
        for (rule, reason), number in own.most_common():
            print(f"{rule}: {number} {'job' if number == 1 else 'jobs'}: {reason[:300]}")
    rules = Counter(job.rule for job in jobs if job.rule != "images")
    print("jobs:", ", ".join(f"{number} {rule}" for rule, number in sorted(rules.items())) or "none")


def print_costs(
    table: pd.DataFrame, dropped: pd.DataFrame, images: pd.DataFrame, store: ImageStore, config: dict, results: Path
) -> None:
    """Disk and time, from what earlier images took."""
    make = int((table["action"] == "make").sum())
    tars = sum(path.stat().st_size for path in (results / "images").glob("*/*/*/*.tar"))
    each = tars / max(1, len(images)) if tars else 3.0 * config["guides"]["size"] ** 2 / 2
    free = shutil.disk_usage(results if results.exists() else Path()).free
    print(
        f"disk: {make * each / 1e6:,.1f} MB for the new images; {free / 1e9:,.1f} GB are free; the store keeps "
        f"{store.size() / 1e6:,.1f} MB beside the shards ({len(dropped)} images that go stay there until "
        "scripts/collect_garbage.py)"
    )
    seconds = seconds_per_image(Path("logs/generate_images"), Path("benchmarks/generate_images"))
    unit = "GPU" if config["generator"]["gpus"] else "processor"
    if make and seconds is None:
        print("time: no earlier run tells how long an image takes")
    elif make:
        print(f"time: {make * (seconds or 0) / 3600:,.2f} {unit}-hours at {seconds:.2f} s an image, as in earlier jobs")
    print_gpu_hours(make, config)


def print_gpu_hours(make: int, config: dict) -> None:
    """What the new images take on known GPUs, where the model and the size are among those with published speeds."""
    settings, size = config["generator"], config["guides"]["size"]
    speeds = fastest_speeds(known_denoiser(settings["model"]), size) if make else []
    if speeds:
        calls = denoiser_calls(settings["mode"], settings["steps"], settings["strength"])
        hours = (f"{gpu_hours(make, calls, speed, settings['guidance']):,.1f} on a {speed.gpu}" for speed in speeds)
        print(
            f"GPU-hours for {make:,} images of {calls} denoiser calls by published speeds (docs/cost.md): "
            + ", ".join(hours)
        )


if __name__ == "__main__":
    cli.run(parse, main)
