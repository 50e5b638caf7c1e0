"""The engine on every family of models, through the same classes that load the real ones."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from d3s.errors import D3SError
from d3s.generator import Generator
from d3s.imageio import image_digest
from d3s.models import PINS, pin_model
from d3s.prompts import load_token_counter, write_prompt
from d3s.sampling import Request, Sampling
from d3s.shards import write_json
from tiny import draw_ground
from tiny_models import FAMILIES, make_model

SCHEDULERS = {"sd": "DDIMScheduler", "sdxl": "DPMSolverMultistepScheduler", "sd3": "model", "flux": "model"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {family: make_model(family, folder / family) for family in FAMILIES}


def engine(
    model: Path,
    scheduler: str,
    mode: str = "image2image",
    batch_size: int = 3,
    options: Mapping[str, str | float | bool] | None = None,
) -> Generator:
    sampling = Sampling(scheduler, 4, 0.5, 2.0, tuple(sorted((options or {}).items())), mode)
    return Generator(model, sampling, 32, "float32", batch_size, "cpu")


def requests(count: int, colour: tuple[int, int, int] = (60, 150, 60)) -> list[Request]:
    ground = draw_ground(colour, 0).resize((32, 32))
    return [Request(ground, "a ball, on grass", "", seed) for seed in range(count)]


def distance(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


@pytest.mark.parametrize("family", FAMILIES)
def test_an_image_is_made_from_its_own_seed_whatever_the_batch(models: dict[str, Path], family: str) -> None:
    made = engine(models[family], SCHEDULERS[family])
    together, alone = made.generate(requests(3)), made.generate(requests(2)[1:])
    assert image_digest(together[1]) == image_digest(alone[0])
    assert len({image_digest(picture) for picture in together}) == 3
    assert together[0].size == (32, 32)
    step, calls = made.first_timestep()
    assert calls == 2
    assert 0 < step < 1000


@pytest.mark.parametrize("family", FAMILIES)
def test_the_guide_is_seen_only_where_images_are_made_from_it(models: dict[str, Path], family: str) -> None:
    green, red = requests(1), requests(1, (200, 30, 30))
    seen = engine(models[family], SCHEDULERS[family], batch_size=1)
    assert distance(seen.generate(green)[0], seen.generate(red)[0]) > 0
    blind = engine(models[family], SCHEDULERS[family], "text2image", batch_size=1)
    assert distance(blind.generate(green)[0], blind.generate(red)[0]) == 0
    assert blind.first_timestep()[1] == 4, "there is no guide to start from, so all steps are run"


@pytest.mark.parametrize("family", FAMILIES)
def test_inpainting_keeps_the_foreground_and_dreams_the_rest(models: dict[str, Path], family: str) -> None:
    mask = Image.new("L", (32, 32), 0)
    mask.paste(255, (8, 8, 24, 24))
    wanted = [replace(request, mask=mask) for request in requests(2)]
    made = engine(models[family], SCHEDULERS[family], "inpainting", batch_size=2).generate(wanted)
    kept = np.asarray(mask) == 255
    guide = np.asarray(wanted[0].guide)
    for picture in map(np.asarray, made):
        assert (picture[kept] == guide[kept]).all()
        assert np.abs(picture[~kept].astype(int) - guide[~kept]).mean() > 1
    assert image_digest(made[0]) != image_digest(made[1])


@pytest.mark.parametrize(
    ("scheduler", "options"),
    [
        ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True, "algorithm_type": "sde-dpmsolver++"}),
        ("UniPCMultistepScheduler", {}),
        ("LCMScheduler", {}),
        ("EulerAncestralDiscreteScheduler", {}),
    ],
)
def test_other_schedulers_by_name_and_with_settings(
    models: dict[str, Path], scheduler: str, options: dict[str, str | float | bool]
) -> None:
    made, usual = engine(models["sd"], scheduler, options=options), engine(models["sd"], "DDIMScheduler")
    assert distance(made.generate(requests(1))[0], usual.generate(requests(1))[0]) > 0
    alone, together = made.generate(requests(2)[1:])[0], made.generate(requests(2))[1]
    assert image_digest(alone) == image_digest(together)


def test_an_unknown_setting_of_a_scheduler_is_an_error(models: dict[str, Path]) -> None:
    with pytest.raises(D3SError, match="DDIMScheduler has no setting 'use_karras'"):
        engine(models["sd"], "DDIMScheduler", options={"use_karras": True})


def test_a_negative_prompt_is_an_error_where_it_would_do_nothing(models: dict[str, Path]) -> None:
    wanted = [Request(requests(1)[0].guide, "a ball", "blurred", 0)]
    with pytest.raises(D3SError, match="no use for a negative prompt"):
        engine(models["flux"], "model").generate(wanted)


def test_a_model_of_another_kind_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "AudioLDMPipeline"}')
    write_json(tmp_path / PINS, pin_model(tmp_path))
    with pytest.raises(D3SError, match="can't be loaded for image2image"):
        engine(tmp_path, "DDIMScheduler")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_long_definition_leaves_class_and_phrase_inside_every_limit(models: dict[str, Path], family: str) -> None:
    count, limit = load_token_counter(models[family])
    template = "a photo of a {class}, {definition}, {background}"
    prompt = write_prompt(template, "round ball", "a thing " * 100, "on grass", count, limit)
    assert prompt.trimmed
    assert prompt.text.startswith("a photo of a round ball, a thing")
    assert prompt.text.endswith(", on grass")
    assert prompt.tokens <= limit
    assert count(prompt.text.replace(", on grass", " a thing a thing, on grass")) > limit
