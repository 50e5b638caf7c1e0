"""The comparison of settings: matched samples, equal starts, measures kept, and what is recommended."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from d3s.composition import PlacementRanges
from d3s.errors import D3SError
from d3s.guides import Material, PromptSettings, ShardPlan, compose_shard
from d3s.imageio import encode_png, image_digest
from d3s.sampling import Request, Sampling
from d3s.shards import TarReader, write_shard
from settings.grid import REFERENCE, Setting, lay_out_grid, strength_from
from settings.measuring import Bench, Kept, Seen
from settings.samples import paste_at, pick_samples, read_guides
from settings.table import MARKS, put_on_page, recommend, render, settings_table
from small import write_csv
from tiny import BACKGROUNDS, draw_ground, draw_object, make_tiny_generator
from tiny_classifiers import entry, plain, write_list

SIZE, SCALE = 32, (0.6, 0.9)
CLASSES = [
    {"class_id": "0", "name": "ball", "label": "ball", "definition": "", "imagenet_indices": "430 522"},
    {"class_id": "1", "name": "box", "label": "box", "definition": "", "imagenet_indices": "478"},
]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("project")
    make_tiny_generator(folder / "model")
    write_csv(folder / "classes.csv", CLASSES)
    judge = entry("judge", "timm", "tf_efficientnet_lite0", "judge.safetensors", input={"size": 32})
    write_list(folder / "classifiers.yaml", judge)
    plain("timm", "tf_efficientnet_lite0", folder / "judge.safetensors")
    return {
        "seed": 3,
        "tables": {"classes": str(folder / "classes.csv"), "classifiers": str(folder / "classifiers.yaml")},
        "guides": {"size": SIZE, "scale": list(SCALE), "flip": True, "x": [0.0, 1.0], "y": [0.4, 1.0]},
        "generator": {
            "model": str(folder / "model"),
            "guidance": 2.0,
            "dtype": "float32",
            "batch_size": 2,
            "device": "cpu",
            "threads": 1,
        },
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> Path:
    """A run's foregrounds, backgrounds and val guides: 2 classes x 2 backgrounds x 4, of 3 exemplars each."""
    folder = tmp_path_factory.mktemp("results")

    def shard(tar: Path, column: str, pictures: Mapping[str, Image.Image], **columns: object) -> None:
        rows = [{column: name, "member": f"{name}.png", "digest": image_digest(p)} for name, p in pictures.items()]
        table = pd.DataFrame(rows).assign(split="val", status="ok", **columns)
        write_shard(tar, table, ((f"{name}.png", encode_png(picture)) for name, picture in pictures.items()))

    objects = {f"{class_id}-{n}": draw_object(class_id, n) for class_id in (0, 1) for n in range(3)}
    shard(folder / "foregrounds/0.tar", "exemplar", objects, class_id=[0, 0, 0, 1, 1, 1], split_group="")
    for name, colour in BACKGROUNDS.items():
        grounds = {f"{name}{n}": draw_ground(colour, n) for n in range(3)}
        shard(folder / f"backgrounds/{name}.tar", "template", grounds, template_group="")
        plan = ShardPlan("val", "background", name, f"on {name}", name, 0, 4, config["seed"])
        prompts = PromptSettings(("a {class}, {definition}, {background}",), "", lambda text: len(text.split()), 77)
        with TarReader(folder / "foregrounds/0.tar") as one, TarReader(folder / f"backgrounds/{name}.tar") as other:
            tables = (pd.read_parquet(tar.path.with_suffix(".parquet")) for tar in (one, other))
            material = Material(next(tables), one, next(tables), other)
            ranges = PlacementRanges(SCALE, True, (0.0, 1.0), (0.4, 1.0))
            guides, members = compose_shard(plan, CLASSES, material, ranges, prompts, SIZE)
        write_shard(folder / f"guides/val/background/{name}/0.tar", guides, members)
    return folder


def bench(config: dict[str, Any], kept: Path) -> Bench:
    guides = [draw_ground(colour, 0).resize((SIZE, SIZE)) for colour in BACKGROUNDS.values()]
    requests = [Request(guide, "a ball, on grass", "", seed) for seed, guide in enumerate([*guides, guides[0]])]
    weights = Path(config["tables"]["classes"]).parent
    return Bench(config, weights, Kept(kept), {SCALE: requests}, [0, 1, 0], "a machine")


