"""The whole workflow on a tiny project: every stage, once, as a user runs it."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from running import script, snakemake
from tiny import ROOT


def test_every_planned_image_has_a_row(run: Path) -> None:
    manifest = pd.read_parquet(run / "results/validation/manifest.parquet")
    assert len(manifest) == 2 * 2 * (4 + 4)
    assert manifest["sample"].is_unique
    wanted = [
        "sample",
        "split",
        "shift",
        "class_id",
        "class_name",
        "background",
        "index",
        "matched_set",
        "exemplar",
        "template",
        "prompt",
        "seed",
        "recipe",
        "shard",
        "member",
        "status",
        "reason",
        "verified_by",
        "accepted",
        "set_complete",
    ]
    assert set(wanted) <= set(manifest.columns)
    assert set(manifest["verified_by"]) <= {"model", "none"}  # no human looked at them
    assert len(pd.read_csv(run / "results/validation/manifest.csv")) == len(manifest)


def test_exemplars_and_templates_are_disjoint_by_split(run: Path) -> None:
    manifest = pd.read_parquet(run / "results/validation/manifest.parquet")
    for column in ("exemplar", "template"):
        used = manifest.groupby("split")[column].agg(set)
        assert not used["train"] & used["val"]


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (
            "classifiers",
            "model dataset background metric value ci_low ci_high n clusters cluster set_ci_low set_ci_high family",
        ),
        (
            "probes",
            "objective seed features target probe fitted_on evaluated_on metric value ci_low ci_high chance n clusters",
        ),
        (
            "spurious",
            "objective seed features pairing rho method target tested_on metric value ci_low ci_high n",
        ),
        ("counts", "split background class_id class_name status n"),
    ],
)
def test_tables_have_their_columns_and_rows(run: Path, table: str, columns: str) -> None:
    found = pd.read_csv(run / "results" / "tables" / f"{table}.csv")
    assert list(found.columns) == columns.split()
    assert len(found)


def test_encoders_are_safetensors_with_their_settings(run: Path) -> None:
    for objective in ("erm", "wasserstein"):
        folder = run / "results" / "encoders" / objective / "0"
        assert {"encoder.safetensors", "encoder.json", "history.csv"} <= {path.name for path in folder.iterdir()}


def test_the_report_is_one_page(run: Path) -> None:
    page = (run / "results/report/index.html").read_text(encoding="utf-8")
    assert "<html" in page
    assert 'src="http' not in page


def test_a_second_run_does_nothing(run: Path, config: Path) -> None:
    again = snakemake(run, config)
    assert "Nothing to be done" in again.stdout + again.stderr


def test_every_job_has_a_log_and_a_benchmark(run: Path) -> None:
    logs = {path.relative_to(run / "logs").with_suffix("") for path in (run / "logs").rglob("*.log")}
    benchmarks = {path.relative_to(run / "benchmarks").with_suffix("") for path in (run / "benchmarks").rglob("*.tsv")}
    assert logs == benchmarks
    assert len(logs) > 30


def test_an_image_is_explained_and_made_again(run: Path, config: Path) -> None:
    sample = "val-background-grass-00001-00002"
    told = script(run, "explain", sample, "--configfile", str(config))
    assert told.returncode == 0, told.stderr
    for word in ("exemplar", "template", "noise seed", "recipe", "a photo of a box", "logs/generate_images"):
        assert word in told.stdout
    again = script(run, "remake", sample, "--check", "--configfile", str(config))
    assert again.returncode == 0, again.stderr
    assert "the same pixels" in again.stderr


def test_an_unknown_sample_is_a_clear_error(run: Path, config: Path) -> None:
    told = script(run, "explain", "val-nothing", "--configfile", str(config))
    assert told.returncode == 1
    assert "what to do" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_plan_of_a_finished_run_makes_nothing(run: Path, config: Path) -> None:
    told = script(run, "plan", "--configfile", str(config))
    assert told.returncode == 0, told.stderr[-2000:]
    total = next(line for line in told.stdout.splitlines() if line.startswith("all "))
    assert total.split() == ["all", "32", "0", "0", "0", "0"]  # keep, reuse, make, unusable, drop


def test_a_plan_counts_images_and_names_the_reason(run: Path, config: Path, tmp_path: Path) -> None:
    changed = yaml.safe_load(config.read_text())
    changed["generator"]["strength"] = 0.75
    (tmp_path / "stronger.yaml").write_text(yaml.safe_dump(changed))
    told = script(run, "plan", "--configfile", str(tmp_path / "stronger.yaml"), "--why")
    assert told.returncode == 0, told.stderr[-2000:]
    total = next(line for line in told.stdout.splitlines() if line.startswith("all "))
    assert total.split() == ["all", "0", "0", "32", "0", "32"]
    assert "to make because of the strength: 0.5 before and 0.75 now: grass 16, sand 16" in told.stdout
    assert "jobs: 4 generate_images" in told.stdout


def test_collecting_garbage_drops_nothing_that_is_wanted(run: Path, config: Path) -> None:
    told = script(run, "collect_garbage", "--configfile", str(config))
    assert told.returncode == 0, told.stderr
    assert "0 images, scores and files that nothing wants went" in told.stderr
    assert "Nothing to be done" in snakemake(run, config).stderr


def test_collecting_garbage_finds_shards_that_the_config_no_longer_names(
    run: Path, config: Path, tmp_path: Path
) -> None:
    fewer = tmp_path / "backgrounds.csv"
    fewer.write_text("".join((run / "project/backgrounds.csv").read_text().splitlines(keepends=True)[:2]))
    changed = yaml.safe_load(config.read_text())
    changed["tables"] |= {"backgrounds": str(fewer), "templates": str(tmp_path / "templates.csv")}
    templates = pd.read_csv(run / "project/templates.csv")
    templates[templates["background"] == "grass"].to_csv(tmp_path / "templates.csv", index=False)
    (tmp_path / "fewer.yaml").write_text(yaml.safe_dump(changed))
    told = script(run, "collect_garbage", "--configfile", str(tmp_path / "fewer.yaml"), "--dry-run")
    assert told.returncode == 0, told.stderr
    assert "results/images/val/background/sand/0.tar: 1" in told.stderr
    assert "grass" not in told.stderr
    assert (run / "results/images/val/background/sand/0.tar").exists()


def test_the_shipped_config_plans() -> None:
    planned = snakemake(ROOT, ROOT / "config" / "config.yaml", "--dry-run", "--quiet")
    assert planned.returncode == 0, planned.stderr


def test_a_typo_in_the_config_stops_before_any_job(tmp_path: Path, config: Path) -> None:
    broken = yaml.safe_load(config.read_text())
    broken["generator"]["strenght"] = 0.5
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(broken))
    stopped = snakemake(tmp_path, tmp_path / "config.yaml", "--dry-run")
    assert stopped.returncode != 0
    said = stopped.stdout + stopped.stderr
    assert "did you mean 'strength'?" in said
    assert "Traceback" not in said
