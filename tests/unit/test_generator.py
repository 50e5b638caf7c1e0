"""The engine on every family of models, through the same classes that load the real ones."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from torch._dynamo import register_backend

from d3s import generator as module
from d3s.batch_sizes import ON_CPU, find_batch_size
from d3s.errors import D3SError
from d3s.generator import Generator
from d3s.imageio import image_digest
from d3s.models import PINS, pin_model
from d3s.prompts import load_token_counter, write_prompt
from d3s.sampling import Request, Sampling
from d3s.shards import write_json
from tiny import draw_ground
from tiny_models import FAMILIES, make_model, make_turbo

SCHEDULERS = {"sd": "DDIMScheduler", "sdxl": "DPMSolverMultistepScheduler", "sd3": "model", "flux": "model"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {family: make_model(family, folder / family) for family in FAMILIES}


def engine(
    model: Path,
    scheduler: str,
    mode: str = "image2image",
    batch_size: int | str = 3,
    options: Mapping[str, str | float | bool] | None = None,
    **other: Any,
) -> Generator:
    sampling = Sampling(scheduler, 4, 0.5, 2.0, tuple(sorted((options or {}).items())), mode)
    return Generator(model, sampling, 32, "float32", batch_size, "cpu", **other)


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
        ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True, "algorithm_type": "dpmsolver++"}),
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


@pytest.mark.parametrize(("scheduler", "options"), [("model", {"timestep_spacing": "trailing"}), ("LCMScheduler", {})])
@pytest.mark.parametrize("guidance", [0.0, 1.0])
def test_distilled_models_take_a_step_or_two_without_guidance(
    tmp_path: Path, scheduler: str, options: dict[str, str], guidance: float
) -> None:
    """As Turbo models want it: of 2 steps, half are run; their noise is each image's own."""
    numbers = Sampling(scheduler, 2, 0.5, guidance, tuple(options.items()))
    made = Generator(make_turbo(tmp_path / "turbo"), numbers, 32, "float32", 2, "cpu")
    assert made.first_timestep()[1] == 1
    together, alone = made.generate(requests(2)), made.generate(requests(2)[1:])
    assert image_digest(together[1]) == image_digest(alone[0]) != image_digest(together[0])
    prompts = []

    def watched(*args: Any, **given: Any) -> Any:
        prompts.append(len(args[0]))
        return forward(*args, **given)

    forward = made.pipeline.unet.forward
    made.pipeline.unet.forward = watched
    made.generate(requests(2))
    assert prompts == [2], "with guidance the denoiser is given each image twice"


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


BETWEEN_BATCH_SIZES = 2
"""Of 255: by how much a pixel may differ between batch sizes, whose sums torch orders differently."""


@pytest.mark.parametrize("family", ["sd", "flux"])
def test_batch_sizes_change_the_last_bits_alone(models: dict[str, Path], family: str) -> None:
    wanted = requests(5)
    made = {size: engine(models[family], SCHEDULERS[family], batch_size=size).generate(wanted) for size in (1, 3)}
    for one, other in zip(made[1], made[3], strict=True):
        difference = np.asarray(one, dtype=int) - np.asarray(other, dtype=int)
        assert np.abs(difference).max() <= BETWEEN_BATCH_SIZES


class Small:
    """A pipeline on a device that has no room for more than so many images."""

    def __init__(self, pipeline: Any, room: int) -> None:
        self.pipeline, self.room = pipeline, room
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pipeline, name)

    def __call__(self, prompt: list[str], **given: Any) -> Any:
        self.sizes.append(len(prompt))
        if len(prompt) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return self.pipeline(prompt=prompt, **given)