def setting(name: str, steps: int = 4, group: str = "sampler", scale: tuple[float, float] = SCALE) -> Setting:
    return Setting(group, name, Sampling("DDIMScheduler", steps, 0.5, 2.0), scale, 501, steps // 2)


# ---- what is compared


def test_a_sampler_starts_at_the_noise_level_nearest_to_the_reference() -> None:
    even = list(range(1, 1000, 100))  # a schedule of ten steps, from its last
    assert strength_from(521, even, 0.55) == 0.65, "0.55 of ten steps would be five, and start at 401"
    assert strength_from(521, even, 0.6) == 0.6, "six already"
    fine = [20 * n + 1 for n in range(50)]
    strength = strength_from(561, fine, 0.5)
    assert int(50 * strength) == 29, "50 x 0.58 is 28.999..., which would be cut down to 28"
    assert strength_from(999, even, 0.5) == 1.0


def test_the_grid_varies_one_thing_at_a_time(config: dict[str, Any]) -> None:
    grid = lay_out_grid(config)
    names = [one.name for one in grid]
    assert names[0] == REFERENCE
    assert len(names) == len(set(names))
    first = grid[0]
    samplers = [one for one in grid if one.group == "sampler"]
    assert {one.scale for one in samplers} == {SCALE}
    shifted = [one for one in samplers if "steps_offset" in dict(one.sampling.options)]
    assert {"ddim-10", "dpm++2m-6", "unipc-6"} <= {one.name for one in shifted}
    assert {one.start for one in shifted} == {first.start}
    assert max(abs(one.start - first.start) for one in samplers) < 120, "some schedules can't be shifted"
    usual = next(one for one in grid if one.name == "ddim-20")
    sizes = [one for one in grid if one.group == "scale"]
    assert {one.sampling for one in sizes} == {usual.sampling}
    assert [one.scale for one in sizes] == [(0.4, 0.4), (0.6, 0.6)]
    starts = [one.start for one in grid if one.group == "strength" and one.sampling.steps == 20]
    assert starts == sorted(starts)


def test_samples_are_balanced_and_no_guide_comes_twice(results: Path) -> None:
    guides = read_guides(results)
    assert len(guides) == 16
    for count, each in ((4, 1), (8, 2), (16, 4)):
        picked = pick_samples(guides, count)
        assert set(picked.groupby(["class_id", "background"]).size()) == {each}
        assert picked["sample"].is_unique
    assert len(pick_samples(guides, 6)) == 6
    assert pick_samples(guides, 4)["index"].nunique() == 2, "backgrounds take different matched sets"
    with pytest.raises(D3SError, match="at most 16"):
        pick_samples(guides, 17)


def test_without_a_run_there_are_no_guides(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match="has no guides"):
        read_guides(tmp_path)


def test_guides_are_pasted_anew_with_all_but_the_size_kept(results: Path, config: dict[str, Any]) -> None:
    samples = pick_samples(read_guides(results), 8)
    own = paste_at(samples, SCALE, results, config)
    assert [image_digest(picture) for picture in own] == samples["guide_digest"].tolist()
    small = paste_at(samples, (0.2, 0.2), results, config)
    for large, little in zip(own, small, strict=True):
        changed = (np.asarray(large) != np.asarray(little)).any(axis=-1)
        assert 0.05 < changed.mean() < 0.95, "the template around the foreground is the same"
    with pytest.raises(D3SError, match="not those of the config"):
        paste_at(samples, SCALE, results, config | {"seed": 4})


# ---- measures


def test_a_setting_is_measured_once(config: dict[str, Any], tmp_path: Path) -> None:
    seen = bench(config, tmp_path).see(SCALE, setting("ddim-4"))
    assert seen.features.shape == (3, 1280)
    assert seen.correct.shape == (3,)
    guides = bench(config, tmp_path).see(SCALE)
    assert not np.array_equal(seen.features, guides.features)

    weights = Path(config["generator"]["model"]) / "unet/diffusion_pytorch_model.safetensors"
    hidden = weights.rename(tmp_path / "hidden")
    try:
        again = bench(config, tmp_path).see(SCALE, setting("the same under another name"))
        assert np.array_equal(again.features, seen.features)
        with pytest.raises(D3SError):
            bench(config, tmp_path).see(SCALE, setting("ddim-6", 6))
    finally:
        hidden.rename(weights)

    for path in tmp_path.glob("seen-*"):
        path.write_bytes(path.read_bytes()[:1000])
    repaired = bench(config, tmp_path).see(SCALE, setting("ddim-4"))
    assert np.array_equal(repaired.features, seen.features), "a damaged file is measured again, to the same numbers"


def test_times_are_taken_by_turns_and_go_on_where_they_were(config: dict[str, Any], tmp_path: Path) -> None:
    few, many = setting("ddim-4"), setting("ddim-8", 8)
    same = replace(few, name="other size", scale=(0.2, 0.2))
    first = bench(config, tmp_path)
    first.time([many], 1)
    first.time([few, many, same], 2)
    assert [len(first.seconds(one)) for one in (few, many, same)] == [2, 2, 2]
    assert first.seconds(same) == first.seconds(few)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    bench(config, tmp_path).time([few, many], 2)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    elsewhere = replace(first, host="another machine")
    assert elsewhere.seconds(few) == [], "times of two machines are never mixed"


# ---- the table and what it says


def table_of(found: Mapping[str, tuple[float, float, int]], n: int = 64, **seconds: list[float]) -> pd.DataFrame:
    """A table of made-up settings: by name, the share of right answers, the shift of the features, and the steps."""
    rng = np.random.default_rng(0)
    guides = rng.normal(size=(n, 6))
    noise = rng.normal(0, 0.3, size=(n, 6))
    settings, seen = [], {}
    for name, (right, shift, steps) in found.items():
        group = "strength" if "strength" in name else "sampler"
        settings.append(setting(name, steps, group))
        seen[name] = Seen(guides + noise + shift + rng.normal(0, 0.02, size=(n, 6)), np.arange(n) < right * n)
    times = {name.replace("_", "-"): values for name, values in seconds.items()}
    clusters = [f"e{number % 16:02d}" for number in rng.permutation(n)]
    return settings_table(settings, seen, {SCALE: Seen(guides, np.ones(n, bool))}, clusters, times)


def test_the_cheapest_setting_that_is_not_worse_is_recommended() -> None:
    found = {
        REFERENCE: (0.9, 0.5, 50),
        "as good": (0.9, 0.5, 20),
        "as good and cheaper": (0.89, 0.5, 10),
        "wrong": (0.5, 0.5, 6),
        "far from guides": (0.9, 1.5, 4),
        "low strength": (0.95, 0.1, 2),
    }
    table = table_of(found)
    assert dict(zip(table["setting"], table["not_worse"], strict=True)) == {
        REFERENCE: True,
        "as good": True,
        "as good and cheaper": True,
        "wrong": False,
        "far from guides": False,
        "low strength": True,
    }
    assert recommend(table)["setting"] == "as good and cheaper"
    first = table.iloc[0]
    assert (first["top1_difference"], first["kid_guides_difference"], first["kid_reference"]) == (0, 0, 0)
    wrong = table[table["setting"] == "wrong"].iloc[0]
    assert wrong["top1_difference_high"] < 0
    assert wrong["top1_difference"] == pytest.approx(wrong["top1"] - first["top1"])


def test_of_equal_calls_the_smaller_distance_is_recommended_and_else_the_reference() -> None:
    equal = {REFERENCE: (0.9, 0.5, 50), "a": (0.9, 0.48, 10), "b": (0.9, 0.4, 10)}
    assert recommend(table_of(equal))["setting"] == "b"
    worse = {REFERENCE: (0.9, 0.5, 50), "a": (0.4, 0.5, 10)}
    assert recommend(table_of(worse))["setting"] == REFERENCE
    assert "No cheaper sampler" in render(table_of(worse), "a machine")


def test_speed_is_a_median_of_rounds_and_its_ratio_one_of_the_same_rounds() -> None:
    found = {REFERENCE: (0.9, 0.5, 50), "ddim-20": (0.9, 0.5, 20), "untimed": (0.9, 0.5, 10)}
    table = table_of(found, ddim_50=[4.0, 40.0, 4.0], ddim_20=[2.0, 20.0, 1.0]).set_index("setting")
    assert table.at["ddim-20", "seconds_per_image"] == 2.0
    assert table.at["ddim-20", "seconds_ratio"] == 0.5
    assert np.isnan(table.at["untimed", "seconds_per_image"])
    assert table["rounds"].tolist() == [3, 3, 0]


def test_the_page_shows_every_row_and_keeps_its_own_words() -> None:
    found = {REFERENCE: (0.9, 0.5, 50), "ddim-20": (0.9, 0.5, 20), "high strength": (0.7, 0.9, 20)}
    text = render(table_of(found, ddim_50=[4.0], ddim_20=[1.6]), "a machine")
    assert "| ddim-20 | 0.5 | 0.6 to 0.9 | 501 | 10 | 1.60 | 40 % |" in text
    assert "**ddim-20**: 10 denoiser calls instead of 25" in text
    assert "2.5 times as fast" in text
    assert "n = 64 images of 16 exemplars" in text
    assert "nan" not in text
    page = f"# Speed\n\n{MARKS[0]}\nold\n{MARKS[1]}\n\nThe end.\n"
    once = put_on_page(page, text)
    assert "old" not in once
    assert once.startswith("# Speed\n\n")
    assert once.endswith("\n\nThe end.\n")
    assert put_on_page(once, text) == once


@pytest.mark.parametrize("page", ["", f"{MARKS[0]}", f"{MARKS[1]}{MARKS[0]}", "".join(MARKS * 2)])
def test_a_page_without_one_place_for_the_table_is_an_error(page: str) -> None:
    with pytest.raises(D3SError, match="no place for the table"):
        put_on_page(page, "")
