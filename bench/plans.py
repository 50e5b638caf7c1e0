"""Benchmarks of planning: what Snakemake needs before it starts, and to find that all is done."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from measuring import ROOT, Figure, figure, snakemake, timed
from simulate import lay_out


def dry_runs(folder: Path) -> Iterator[Figure]:
    """How long Snakemake plans data sets of 12 thousand, 120 thousand and 1.2 million images."""
    from d3s.config import MOST_PER_SHARD, read_config
    from d3s.tables import read_table

    small = folder / "one"
    small.mkdir()
    (small / "Snakefile").write_text('rule all:\n    output: "x"\n    shell: "touch {output}"\n')
    floor = min(timed(snakemake("--dry-run"), small)[0] for _ in range(3))
    yield figure("dry run of a workflow of one rule", floor, "s")
    demo, paper = ROOT / "config/classifiers.yaml", ROOT / "config/paper/classifiers.yaml"
    for name, classes, train, val, networks, target in (
        ("12K images", 100, 10, 2, demo, None),
        ("120K images", 1000, 10, 2, demo, 4.0),
        ("120K images, the paper's networks", 1000, 10, 2, paper, 4.0),
        ("1.2M images", 1000, 100, 20, demo, 10.0),
    ):
        project = folder / name
        config = lay_out(project, classes, 10, train, val, networks)
        command = snakemake("--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config), "--dry-run")
        command += ["--quiet", "rules"]
        first, *runs = [timed(command, project) for _ in range(3)]
        seconds, memory, said = min(runs)
        jobs = re.search(r"^total +(\d+)", said, re.MULTILINE)
        yield figure(f"dry run of {name}", seconds, "s", target)
        yield figure(f"dry run of {name}, ratio", seconds / floor, "x", None, floor="a workflow of one rule")
        yield figure(f"dry run of {name}, the first: reads all exemplars", first[0], "s")
        yield figure(f"dry run of {name}, jobs", float(jobs[1]) if jobs else 0.0, "jobs")
        yield figure(f"dry run of {name}, memory", memory, "MB")
        checked = read_config(config)
        chunks = Counter(
            int(row["class_id"]) // checked["classes_per_chunk"]
            for row in read_table(project / "classes.csv", "classes")
        )
        largest = max(chunks.values()) * max(checked["images_per_cell"].values())
        yield figure(f"images in the largest shard of {name}", largest, "images", MOST_PER_SHARD)


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
