import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import screen_images
from d3s.classifier_table import DEFAULTS
from d3s.errors import D3SError
from d3s.fingerprint import dhash
from d3s.imageio import decode_png, encode_png, image_digest
from d3s.screening import DTYPES, Finding, Judge, Pictures, ScreenSettings, inspect, judge_one, screen
from d3s.shards import write_shard
from d3s.weights import convert
from tiny_classifiers import entry, write_list

SETTINGS = ScreenSettings(min_contrast=0.02, min_probability=0.1)
CLASSES = {0: "bird", 3: "fruit"}


def noise(number: int, side: int = 16) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8))


def judge(*answers: tuple[float, float]) -> Judge:
    """A judge that gives these probabilities, one after the other."""

    def probabilities(digests: Sequence[str], pictures: Pictures) -> list[np.ndarray]:
        seen = [(place, image_digest(picture)) for place, picture in pictures(range(len(digests)))]
        assert seen == list(enumerate(digests))
        return [np.array(answer) for answer in answers]

    return Judge("lite1", CLASSES, probabilities)


def look(data: bytes, guide: Image.Image, expected: str | None = None) -> Finding:
    return inspect(data, expected or image_digest(decode_png(data)), guide, SETTINGS)


def test_a_good_image_is_measured() -> None:
    finding = look(encode_png(noise(1)), noise(1), image_digest(noise(1)))
    assert finding.status == "ok"
    assert finding.reason == ""
    assert finding.guide_distance == 0
    assert finding.brightness == pytest.approx(0.5, abs=0.05)
    assert finding.contrast > 0.1
    assert finding.dhash == f"{dhash(noise(1)):016x}"
    assert len(finding.dhash) == 16


def test_the_distance_to_the_guide_is_one_between_black_and_white() -> None:
    half = Image.new("RGB", (16, 16), "black")
    half.paste("white", (8, 0, 16, 16))
    assert look(encode_png(half), Image.new("RGB", (16, 16), "white")).guide_distance == 0.5


def test_a_truncated_image_is_unreadable() -> None:
    finding = look(encode_png(noise(1))[:200], noise(1), image_digest(noise(1)))
    assert finding.status == "unreadable"
    assert "truncated" in finding.reason
    assert math.isnan(finding.contrast)


def test_pixels_that_were_not_generated_are_unreadable() -> None:
    finding = look(encode_png(noise(1)), noise(1), image_digest(noise(2)))
    assert finding.status == "unreadable"
    assert "aren't the ones" in finding.reason


def test_an_image_has_its_guide_s_size() -> None:
    finding = look(encode_png(noise(1, 16)), noise(1, 32))
    assert finding.status == "wrong_size"
    assert finding.reason == "it is 16 x 16 and its guide 32 x 32"


def test_a_blank_image() -> None:
    finding = look(encode_png(Image.new("RGB", (16, 16), (90, 90, 90))), noise(1))
    assert finding.status == "blank"
    assert finding.contrast == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("probabilities", "status"),
    [
        ((0.90, 0.05), "ok"),
        ((0.20, 0.60), "ok"),  # another class comes first, but its own is likely enough
        ((0.04, 0.03), "ok"),  # unlikely, but no other class is likelier
        ((0.04, 0.60), "off_class"),
    ],
)
def test_an_image_is_off_its_class_only_if_another_comes_first_and_its_own_is_unlikely(
    probabilities: tuple[float, float], status: str
) -> None:
    finding = judge_one(Finding("ok"), 0, np.array(probabilities), judge(), SETTINGS)
    assert finding.status == status
    assert finding.super_probability == probabilities[0]
    assert finding.super_top1 == (0 if probabilities[0] > probabilities[1] else 3)
    assert finding.classifier == "lite1"


def test_the_reason_of_an_image_off_its_class_names_both() -> None:
    finding = judge_one(Finding("ok"), 0, np.array([0.04, 0.6]), judge(), SETTINGS)
    assert finding.reason == "lite1 takes it for fruit (0.60), not bird (0.04; 0.1 is the least)"


def shard(folder: Path) -> argparse.Namespace:
    """A shard of six images, with its guides: two good ones, a truncated one, a blank one, one that was never made
    and one of a class that ImageNet lacks."""
    names = ["good", "strange", "cut", "blank", "absent", "toy"]
    pictures = {name: noise(number) for number, name in enumerate(names)}
    guides = {f"{name}.png": encode_png(picture) for name, picture in pictures.items()}
    pictures["blank"] = Image.new("RGB", (16, 16), "grey")
    files = {f"{name}.png": encode_png(picture) for name, picture in pictures.items() if name != "absent"}
    files["cut.png"] = files["cut.png"][:150]
    rows = pd.DataFrame(
        {
            "sample": names,
            "member": [f"{name}.png" for name in names],
            "class_id": [0, 0, 0, 0, 0, 8],
            "status": ["ok", "ok", "ok", "ok", "no_exemplar", "ok"],
            "reason": ["", "", "", "", "the class has no exemplar", ""],
            "image_digest": [image_digest(pictures[name]) if name != "absent" else None for name in names],
        }
    )
    write_shard(folder / "guides.tar", rows, guides.items())
    write_shard(folder / "images.tar", rows, files.items())
    return argparse.Namespace(
        images=folder / "images.tar",
        guides=folder / "guides.tar",
        output=folder / "screens.parquet",
        classifier=None,
        min_contrast=0.02,
        min_probability=0.1,
        threads=1,
    )