def test_a_batch_that_finds_no_memory_is_done_again_in_halves(
    models: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = requests(5)
    made = engine(models["sd"], "DDIMScheduler", batch_size="auto", store=tmp_path)
    assert made.batch_size == ON_CPU == 4
    made.pipeline = small = Small(made.pipeline, 2)
    with caplog.at_level(logging.INFO, "d3s"):
        pictures = made.generate(wanted)
    assert small.sizes == [4, 2, 2, 2]
    assert "memory ran out in a batch of 4 (CUDA out of memory" in caplog.text
    assert "in batches of 2" in caplog.text
    again = engine(models["sd"], "DDIMScheduler", batch_size="auto", store=tmp_path)
    assert again.batch_size == 2, "it was written down"
    assert [*map(image_digest, again.generate(wanted))] == [*map(image_digest, pictures)]
    made.pipeline = Small(small.pipeline, 0)
    with pytest.raises(D3SError, match="not enough memory for a single image"):
        made.generate(wanted)


def test_the_batch_size_is_found_by_calls_of_the_pipeline(models: dict[str, Path]) -> None:
    made = engine(models["sd"], "DDIMScheduler", "inpainting", batch_size=1)
    made.pipeline = small = Small(made.pipeline, 2)
    assert find_batch_size(made.seconds) in {1, 2}
    assert small.sizes[:4] == [1, 1, 2, 2], "the first call of a size, which may load and compile, is not counted"


def test_the_autoencoder_takes_large_batches_one_by_one(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = engine(models["sd"], "DDIMScheduler")
    whole = made.generate(requests(3))
    assert not made.pipeline.vae.use_slicing
    monkeypatch.setattr(module, "SLICED_ABOVE", 1000)
    sliced = made.generate(requests(3))
    assert made.pipeline.vae.use_slicing
    assert max(distance(one, other) for one, other in zip(whole, sliced, strict=True)) < 1


COMPILED: list[object] = []


@register_backend
def counting(graph: torch.fx.GraphModule, example: list[torch.Tensor]) -> Callable[..., Any]:
    """A backend of torch.compile that is as quick as none."""
    COMPILED.append(graph)
    return graph.forward


@register_backend
def failing(graph: torch.fx.GraphModule, example: list[torch.Tensor]) -> Callable[..., Any]:
    """One that lacks something, as inductor does without a compiler."""
    raise RuntimeError("no C++ compiler is installed")


def test_the_denoiser_is_compiled_once_and_makes_the_same_images(models: dict[str, Path]) -> None:
    wanted = requests(3)
    plain = engine(models["flux"], "model", batch_size=2).generate(wanted)
    made = engine(models["flux"], "model", batch_size=2, backend="counting")
    assert not COMPILED, "only when it is needed"
    compiled = made.generate(wanted)
    assert len(COMPILED) == 1
    assert max(distance(one, other) for one, other in zip(plain, compiled, strict=True)) < 1


def test_what_can_not_be_compiled_is_a_clear_error(models: dict[str, Path]) -> None:
    with pytest.raises(D3SError, match=r"can't compile with 'inductr'[\s\S]* inductor"):
        engine(models["flux"], "model", backend="inductr")
    with pytest.raises(D3SError, match=r"can't be compiled .*no C\+\+ compiler[\s\S]*compile: none"):
        engine(models["flux"], "model", backend="failing").generate(requests(1))


@pytest.mark.parametrize(
    ("offload", "call"), [("model", "enable_model_cpu_offload"), ("sequential", "enable_sequential_cpu_offload")]
)
def test_offloading_is_for_gpus(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch, offload: str, call: str
) -> None:
    with pytest.raises(D3SError, match=f"offload: {offload} saves a GPU's memory, and there is no GPU"):
        engine(models["sd"], "DDIMScheduler", offload=offload)
    calls = []
    monkeypatch.setattr(module, "choose_device", lambda name: torch.device("cuda", 1))
    monkeypatch.setattr(diffusers.DiffusionPipeline, call, lambda self, device: calls.append(device))
    monkeypatch.setattr(diffusers.DiffusionPipeline, "to", lambda self, device: calls.append("moved"))
    engine(models["sd"], "DDIMScheduler", offload=offload)
    assert calls == [torch.device("cuda", 1)]
