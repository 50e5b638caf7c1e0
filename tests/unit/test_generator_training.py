"""Training of the demo's generator: resumable with the same result, on the train split's pictures alone."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from d3s.generator_data import CompositeSource, Shown, draw_composite, prompt_of
from d3s.generator_training import (
    Stage,
    TrainingSettings,
    build_text_encoder,
    build_tokenizer,
    build_unet,
    build_vae,
    draw_pool,
    encode_pool,
    from_bytes,
    train_denoiser,
    train_jointly,
    train_vae,
)
from tiny import draw_ground, draw_object


def stage(folder: Path) -> tuple[Stage, torch.nn.Linear]:
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)
    return Stage(folder, "toy", {"model": model}, rate=0.05, steps=12, ema=0.9, seed=1), model


def train(toy: Stage, model: torch.nn.Linear, until: int = 12) -> None:
    def step(rng: np.random.Generator, noise: torch.Generator) -> dict[str, torch.Tensor]:
        if toy.done == until:
            raise KeyboardInterrupt
        x = torch.randn(8, 3, generator=noise)
        return {"loss": (model(x) - x.sum(dim=1, keepdim=True) * float(rng.random())).square().mean()}

    toy.run(step, lambda message: None, every=4)
    toy.use_average()


def test_an_interrupted_stage_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    whole, model = stage(tmp_path / "whole")
    train(whole, model)
    broken, half = stage(tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        train(broken, half, until=7)
    broken.save()
    resumed, again = stage(tmp_path / "broken")
    assert resumed.done == 7
    train(resumed, again)
    assert torch.equal(model.weight, again.weight)


@pytest.fixture(scope="module")
def source() -> CompositeSource:
    return CompositeSource(
        [[draw_object(0, 0)], [draw_object(1, 0)]],
        [[draw_ground((60, 150, 60), 0).resize((40, 40))], [draw_ground((210, 180, 120), 0).resize((40, 40))]],
        ["ball", "box"],
        ["a round thing", "a thing with corners"],
        ["on grass", "on sand"],
    )


def test_a_composite_depends_on_its_random_numbers_alone(source: CompositeSource) -> None:
    first, second = (draw_composite(source, np.random.default_rng(5), 32) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert draw_composite(source, np.random.default_rng(6), 32).image.tobytes() != first.image.tobytes()


def test_prompts_name_what_the_composite_shows(source: CompositeSource) -> None:
    rng = np.random.default_rng(0)
    prompts = {prompt_of(source, Shown(class_number=1, background_number=0), rng) for _ in range(200)}
    label, definition, phrase = "box", "a thing with corners", "on grass"
    assert prompts == {
        "",
        f"a photo, {phrase}",
        f"a photo of a {label}",
        f"a photo of a {label}, {phrase}",
        f"a photo of a {label}, {definition}, {phrase}",
    }


def test_bytes_become_samples_between_minus_one_and_one() -> None:
    pixels = torch.tensor([255, 0, 127], dtype=torch.uint8).reshape(1, 3, 1, 1)
    assert from_bytes(pixels).flatten().tolist() == pytest.approx([1.0, -1.0, -0.0039], abs=1e-3)


def test_the_parts_fit_together_and_the_weights_stay_small(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(["a photo of a ball, on grass"], tmp_path)
    parts = [build_vae(), build_unet(), build_text_encoder(len(tokenizer), tokenizer.eos_token_id)]
    assert 2 * sum(p.numel() for part in parts for p in part.parameters()) < 32_000_000  # bytes, in half precision
    vae, unet, text_encoder = parts
    latents = vae.encode(torch.zeros(1, 3, 128, 128)).latent_dist.mean
    assert latents.shape == (1, unet.config.in_channels, 32, 32)
    words = tokenizer(["a ball"], padding="max_length", max_length=32, return_tensors="pt").input_ids
    made = unet(latents, torch.tensor([500]), text_encoder(words)[0]).sample
    assert made.shape == latents.shape


def test_the_tokenizer_knows_its_words_and_spells_others(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(["a photo of a ball, on grass"], tmp_path)
    assert tokenizer.tokenize("a ball, on grass") == ["a</w>", "ball</w>", ",</w>", "on</w>", "grass</w>"]
    spelt = tokenizer("zebra ßé").input_ids
    assert tokenizer.unk_token_id not in spelt[1:-1]


def test_a_vocabulary_is_learnt_once(tmp_path: Path) -> None:
    first = build_tokenizer(["a ball on grass"], tmp_path)
    assert build_tokenizer(["quite other words"], tmp_path).get_vocab() == first.get_vocab()
    assert build_tokenizer(["quite other words"], tmp_path / "other").get_vocab() != first.get_vocab()


class PlainDistance(torch.nn.Module):
    """Stands in for the perceptual distances, whose weights are fetched."""

    def forward(self, made: torch.Tensor, target: torch.Tensor, enlarge: float = 1.0) -> torch.Tensor:
        return torch.stack([(made - target).square().mean()] * 4)


SHORT = TrainingSettings(
    size=32,
    crop=16,
    pool=6,
    vae_steps=2,
    vae_batch=2,
    fine_steps=2,
    decoder_steps=2,
    unet_steps=2,
    unet_batch=2,
    joint_steps=3,
    joint_batch=3,
    joint_seen=2,
    joint_crop=16,
)


def quiet(message: str) -> None:
    pass


@pytest.fixture(scope="module")
def pool(source: CompositeSource, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, torch.Tensor, list[Shown]]:
    folder = tmp_path_factory.mktemp("states")
    return folder, *draw_pool(source, SHORT, folder, quiet)


def test_the_pool_is_drawn_once(source: CompositeSource, pool: tuple[Path, torch.Tensor, list[Shown]]) -> None:
    folder, pictures, shown = pool
    assert (pictures.shape, pictures.dtype, len(shown)) == ((6, 3, 32, 32), torch.uint8, 6)
    again, shown_again = draw_pool(source, SHORT, folder, quiet)
    assert torch.equal(pictures, again)
    assert shown == shown_again


def test_latents_come_out_normalised_and_training_goes_on_from_a_finished_model(
    source: CompositeSource, pool: tuple[Path, torch.Tensor, list[Shown]]
) -> None:
    folder, pictures, shown = pool
    vae = train_vae(pictures, SHORT, PlainDistance(), folder, quiet)
    with torch.no_grad():
        posterior = vae.encode(from_bytes(pictures)).latent_dist
    assert posterior.mean.mean(dim=(0, 2, 3)).abs().max() < 1e-3
    assert posterior.mean.std(dim=(0, 2, 3)) == pytest.approx(torch.ones(16), abs=1e-3)
    assert torch.allclose(posterior.sample(), posterior.mean, atol=1e-4)  # the encoder hardly draws anything

    encoded = partial(encode_pool, pictures, vae, quiet)
    unet, text_encoder, tokenizer = train_denoiser(source, encoded, shown, SHORT, folder, quiet)
    for part, name in ((vae, "vae"), (unet, "unet"), (text_encoder, "text_encoder"), (tokenizer, "tokenizer")):
        part.save_pretrained(folder / "model" / name)
    as_it_is = replace(SHORT, vae_steps=0, fine_steps=0, decoder_steps=0, unet_steps=0)
    start, further = folder / "model", folder / "further"
    same = train_vae(pictures, as_it_is, PlainDistance(), further, quiet, start)
    assert torch.equal(same.quant_conv.weight, vae.quant_conv.weight)
    assert torch.equal(same.post_quant_conv.weight, vae.post_quant_conv.weight)
    unet_again, text_again, _ = train_denoiser(source, encoded, shown, as_it_is, further, quiet, start)
    assert torch.equal(unet_again.conv_in.weight, unet.conv_in.weight)
    assert torch.equal(text_again.get_input_embeddings().weight, text_encoder.get_input_embeddings().weight)


def test_joint_training_moves_all_but_the_encoder_and_is_done_once(
    source: CompositeSource, pool: tuple[Path, torch.Tensor, list[Shown]], tmp_path: Path
) -> None:
    _, pictures, shown = pool

    def train(folder: Path, settings: TrainingSettings = SHORT) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        tokenizer = build_tokenizer(["a photo of a ball"], folder / "tokenizer")
        vae, unet, text = build_vae(), build_unet(), build_text_encoder(len(tokenizer), tokenizer.eos_token_id)
        encoded = partial(encode_pool, pictures, vae, quiet)
        distance = PlainDistance()
        train_jointly(source, pictures, encoded, shown, settings, vae, unet, text, tokenizer, distance, folder, quiet)
        return {
            "encoder": vae.get_parameter("encoder.conv_in.weight"),
            "decoder": vae.get_parameter("decoder.conv_out.weight"),
            "denoiser": unet.get_parameter("conv_out.weight"),
        }

    before, once = train(tmp_path / "none", replace(SHORT, joint_steps=0)), train(tmp_path / "once")
    moved = {name for name in once if not torch.equal(before[name], once[name])}
    assert moved == {"decoder", "denoiser"}
    again = train(tmp_path / "once")  # its state is finished: nothing is trained
    assert all(torch.equal(again[name], once[name]) for name in once)
