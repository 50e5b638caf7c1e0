"""Generation: each image from its recipe alone, in any batch, reused from the store."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from d3s.config import check_config
from d3s.errors import D3SError
from d3s.generation import make_images, plan_recipes, recipe_settings
from d3s.generator import Generator
from d3s.imageio import encode_png, image_digest
from d3s.recipes import GENERATION_VERSION
from d3s.sampling import Request, Sampling
from d3s.shards import TarReader, write_tar
from d3s.store import ImageStore
from tiny import draw_ground, make_tiny_generator, tiny_config

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
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


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "generator"
    make_tiny_generator(folder)
    return folder


@pytest.fixture(scope="module")
def generator(model: Path) -> Generator:
    return Generator(model, Sampling("DDIMScheduler", 4, 0.5, 2.0), 32, "float32", 4, "cpu")


def requests(count: int) -> list[Request]:
    ground = draw_ground((60, 150, 60), 0).resize((32, 32))
    return [Request(ground, "a ball, on grass", "", seed) for seed in range(count)]


def test_an_image_is_the_same_alone_and_in_any_batch(generator: Generator) -> None:
    together = generator.generate(requests(4))
    alone = generator.generate(requests(3)[2:])
    assert image_digest(alone[0]) == image_digest(together[2])
    assert together[0].size == (32, 32)


def test_pixels_change_only_with_a_new_generation_version(generator: Generator) -> None:
    """Guards ``GENERATION_VERSION``: whoever changes what a recipe gives must raise it, or old images would stay.

    Pixels are compared and not their digests, because processors differ in the last bits.
    """
    made = np.concatenate([np.asarray(picture) for picture in generator.generate(requests(4))], axis=1)
    golden = GOLDEN / f"generation_{GENERATION_VERSION}.png"
    if not golden.exists():
        Image.fromarray(made).save(golden)
        pytest.fail(f"no golden pixels of this version yet; look at {golden} and commit it if it is meant")
    wanted = np.asarray(Image.open(golden).convert("RGB"), dtype=int)
    assert np.abs(made - wanted).max() <= 4, "the pixels of a recipe changed: raise GENERATION_VERSION in d3s.recipes"


def test_seed_and_prompt_change_the_image(generator: Generator) -> None:
    first, second = generator.generate(requests(2))
    assert image_digest(first) != image_digest(second)
    request = requests(1)[0]
    other = generator.generate([Request(request.guide, "a box, on sand", "", request.seed)])[0]
    assert image_digest(other) != image_digest(first)


def test_the_first_timestep_follows_from_strength_and_steps(model: Path) -> None:
    demo = Generator(model, Sampling("DDIMScheduler", 20, 0.55, 2.0), 32, "float32", 1, "cpu")
    assert demo.first_timestep() == (501, 11)


def test_an_unknown_scheduler_is_a_clear_error(model: Path) -> None:
    with pytest.raises(D3SError, match="no scheduler 'Nonsense'"):
        Generator(model, Sampling("Nonsense", 4, 0.5, 2.0), 32, "float32", 1, "cpu")


def guides(folder: Path, count: int) -> tuple[pd.DataFrame, TarReader]:
    picture = draw_ground((60, 150, 60), 1).resize((32, 32))
    names = [f"s{number}.png" for number in range(count)]
    write_tar(folder / "guides.tar", [(name, encode_png(picture)) for name in names])
    table = pd.DataFrame(
        {
            "sample": [name.removesuffix(".png") for name in names],
            "guide_digest": image_digest(picture),
            "prompt": "a ball, on grass",
            "negative_prompt": "",
            "seed": np.arange(count),
            "shard": "guides.tar",
            "member": names,
            "status": "ok",
            "reason": "",
        }
    )
    return table, TarReader(folder / "guides.tar")


def test_only_what_the_store_lacks_is_made(tmp_path: Path, generator: Generator) -> None:
    table, tar = guides(tmp_path, 5)
    calls = []

    def load() -> Generator:
        calls.append("load")
        return generator

    first, members = make_images(
        plan_recipes(table[:3], "digest", SETTINGS), tar, ImageStore(tmp_path / "store"), load, "test"
    )
    assert len(members) == 3
    assert (first["image_digest"] != "").all()
    again, same = make_images(
        plan_recipes(table[:3], "digest", SETTINGS), tar, ImageStore(tmp_path / "store"), load, "test"
    )
    assert same == members
    assert again.equals(first)
    assert calls == ["load"]  # the second time, nothing had to be made
    make_images(plan_recipes(table, "digest", SETTINGS), tar, ImageStore(tmp_path / "store"), load, "test")
    assert len(calls) == 2


def test_how_images_are_computed_is_no_part_of_their_recipes(tmp_path: Path) -> None:
    table, _ = guides(tmp_path, 2)
    config = tiny_config(tmp_path)
    before = plan_recipes(table, "digest", recipe_settings(check_config(config)))["recipe"]
    config["generator"] |= {"batch_size": "auto", "compile": "inductor", "offload": "model", "safety": "off"}
    assert before.equals(plan_recipes(table, "digest", recipe_settings(check_config(config)))["recipe"])
    config["generator"]["scheduler_options"] = {"use_karras_sigmas": True}
    assert not set(before) & set(plan_recipes(table, "digest", recipe_settings(check_config(config)))["recipe"])


def test_a_batch_that_shrinks_loses_no_image(tmp_path: Path, model: Path) -> None:
    """The store has the same images as without the shortage."""

    class Short(Generator):
        def _call(self, requests: Sequence[Request], steps: int) -> list[Image.Image]:
            if len(requests) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super()._call(requests, steps)

    table, tar = guides(tmp_path, 7)

    def made(kind: type[Generator], batch_size: int) -> list[tuple[str, bytes]]:
        sampling, store = Sampling("DDIMScheduler", 4, 0.5, 2.0), ImageStore(tmp_path / kind.__name__)
        recipes = plan_recipes(table, "digest", SETTINGS)
        return make_images(
            recipes, tar, store, lambda: kind(model, sampling, 32, "float32", batch_size, "cpu"), "test"
        )[1]

    members = made(Short, 4)
    assert len(members) == 7
    assert members == made(Generator, 2)
    assert len(list((tmp_path / "Short").glob("*.tar"))) == 3, "a batch of 4, in halves, then one of 2 and what is left"


def test_what_was_made_before_a_failure_is_kept(tmp_path: Path, model: Path) -> None:
    class Failing(Generator):
        calls = 0

        def generate(self, requests: Sequence[Request]) -> list[Image.Image]:
            self.calls += 1
            if self.calls == 3:
                raise D3SError("the GPU fell off the bus", "start the machine again")
            return super().generate(requests)

    table, tar = guides(tmp_path, 7)
    recipes, store = plan_recipes(table, "digest", SETTINGS), ImageStore(tmp_path / "store")
    failing = Failing(model, Sampling("DDIMScheduler", 4, 0.5, 2.0), 32, "float32", 2, "cpu")
    with pytest.raises(D3SError, match="bus"):
        make_images(recipes, tar, store, lambda: failing, "test")
    kept = [ImageStore(tmp_path / "store").get(recipe) is not None for recipe in recipes["recipe"]]
    assert kept == [True] * 4 + [False] * 3


def test_an_image_that_cannot_be_kept_is_an_error(tmp_path: Path, generator: Generator) -> None:
    class Full(ImageStore):
        def put(self, images: Iterable[tuple[str, bytes]]) -> str:
            raise D3SError("the disk is full", "make room")

    table, tar = guides(tmp_path, 2)
    with pytest.raises(D3SError, match="the disk is full"):
        make_images(plan_recipes(table, "digest", SETTINGS), tar, Full(tmp_path / "store"), lambda: generator, "test")


def test_a_changed_setting_changes_every_recipe(tmp_path: Path) -> None:
    table, _ = guides(tmp_path, 3)
    before = plan_recipes(table, "digest", SETTINGS)["recipe"]
    after = plan_recipes(table, "digest", SETTINGS | {"strength": 0.75})["recipe"]
    other = plan_recipes(table, "other weights", SETTINGS)["recipe"]
    assert not set(before) & set(after)
    assert not set(before) & set(other)


def test_rows_without_a_guide_stay_rows(tmp_path: Path, generator: Generator) -> None:
    table, tar = guides(tmp_path, 2)
    table.loc[1, ["status", "reason", "member"]] = ["no_exemplar", "class ball has none", ""]
    done, members = make_images(
        plan_recipes(table, "digest", SETTINGS), tar, ImageStore(tmp_path / "store"), lambda: generator, "test"
    )
    assert list(done["status"]) == ["ok", "no_exemplar"]
    assert len(members) == 1
