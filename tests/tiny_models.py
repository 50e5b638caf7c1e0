"""Random models of a few thousand weights in diffusers layout, one for each family, through its own classes."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerAncestralDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from d3s.generator_training import build_scheduler, build_tokenizer
from d3s.models import PINS, pin_model
from d3s.shards import write_json
from tiny import make_tiny_generator

TEXTS = ["a photo of a round ball, on grass", "a square box, on sand"]


def _clip(folder: Path, kind: Any, width: int) -> tuple[Any, Any]:
    tokenizer = build_tokenizer(TEXTS, folder, 32)
    marks = {name: getattr(tokenizer, name) for name in ("eos_token_id", "bos_token_id", "pad_token_id")}
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        projection_dim=width,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        **marks,
    )
    return tokenizer, kind(config)


def _t5(width: int) -> tuple[Any, Any]:
    letters = "abcdefghijklmnopqrstuvwxyz,.-"
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0), *((letter, -3.0) for letter in letters)]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0)
    config = T5Config(vocab_size=len(tokenizer), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    return tokenizer, T5EncoderModel(config)


def make_tokenizer(kind: str, folder: Path, limit: int) -> None:
    """Save a CLIP tokenizer with that limit, or one of T5, which has none."""
    tokenizer = build_tokenizer(TEXTS, folder, limit) if kind == "clip" else _t5(8)[0]
    tokenizer.save_pretrained(folder)


def _vae(latent_channels: int = 4, **other: Any) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=latent_channels,
        norm_num_groups=4,
        sample_size=32,
        **other,
    )


def make_sdxl(folder: Path) -> None:
    """Two CLIP encoders, sizes as a condition."""
    tokenizer, text_encoder = _clip(folder / "v1", CLIPTextModel, 16)
    tokenizer_2, text_encoder_2 = _clip(folder / "v2", CLIPTextModelWithProjection, 16)
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 1),
        projection_class_embeddings_input_dim=6 * 8 + 16,
        cross_attention_dim=32,
        norm_num_groups=4,
    )
    StableDiffusionXLPipeline(
        vae=_vae(),
        text_encoder=text_encoder,
        text_encoder_2=text_encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        unet=unet,
        scheduler=build_scheduler(),
    ).save_pretrained(folder)


def make_sd3(folder: Path) -> None:
    """Two CLIP encoders and T5; flow matching."""
    tokenizer, text_encoder = _clip(folder / "v1", CLIPTextModelWithProjection, 16)
    tokenizer_2, text_encoder_2 = _clip(folder / "v2", CLIPTextModelWithProjection, 16)
    tokenizer_3, text_encoder_3 = _t5(32)
    transformer = SD3Transformer2DModel(
        sample_size=16,
        patch_size=1,
        in_channels=16,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        out_channels=16,
    )
    StableDiffusion3Pipeline(
        vae=_vae(16, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5),
        text_encoder=text_encoder,
        text_encoder_2=text_encoder_2,
        text_encoder_3=text_encoder_3,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        tokenizer_3=tokenizer_3,
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(),
    ).save_pretrained(folder)


def make_flux(folder: Path) -> None:
    """A CLIP encoder and T5; flow matching, guidance distilled into the model."""
    tokenizer, text_encoder = _clip(folder / "v1", CLIPTextModel, 16)
    tokenizer_2, text_encoder_2 = _t5(32)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=16,
        axes_dims_rope=(4, 4, 8),
    )
    FluxPipeline(
        vae=_vae(use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5),
        text_encoder=text_encoder,
        text_encoder_2=text_encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        transformer=transformer,
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    ).save_pretrained(folder)


def make_turbo(folder: Path) -> Path:
    """A pinned Stable Diffusion model whose own scheduler is that of the Turbo models, distilled to a few steps."""
    make_tiny_generator(folder)
    scheduler = EulerAncestralDiscreteScheduler.from_config(build_scheduler().config, timestep_spacing="trailing")
    scheduler.save_pretrained(folder / "scheduler")
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", type(scheduler).__name__]
    write_json(folder / "model_index.json", index)
    write_json(folder / PINS, pin_model(folder))
    return folder


def add_safety_checker(folder: Path, flags: bool) -> None:
    """Give a model a random safety checker that flags every picture, or none, and pin it anew."""
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision.to_dict(), projection_dim=8))
    threshold = -2.0 if flags else 2.0  # of a cosine
    checker.concept_embeds_weights.data.fill_(threshold)
    checker.special_care_embeds_weights.data.fill_(threshold)
    checker.save_pretrained(folder / "safety_checker")
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(
        folder / "feature_extractor"
    )
    index = json.loads((folder / "model_index.json").read_text())
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    index["feature_extractor"] = ["transformers", "CLIPImageProcessor"]
    write_json(folder / "model_index.json", index | {"requires_safety_checker": True})
    write_json(folder / PINS, pin_model(folder))


FAMILIES = {"sd": make_tiny_generator, "sdxl": make_sdxl, "sd3": make_sd3, "flux": make_flux}


def make_model(family: str, folder: Path) -> Path:
    """A pinned model of a family."""
    torch.manual_seed(0)
    FAMILIES[family](folder)
    write_json(folder / PINS, pin_model(folder))
    return folder
