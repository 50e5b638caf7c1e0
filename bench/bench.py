"""Measure what the project promises of its speed, and print each figure beside its target.

    python bench/bench.py --output results/bench.csv

Each figure is a ratio to a floor that is measured in the same run, or a time on this machine, which the table names.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]

from simulate import lay_out  # noqa: E402

Figure = dict[str, object]


def figure(
    name: str, value: float, unit: str, target: float | None = None, comparison: str = "<=", floor: str = ""
) -> Figure:
    """A row of the table; ``floor`` says what a ratio is taken against."""
    met = "" if target is None else str(value <= target if comparison == "<=" else value >= target)
    comparison = comparison if target is not None else ""
    return {
        "name": name,
        "value": round(value, 4),
        "unit": unit,
        "floor": floor,
        "target": "" if target is None else target,
        "comparison": comparison,
        "met": met,
    }


def timed(command: list[str], folder: Path) -> tuple[float, float, str]:
    """Run a command: its seconds, its largest memory in MB, and what it said.

    Raises:
        SystemExit: it failed.
    """
    log = folder / "bench.log"
    started = time.monotonic()
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=folder)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    said = log.read_text(encoding="utf-8", errors="replace")
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{said[-3000:]}")
    return time.monotonic() - started, usage.ru_maxrss / 1024, said


def snakemake(*options: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", "--cores", "2", *options]


def dry_runs(folder: Path) -> Iterator[Figure]:
    """How long Snakemake plans data sets of 12 thousand, 120 thousand and 1.2 million images."""
    from d3s.config import MOST_PER_SHARD, read_config
    from d3s.tables import read_table

    small = folder / "one"
    small.mkdir()
    (small / "Snakefile").write_text('rule all:\n    output: "x"\n    shell: "touch {output}"\n')
    floor = min(timed(snakemake("--dry-run"), small)[0] for _ in range(3))
    yield figure("dry run of a workflow of one rule", floor, "s")
    for name, classes, train, val, target in (
        ("12K", 100, 10, 2, None),
        ("120K", 1000, 10, 2, 4.0),
        ("1.2M", 1000, 100, 20, 10.0),
    ):
        project = folder / name
        config = lay_out(project, classes, 10, train, val)
        command = snakemake("--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config), "--dry-run")
        command += ["--quiet", "rules"]
        runs = [timed(command, project) for _ in range(2)]
        seconds, memory, said = min(runs)
        jobs = re.search(r"^total +(\d+)", said, re.MULTILINE)
        yield figure(f"dry run of {name} images", seconds, "s", target)
        yield figure(f"dry run of {name} images, ratio", seconds / floor, "x", None, floor="a workflow of one rule")
        yield figure(f"dry run of {name} images, jobs", float(jobs[1]) if jobs else 0.0, "jobs")
        yield figure(f"dry run of {name} images, memory", memory, "MB")
        checked = read_config(config)
        chunks = Counter(
            int(row["class_id"]) // checked["classes_per_chunk"]
            for row in read_table(project / "classes.csv", "classes")
        )
        largest = max(chunks.values()) * max(checked["images_per_cell"].values())
        yield figure(f"images in the largest shard at {name}", largest, "images", MOST_PER_SHARD)


def no_op(folder: Path) -> Iterator[Figure]:
    """How long a finished run of the tiny project, report included, takes to find that there is nothing to do."""
    from tiny import make_tiny_project

    config = make_tiny_project(folder / "tiny" / "project", Path("project"))
    command = snakemake("--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config), "--quiet", "rules")
    timed(command, folder / "tiny")
    runs = [timed(command, folder / "tiny") for _ in range(2)]
    if not all("Nothing to be done" in said for _, _, said in runs):
        raise SystemExit("the second run made something again")
    yield figure("a run with nothing to do", min(seconds for seconds, _, _ in runs), "s")


def composition(folder: Path) -> Iterator[Figure]:
    """Guides per second of one core, beside the bare decoding, resizing and encoding of the same pixels."""
    from PIL import Image

    from d3s.composition import PlacementRanges
    from d3s.guides import Material, PromptSettings, ShardPlan, compose_shard, plan_shard
    from d3s.imageio import decode_png, encode_png, image_digest
    from d3s.shards import TarReader, write_tar

    size, count = 512, 60
    rng = np.random.default_rng(0)

    def photo(side: int, mode: str) -> Image.Image:
        small = rng.integers(0, 256, (24, 24, len(mode)), dtype=np.uint8)
        picture = Image.fromarray(small, mode).resize((side, side), Image.Resampling.BICUBIC)
        grain = np.asarray(picture, dtype=np.int16) + rng.integers(-9, 10, (side, side, len(mode)))
        return Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8), mode)

    tables, tars = [], []
    for kind, name, side, mode in (("exemplar", "fg", 400, "RGBA"), ("template", "bg", 576, "RGB")):
        pictures = {f"{kind}{n}.png": photo(side, mode) for n in range(count)}
        write_tar(folder / f"{name}.tar", ((member, encode_png(p)) for member, p in pictures.items()))
        rows = [
            {kind: m.removesuffix(".png"), "member": m, "digest": image_digest(p), "split": "train", "status": "ok"}
            for m, p in pictures.items()
        ]
        tables.append(pd.DataFrame(rows))
        tars.append(TarReader(folder / f"{name}.tar"))
    exemplars = tables[0].assign(class_id=0, split_group=tables[0]["exemplar"])
    templates = tables[1].assign(template_group=tables[1]["template"])
    classes = [{"class_id": "0", "name": "thing", "label": "thing", "definition": "", "imagenet_indices": ""}]
    prompts = PromptSettings(("a photo of a {class}, {background}",), "", lambda text: len(text.split()), 77)

    plan = ShardPlan("train", "background", "bg", "in a place", "bg", 0, count, 1)
    ranges = PlacementRanges((0.4, 0.4), True, (0, 1), (0, 1))
    chosen = plan_shard(plan, classes, exemplars, templates, ranges, prompts)

    def ours() -> None:
        compose_shard(plan, classes, Material(exemplars, tars[0], templates, tars[1]), ranges, prompts, size)

    def bare() -> None:  # each picture that is used is decoded once, as by us, and resized for every guide
        pictures = [
            {name: decode_png(tar.read(f"{name}.png")) for name in set(chosen[kind])}
            for tar, kind in zip(tars, ("exemplar", "template"), strict=True)
        ]
        for exemplar, template in zip(chosen["exemplar"], chosen["template"], strict=True):
            pictures[0][exemplar].resize((size * 2 // 5,) * 2, Image.Resampling.LANCZOS)
            encode_png(pictures[1][template].resize((size, size), Image.Resampling.LANCZOS))

    seconds, floor = paired(ours, bare)
    yield figure("guides of 512 px composed per second and core", count / seconds, "images/s")
    yield figure(
        "guide composition", seconds / floor, "x", 1.3, floor="bare decode, resize and encode of the same pixels"
    )


def packing(folder: Path) -> Iterator[Figure]:
    """What packing a shard and keeping it in the store costs beside the generation of its images."""
    from d3s.generator import Generator
    from d3s.imageio import encode_png, image_digest
    from d3s.sampling import Request, Sampling
    from d3s.shards import write_shard
    from d3s.store import ImageStore
    from tiny import draw_ground

    generator = Generator(ROOT / "models/demo-generator", Sampling("DDIMScheduler", 20, 0.55, 2.5), 128, "float32", 8)
    requests = [Request(draw_ground((60, 150, 60), n).resize((128, 128)), "a bird, on grass", "", n) for n in range(16)]
    started = time.monotonic()
    pictures = [p for start in (0, 8) for p in generator.generate(requests[start : start + 8])]
    generation = time.monotonic() - started
    started = time.monotonic()
    store = ImageStore(folder / "store")
    data = [encode_png(picture) for picture in pictures]
    keys = [f"{number:032x}" for number in range(len(data))]
    for start in (0, 8):
        store.put(list(zip(keys, data, strict=True))[start : start + 8])
    names = [f"s{number}.png" for number in range(len(data))]
    table = pd.DataFrame({"sample": names, "image_digest": [image_digest(picture) for picture in pictures]})
    digests = write_shard(folder / "0.tar", table, zip(names, data, strict=True))
    store.adopt(folder / "0.tar", {k: (n, digests[n]) for k, n in zip(keys, names, strict=True)})
    packed = time.monotonic() - started
    yield figure("generation of a demo image", generation / len(data), "s")
    yield figure("shard packing", 100 * packed / generation, "%", 2.0, floor="generation of the same images")


def exporting(folder: Path) -> Iterator[Figure]:
    """How long it takes to export 10,000 images of 128 px in all formats, beside a bare copy of their shards."""
    import hashlib
    import shutil
    from itertools import count

    from PIL import Image

    from d3s.export.dataset import export
    from d3s.export.folder import export_folder
    from d3s.imageio import encode_png
    from d3s.manifest import build_manifest, gather
    from d3s.shards import write_shard
    from small import BACKGROUNDS, about_small, record_of, screens_of

    rng = np.random.default_rng(0)
    classes = [{"class_id": str(n), "name": f"c{n}", "label": f"class {n}", "definition": ""} for n in range(50)]
    pictures = []  # some, again and again: making ten thousand would take longer than all that is measured
    for _ in range(100):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
        grain = np.asarray(coarse.resize((128, 128), Image.Resampling.BICUBIC), dtype=np.int16)
        grain = grain + rng.integers(-4, 5, grain.shape)
        pictures.append(encode_png(Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))))
    tars, tables, members = [], [], 0
    for split, per_cell in (("train", 80), ("val", 20)):
        for row in BACKGROUNDS:
            tar = folder / "images" / split / row["background"] / "0.tar"
            records = [record_of(split, row["background"], one, n) for one in classes for n in range(per_cell)]
            table = pd.DataFrame(records).assign(shard=tar.as_posix())
            write_shard(tar, table, ((name, pictures[n % len(pictures)]) for n, name in enumerate(table["member"])))
            members += len(table)
            tars.append(tar)
            tables.append(table)
    manifest = build_manifest(gather(tables), screens_of(gather(tables)), 0)
    megabytes = sum(tar.stat().st_size for tar in tars) / 1e6

    about = about_small(classes, which="all", images_per_file=1000)
    numbers = count()

    def ours() -> None:
        with export_folder(folder / f"export-{next(numbers)}") as made:
            export(made, manifest, tars, about)

    def bare() -> None:  # what cannot be saved: each byte is checked, and hashed and written for each format
        bare_folder = folder / f"bare-{next(numbers)}"
        (bare_folder / "links").mkdir(parents=True)
        for place, tar in enumerate(tars):
            data = tar.read_bytes()
            hashlib.blake2b(data, digest_size=16).digest()
            for kind in ("parquet", "tar"):
                with open(bare_folder / f"{place}.{kind}", "wb") as file:
                    file.write(data)
                    hashlib.sha256(data).digest()
                    os.fsync(file.fileno())
        for place in range(members):
            data = pictures[place % len(pictures)]
            (bare_folder / f"{place}.png").write_bytes(data)
            hashlib.sha256(data).digest()
            (bare_folder / "links" / f"{place}.png").symlink_to(f"../{place}.png")

    def copied() -> None:
        for tar in tars:
            shutil.copyfile(tar, folder / "0.copy")

    seconds, floor = paired(ours, bare, rounds=3)
    copy, _ = paired(copied, lambda: None, rounds=3)
    yield figure(f"export of {members:,} images of 128 px", seconds, "s")
    yield figure("export, shards read per second", megabytes / seconds, "MB/s")
    yield figure(
        "export against a copy", seconds / copy, "x", None, floor="a bare copy of the shards, not forced to disk"
    )
    yield figure(
        "export against its bytes",
        seconds / floor,
        "x",
        2.0,
        floor="checking, hashing and writing as many bytes and files",
    )


def aggregation(folder: Path) -> Iterator[Figure]:
    """How long 100,000 votes take from files to decisions, and how often each rule is right on simulated people."""
    import json

    from d3s.annotation.campaign import campaign_secret
    from d3s.annotation.deciding import RULES, decide
    from d3s.annotation.items import image_item, plain_key
    from d3s.annotation.reading import read_votes
    from d3s.annotation.workers import judge_workers, measure_agreement
    from voting import right_decisions, simulate_votes

    given, _ = simulate_votes(20_000, people=200, seed=0)
    secret = campaign_secret(0, "bench")
    recipes: dict[str, str | None] = {sample: f"r{sample}" for sample in given["sample"].unique()}
    items = {sample: image_item(sample, str(recipe)) for sample, recipe in recipes.items()}
    for worker, rows in given.groupby("worker"):
        votes = [
            {
                "item": str(items[row.sample]),
                "key": plain_key(secret, items[row.sample]),
                "object": row.object,
                "unsafe": row.unsafe,
                "background": "yes",
                "seconds": 2.5,
            }
            for row in rows.itertuples()
        ]
        content = {"format": "d3s-annotations", "version": 2, "campaign": "bench", "worker": worker, "votes": votes}
        (folder / f"{worker}.json").write_text(json.dumps(content))

    def seconds(work: Callable[[], object]) -> float:
        started = time.monotonic()
        work()
        return time.monotonic() - started

    read = read_votes(list(folder.glob("*.json")), recipes, "bench", secret)
    yield figure("votes of the benchmark that count", len(read.table), "votes")
    took = seconds(lambda: read_votes(list(folder.glob("*.json")), recipes, "bench", secret))
    yield figure("reading and checking 100,000 votes", took, "s")
    took = seconds(lambda: (judge_workers(read, 0.7, 4), measure_agreement(read.table, 0)))
    yield figure("judging their people and measuring agreement", took, "s")
    for rule in RULES:
        took = seconds(lambda rule=rule: decide(read.table, rule, 5))  # type: ignore[misc]
        yield figure(f"deciding by {rule}", took, "s")
    simulated, truth = simulate_votes(2_000, people=40, seed=0)
    for rule in RULES:
        share = 100 * right_decisions(simulated, truth, rule)
        yield figure(f"right decisions on 2,000 simulated images by {rule}", share, "%")


def annotation_page(folder: Path) -> Iterator[Figure]:
    """How quick a page of 500 pictures of 512 px is in headless Chromium."""
    from PIL import Image

    from browsing import headless_browser
    from d3s.annotation.page import data_address, render_page
    from d3s.annotation.pictures import shown_picture

    rng = np.random.default_rng(0)
    items = []
    for number in range(500):
        small = Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8))
        picture = data_address(shown_picture(small.resize((512, 512), Image.Resampling.BICUBIC), 512))
        items.append({"item": f"i{number}", "key": "k", "class": "0", "background": "sea", "picture": picture})
    classes = {0: {"label": "ball", "definition": "a round thing", "examples": []}}
    page_file = folder / "page.html"
    page_file.write_text(render_page("bench", 1, items, classes, {"sea": "at sea"}), encoding="utf-8")
    yield figure("a page of 500 pictures", page_file.stat().st_size / 1e6, "MB")
    with headless_browser() as browser:
        page = browser.new_page()
        started = time.monotonic()
        page.goto(page_file.as_uri())
        page.keyboard.type("Ann")
        page.keyboard.press("Enter")
        page.wait_for_function("document.getElementById('picture').naturalWidth > 0")
        yield figure("from opening it to its first picture", time.monotonic() - started, "s")
        times = page.evaluate(
            """async () => {
                const times = [];
                for (let number = 0; number < 499; number++) {
                    const started = performance.now();
                    for (const key of ["y", "n", "y"]) document.dispatchEvent(new KeyboardEvent("keydown", {key}));
                    await document.getElementById("picture").decode();
                    times.push(performance.now() - started);
                }
                return times;
            }"""
        )
    yield figure("from a last answer to the next picture, median", statistics.median(times), "ms")
    yield figure("from a last answer to the next picture, slowest", max(times), "ms")


def paired(first: Callable[[], None], second: Callable[[], None], rounds: int = 5) -> tuple[float, float]:
    """The median seconds of two functions, called by turns, after a first call that does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds + 1):
        for function, kept in zip((first, second), times, strict=True):
            started = time.perf_counter()
            function()
            if turn:
                kept.append(time.perf_counter() - started)
    return statistics.median(times[0]), statistics.median(times[1])


BENCHMARKS = (dry_runs, no_op, composition, packing, exporting, aggregation, annotation_page)


def processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else "unknown processor"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "bench.csv")
    parser.add_argument("--only", nargs="*", choices=[b.__name__ for b in BENCHMARKS], help="some of the benchmarks")
    given = parser.parse_args()
    rows: list[Figure] = []
    for benchmark in BENCHMARKS:
        if given.only and benchmark.__name__ not in given.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for row in benchmark(Path(folder)):
                rows.append(row)
                target = f"  target {row['comparison']} {row['target']}: {row['met']}" if row["comparison"] else ""
                against = f" of {row['floor']}" if row["floor"] else ""
                print(f"{row['name']:<48} {row['value']:>12} {row['unit']}{against}{target}", flush=True)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows).to_csv(index=False, lineterminator="\n")
    given.output.write_text(f"# {os.cpu_count()} cores, {processor()}\n{table}", encoding="utf-8")


if __name__ == "__main__":
    main()
