"""A campaign from its page to the manifest: built by the workflow, answered in a browser, handed in, counted."""

from pathlib import Path

import pandas as pd
import yaml
from playwright.sync_api import Page
from test_changes import copy_of, jobs_of

from browsing import headless_browser
from running import snakemake

MANIFEST = "results/validation/manifest.parquet"


def answer_page(page: Page, path: Path, rejected: set[str], answers: pd.DataFrame) -> None:
    """Answer by keys as somebody does who sees what is there; an image in ``rejected`` shows no object to them."""
    page.goto(path.as_uri())
    page.keyboard.type("Ann")
    page.keyboard.press("Enter")
    known = answers.set_index("key")
    order = page.evaluate("JSON.parse(document.getElementById('campaign').textContent).items.map(item => item.key)")
    pictures = page.evaluate("JSON.parse(document.getElementById('campaign').textContent).items.map(i => i.picture)")
    key_of = dict(zip(pictures, order, strict=True))
    while page.is_hidden("#done"):
        row = known.loc[key_of[page.get_attribute("#picture", "src") or ""]]
        row = row.iloc[0] if isinstance(row, pd.DataFrame) else row
        said = {"yes": "y", "no": "n"}
        seen = said.get(row["known_object"], "n" if row["sample"] in rejected else "y")
        for key in (seen, "n", said.get(row["known_background"], "y")):
            page.keyboard.press(key)


def test_what_is_answered_in_the_browser_stands_in_the_manifest(run: Path, tmp_path: Path) -> None:
    folder = copy_of(run, tmp_path / "run")
    path = folder / "project/config.yaml"
    config = yaml.safe_load(path.read_text())
    config["annotations"] = {"votes": 1, "min_gold": 1, "batch_size": 100, "side": 64}
    path.write_text(yaml.safe_dump(config))
    done = snakemake(folder, path, "annotation")
    assert done.returncode == 0, done.stderr[-3000:]
    assert jobs_of(done.stdout + done.stderr) == {"build_annotation_batches": 1}
    assert "Nothing to be done" in snakemake(folder, path, "annotation").stderr

    items = pd.read_csv(folder / "results/annotation/items.csv", keep_default_na=False)
    rejected = set(items.loc[items["kind"] == "image", "sample"].sort_values().iloc[:2])
    with headless_browser() as browser:
        page = browser.new_page()
        answer_page(page, folder / "results/annotation/pages/batch-0001.html", rejected, items)
        with page.expect_download() as found:
            page.get_by_role("button", name="Export answers").click()
        (folder / "annotations").mkdir()
        found.value.save_as(folder / "annotations" / found.value.suggested_filename)

    done = snakemake(folder, path, MANIFEST, "results/tables/calibration.csv")
    assert done.returncode == 0, done.stderr[-3000:]
    manifest = pd.read_parquet(folder / MANIFEST).set_index("sample")
    asked = manifest.loc[items.loc[items["kind"] == "image", "sample"]]
    assert asked["verified_by"].eq("human").all()
    assert set(asked.index[asked["status"] == "rejected_by_people"]) == rejected
    assert asked.loc[~asked.index.isin(rejected), "decision"].eq("accepted").all()
    assert asked["rule"].eq("veto").all()
    assert manifest.loc[manifest["split"] == "train", "votes"].sum() == 0, "gold counts for nothing but the person"
    people = pd.read_csv(folder / "results/tables/annotators.csv")
    assert people[["gold_accuracy", "repeats_same", "excluded"]].values.tolist() == [[1.0, 1.0, False]]
    screens = pd.read_csv(folder / "results/tables/calibration.csv")
    assert screens.loc[screens["kind"] == "in_force", "n"].iloc[0] == len(asked)
