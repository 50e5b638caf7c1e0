"""What a run would do, told without making anything."""

from pathlib import Path

import pandas as pd
import pytest

from d3s.generation import plan_recipes
from d3s.planning import find_guides, judge_samples, parse_dry_run, picture_reason, seconds_per_image

SETTINGS: dict[str, str | int | float] = {
    "scheduler": "DDIMScheduler",
    "steps": 4,
    "strength": 0.5,
    "guidance": 2.0,
    "size": 32,
    "dtype": "float32",
    "mode": "image2image",
    "options": "{}",
}
DRY_RUN = """Building DAG of jobs...
[Mon Nov 23 00:32:33 2026]
rule compose_guides:
    input: a, b
    output: c
    jobid: 31
    reason: Params have changed since last execution: before: '1' now: '2'
    wildcards: split=val, shift=background, background=water, chunk=0
    resources: tmpdir=/tmp
[Mon Nov 23 00:32:33 2026]
localrule images:
    input: c
    jobid: 0
    reason: Input files updated by another job: c
Job stats:
"""


def guides(count: int = 3) -> pd.DataFrame:
    """A manifest of guides: each of its own template."""
    rows = [
        {
            "sample": f"val-background-grass-00000-{number:05d}",
            "split": "val",
            "shift": "background",
            "background": "grass",
            "exemplar": "gull",
            "exemplar_digest": "e0",
            "template": f"t{number}",
            "template_digest": f"d{number}",
            "scale": 0.5,
            "flip": False,
            "x": 0.25,
            "y": 0.75,
            "size": 32,
            "seed": number,
            "revision": 0,
            "prompt": "a photo of a gull, on grass",
            "negative_prompt": "",
            "guide_digest": f"g{number}",
            "mask_digest": "",
            "member": "",
            "shard": "",
            "status": "ok",
            "reason": "",
        }
        for number in range(count)
    ]
    return pd.DataFrame(rows)


def judged(planned: pd.DataFrame, settings: dict[str, str | int | float] = SETTINGS) -> pd.DataFrame:
    """What becomes of samples when the images of ``guides()`` are there."""
    images = plan_recipes(guides(), "model", SETTINGS)
    found = find_guides(planned.assign(guide_digest=""), guides())
    return judge_samples(found, images, set(images["recipe"]), "model", settings)


def test_the_jobs_of_a_dry_run_are_read() -> None:
    compose, target = parse_dry_run(DRY_RUN)
    assert (compose.rule, target.rule) == ("compose_guides", "images")
    assert compose.wildcards == {"split": "val", "shift": "background", "background": "water", "chunk": "0"}
    assert compose.reason.startswith("Params have changed")
    assert target.wildcards == {}


def test_what_is_as_it_was_is_reused_also_in_another_shard() -> None:
    assert set(judged(guides())["action"]) == {"reuse"}
    assert set(judged(guides().iloc[::-1])["action"]) == {"reuse"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"template_digest": "new"}, "the picture of the template t1"),
        ({"template": "t9", "template_digest": "new"}, "the choice of template"),
        ({"exemplar_digest": "new"}, "the picture of the exemplar gull"),
        ({"scale": 0.6}, "the placement"),
        (
            {"prompt": "a photo of a gull, on a lawn"},
            "the prompt (its template, or the tables' phrases, labels or definitions)",
        ),
        ({"seed": 99}, "the root seed"),
        ({"seed": 99, "revision": 1}, "the background's revision: 0 before and 1 now"),
        ({"sample": "val-background-grass-00000-00099", "seed": 99}, "a new sample"),
    ],
)
def test_a_changed_sample_is_made_for_its_reason(change: dict[str, object], reason: str) -> None:
    planned = guides()
    for column, value in change.items():
        planned.loc[1, column] = value
    table = judged(planned)
    assert table["action"].tolist() == ["reuse", "make", "reuse"]
    assert table.loc[1, "reason"] == reason


def test_a_changed_setting_makes_all() -> None:
    table = judged(guides(), SETTINGS | {"strength": 0.75})
    assert set(table["action"]) == {"make"}
    assert set(table["reason"]) == {"the strength: 0.5 before and 0.75 now"}