def table_of(args: argparse.Namespace, judge: Judge | None) -> pd.DataFrame:
    rows = pd.read_parquet(args.images.with_suffix(".parquet"))
    with screen_images.TarReader(args.images) as images, screen_images.TarReader(args.guides) as guides:
        return screen(rows, images.read, lambda sample: guides.read(f"{sample}.png"), SETTINGS, judge)


def test_a_shard_keeps_every_row_and_only_whole_images_are_judged(tmp_path: Path) -> None:
    table = table_of(shard(tmp_path), judge((0.9, 0.0), (0.0, 0.9))).set_index("sample")
    assert table["status"].to_dict() == {
        "good": "ok",
        "strange": "off_class",
        "cut": "unreadable",
        "blank": "blank",
        "absent": "not_generated",
        "toy": "ok",
    }
    assert table.index[table["classifier"].notna()].tolist() == ["good", "strange"]
    assert table["super_top1"].dropna().tolist() == [0, 3]
    assert table.loc["absent", "reason"] == "there is no image (no_exemplar): the class has no exemplar"


def test_a_shard_without_a_single_image_has_the_same_columns(tmp_path: Path) -> None:
    args = shard(tmp_path)
    rows = pd.read_parquet(args.images.with_suffix(".parquet"))
    empty = screen(rows[rows["sample"] == "absent"], lambda _: b"", lambda _: b"", SETTINGS)
    assert empty.dtypes.to_dict() == table_of(args, None).dtypes.to_dict()
    assert list(empty) == list(DTYPES)


def test_the_script_screens_a_shard_without_a_classifier(tmp_path: Path) -> None:
    args = shard(tmp_path)
    screen_images.main(args)
    first = args.output.read_bytes()
    table = pd.read_parquet(args.output)
    assert table["status"].value_counts().to_dict() == {"ok": 3, "unreadable": 1, "blank": 1, "not_generated": 1}
    assert table["classifier"].isna().all()
    screen_images.main(args)
    assert args.output.read_bytes() == first


def test_the_script_refuses_guides_of_another_shard(tmp_path: Path) -> None:
    args = shard(tmp_path)
    rows = pd.read_parquet(args.guides.with_suffix(".parquet"))
    rows[rows["sample"] != "cut"].to_parquet(args.guides.with_suffix(".parquet"))
    with pytest.raises(D3SError, match="no guide for 1 of the samples"):
        screen_images.main(args)


def test_a_classifier_needs_all_that_describes_it(tmp_path: Path) -> None:
    args = shard(tmp_path)
    args.classifier, args.classifiers, args.weights, args.classes = "lite1", Path("x.yaml"), None, None
    with pytest.raises(D3SError, match="--classifier stands without"):
        screen_images.main(args)


def test_a_classifier_whose_weights_can_not_be_had_stops_the_job(tmp_path: Path) -> None:
    args = shard(tmp_path)
    (tmp_path / "classes.csv").write_text("class_id,name,label,imagenet_indices\n0,bird,bird,7-8\n3,fruit,fruit,5\n")
    judge = entry("lite1", "timm", "test_resnet", "data/gone.safetensors")
    args.classifiers, args.classifier = write_list(tmp_path / "classifiers.yaml", judge), "lite1"
    args.classes, args.rows_digest = tmp_path / "classes.csv", None
    args.weights, args.classifier_digest = tmp_path / "lite1.safetensors", None
    args.batch_size, args.store, args.device, args.dtype = 2, None, "cpu", "float32"
    convert(DEFAULTS | judge, 1000, args.weights)
    with pytest.raises(D3SError, match=r"lite1 can't be asked \(unavailable: there is no file data/gone"):
        screen_images.main(args)


def test_an_image_without_a_guide_is_screened_all_the_same(tmp_path: Path) -> None:
    args = shard(tmp_path)
    rows = pd.read_parquet(args.images.with_suffix(".parquet"))
    with screen_images.TarReader(args.images) as images:
        table = screen(rows, images.read, lambda _: None, SETTINGS)
    assert table["status"].tolist() == table_of(args, None)["status"].tolist()
    assert table["guide_distance"].isna().all()
