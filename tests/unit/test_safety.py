"""A model's safety checker gives a verdict, and changes no pixel."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import generate_images as script
from d3s.generator import Generator
from d3s.imageio import decode_png, encode_png, image_digest
from d3s.models import model_digest
from d3s.safety import CLEAR, FLAGGED, has_checker, verdicts
from d3s.sampling import Request, Sampling
from d3s.shards import TarReader, write_shard
from tiny import draw_ground, make_tiny_generator
from tiny_models import add_safety_checker

PICTURES = [draw_ground(colour, 0).resize((32, 32)) for colour in ((60, 150, 60), (200, 30, 30), (60, 150, 60))]
DIGESTS = [image_digest(picture) for picture in PICTURES]
SAMPLING = Sampling("DDIMScheduler", 4, 0.5, 2.0)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same generator without a checker, with one that flags nothing, and with one that flags everything."""
    folder = tmp_path_factory.mktemp("models")
    for name in ("bare", "mild", "strict"):
        make_tiny_generator(folder / name)
        if name != "bare":
            add_safety_checker(folder / name, flags=name == "strict")
    return {name: folder / name for name in ("bare", "mild", "strict")}


def ask(model: Path, store: Path) -> tuple[list[str], list[int]]:
    """The verdicts on the pictures, and which of them the checker saw."""
    seen: list[int] = []

    def pictures(places: Sequence[int]) -> Iterator[tuple[int, Image.Image]]:
        seen.extend(places)
        return ((place, PICTURES[place]) for place in places)

    return verdicts(model, DIGESTS, pictures, store, "cpu"), seen


def test_each_picture_is_judged_once(models: dict[str, Path], tmp_path: Path) -> None:
    assert ask(models["strict"], tmp_path) == ([FLAGGED] * 3, [0, 1]), "the third is the first again"
    assert ask(models["strict"], tmp_path) == ([FLAGGED] * 3, [])
    assert ask(models["mild"], tmp_path) == ([CLEAR] * 3, [0, 1]), "another checker has its own verdicts"
    assert [has_checker(models[name]) for name in ("bare", "mild", "strict")] == [False, True, True]


@pytest.mark.parametrize("mode", ["image2image", "inpainting", "text2image"])
def test_no_pixel_is_changed(models: dict[str, Path], mode: str) -> None:
    sampling = Sampling("DDIMScheduler", 4, 1.0 if mode == "text2image" else 0.5, 2.0, mode=mode)
    wanted = [Request(PICTURES[0], "a ball, on grass", "", 1, Image.new("L", (32, 32), 0))]
    made = [Generator(models[name], sampling, 32, "float32", 1, "cpu").generate(wanted)[0] for name in models]
    assert len({image_digest(picture) for picture in made}) == 1
    assert np.asarray(made[0]).any()


def shard(folder: Path) -> Path:
    """A shard of guides; the last one was never made."""
    rows = [
        {"sample": f"s{number}", "guide_digest": digest, "mask_digest": "", "prompt": "a ball", "negative_prompt": ""}
        | {"seed": number, "shard": "guides.tar", "member": f"s{number}.png", "status": "ok", "reason": ""}
        for number, digest in enumerate(DIGESTS)
    ]
    rows[2] |= {"status": "no_exemplar", "reason": "there is none", "member": ""}
    tar = folder / "guides" / "val" / "background" / "grass" / "0.tar"
    write_shard(tar, pd.DataFrame(rows), [(f"s{n}.png", encode_png(PICTURES[n])) for n in (0, 1)])
    return tar


@pytest.mark.parametrize(
    ("name", "setting", "found"),
    [
        ("strict", "record", [FLAGGED, FLAGGED, ""]),
        ("mild", "record", [CLEAR, CLEAR, ""]),
        ("strict", "off", ["", "", ""]),
        ("bare", "record", ["", "", ""]),
    ],
)
def test_the_manifest_of_a_shard_has_the_verdicts(
    models: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    setting: str,
    found: list[str],
) -> None:
    output, model = tmp_path / "images" / "0.tar", models[name]
    line = f"--guides {shard(tmp_path)} --model {model} --model-digest {model_digest(model)} --scheduler DDIMScheduler"
    line += " --steps 4 --strength 0.5 --guidance 2 --size 32 --dtype float32 --batch-size auto --device cpu"
    line += f" --safety {setting} --store {tmp_path / 'store'} --output {output}"
    monkeypatch.setattr(sys, "argv", ["generate_images.py", *line.split()])
    script.main(script.parse())
    rows = pd.read_parquet(output.with_suffix(".parquet"))
    assert rows["safety"].tolist() == found
    assert rows["status"].tolist() == ["ok", "ok", "no_exemplar"], "a verdict rejects nothing"
    with TarReader(output) as tar:
        assert all(np.asarray(decode_png(tar.read(member))).any() for member in tar.names())