def test_numbers_are_told_as_they_were_written_beside_new_samples() -> None:
    planned = guides()
    planned.loc[1, "sample"] = "val-background-grass-00000-00099"
    table = judged(planned, SETTINGS | {"steps": 25})
    told = f"the steps: {SETTINGS['steps']} before and 25 now"
    assert table["reason"].tolist() == [told, "a new sample", told]


def test_an_image_that_the_store_lost_is_made() -> None:
    images = plan_recipes(guides(), "model", SETTINGS)
    table = judge_samples(guides(), images, set(images["recipe"][:2]), "model", SETTINGS)
    assert table["action"].tolist() == ["reuse", "reuse", "make"]
    assert table.loc[2, "reason"] == "their absence from the store"


def test_a_guide_without_its_mask_is_not_known_where_masks_are_wanted() -> None:
    bare = guides()
    masked = bare.assign(mask_digest=[f"m{n}" for n in range(3)])
    wanted = bare.assign(guide_digest="")
    assert find_guides(wanted, bare)["guide_digest"].tolist() == ["g0", "g1", "g2"]
    assert find_guides(wanted, bare, masks=True)["guide_digest"].tolist() == ["", "", ""]
    both = pd.concat([bare, masked[:2]])
    assert find_guides(wanted, both, masks=True)["guide_digest"].tolist() == ["g0", "g1", ""]
    assert find_guides(wanted, both, masks=True)["mask_digest"].tolist() == ["m0", "m1", ""]


def test_what_can_not_be_made_keeps_its_own_reason() -> None:
    planned = guides()
    planned.loc[0, ["status", "reason"]] = ["no_exemplar", "class gull has none"]
    table = judged(planned)
    assert table.loc[0, ["action", "reason"]].tolist() == ["none", "class gull has none"]


def test_time_is_told_from_jobs_that_made_images(tmp_path: Path) -> None:
    logs, benchmarks = tmp_path / "logs", tmp_path / "benchmarks"
    for name, made, seconds in (("a", 10, 20.0), ("b", 0, 5.0), ("c", 30, 40.0)):
        for folder in (logs / "val", benchmarks / "val"):
            folder.mkdir(parents=True, exist_ok=True)
        (logs / "val" / f"{name}.log").write_text(f"generate_images: {made} images to make, 7 in the store\n")
        (benchmarks / "val" / f"{name}.tsv").write_text(f"s\tmax_rss\n{seconds}\t1\n")
    assert seconds_per_image(logs, benchmarks) == pytest.approx(60 / 40)
    assert seconds_per_image(tmp_path / "none", benchmarks) is None


PARAMS = "Params have changed since last execution: Union of exclusive params before and now across all output: "
BEFORE, NOW = (f"'{count} pictures {digit * 32}'" for count, digit in ((8, "a"), (9, "b")))


@pytest.mark.parametrize(
    ("reason", "changed", "gone", "told"),
    [
        (f"{PARAMS}before: {BEFORE} now: {NOW}", ["a.png"], [], "pictures changed or new: a.png"),
        (f"{PARAMS}before: {BEFORE} now: {NOW}", [], ["b.png"], "pictures gone: b.png"),
        (f"{PARAMS}before: {BEFORE} now: {NOW}", [], [], "pictures changed"),
        (
            f"{PARAMS}before: {BEFORE} now: {NOW} ; Code has changed since last execution",
            list("abcde"),
            ["f"],
            "pictures changed or new: a, b, c and 2 more, gone: f; Code has changed since last execution",
        ),
        (
            f"{PARAMS}before: '4',{BEFORE} now: {NOW},'5'",
            ["a.png"],
            [],
            f"pictures changed or new: a.png; {PARAMS}before: '4',{BEFORE} now: {NOW},'5'",
        ),
        (f"{PARAMS}before: '4' now: '5'", ["a.png"], [], f"{PARAMS}before: '4' now: '5'"),
        ("Missing output files: x", ["a.png"], [], "Missing output files: x"),
    ],
)
def test_pictures_are_named_in_the_reason_of_a_job(reason: str, changed: list[str], gone: list[str], told: str) -> None:
    assert picture_reason(reason, changed, gone) == told
