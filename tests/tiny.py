"""A tiny project: two classes, two backgrounds, drawn pictures, and a random generator made from configs.

It goes through the same files, classes and rules as the demo; only the sizes differ.
"""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageDraw

CLASSES = {0: ("ball", "round ball"), 1: ("box", "square box")}
BACKGROUNDS = {"grass": (60, 150, 60), "sand": (210, 180, 120)}
ROOT = Path(__file__).resolve().parents[1]


def make_tiny_project(folder: Path, named: Path | None = None) -> Path:
    """Write assets, tables, a generator and ``config.yaml`` into a folder; give the config's path.

    Args:
        folder: made.
        named: how config and tables name the folder; a relative name lets a run be copied with its project.
    """
    named = named or folder
    (folder / "assets").mkdir(parents=True)
    write_csv(
        folder / "classes.csv",
        [
            {
                "class_id": 0,
                "name": "ball",
                "label": "ball",
                "definition": "a round thing",
                "imagenet_indices": "430 522",
            },
            {
                "class_id": 1,
                "name": "box",
                "label": "box",
                "definition": "a thing with corners",
                "imagenet_indices": "478",
            },
        ],
    )
    exemplars = []
    for class_id, (name, _) in CLASSES.items():
        for number in range(4):
            exemplar = f"{name}{number}"
            picture, mask = draw_object(class_id, number), ""
            if exemplar == "ball3":  # one exemplar is a picture with a mask beside it
                mask = f"{exemplar}-mask.png"
                picture.getchannel("A").save(folder / "assets" / mask)
                picture = picture.convert("RGB")
            picture.save(folder / "assets" / f"{exemplar}.png")
            exemplars.append(
                {
                    "exemplar": exemplar,
                    "class_id": class_id,
                    "split_group": exemplar,
                    "split": "train" if number < 2 else "val",
                    "image": named / "assets" / f"{exemplar}.png",
                    "mask": named / "assets" / mask if mask else "",
                }
            )
    write_csv(folder / "exemplars.csv", exemplars)
    write_csv(
        folder / "backgrounds.csv",
        [{"background": name, "phrase": f"on {name}", "revision": 0} for name in BACKGROUNDS],
    )
    templates = []
    for name, colour in BACKGROUNDS.items():
        for number in range(8):
            template = f"{name}{number}"
            draw_ground(colour, number).save(folder / "assets" / f"{template}.jpg")
            templates.append(
                {
                    "template_source": template,
                    "background": name,
                    "kind": "photo",
                    "split": "train" if number < 4 else "val",
                    "file": named / "assets" / f"{template}.jpg",
                }
            )
    write_csv(folder / "templates.csv", templates)
    make_tiny_generator(folder / "generator")
    config = tiny_config(named)
    entries = yaml.safe_load(Path(config["tables"]["classifiers"]).read_text(encoding="utf-8"))
    packaged = [entry for entry in entries if "package" in entry["weights"]]  # the others' files are fetched
    (folder / "classifiers.yaml").write_text(yaml.safe_dump(packaged), encoding="utf-8")
    config["tables"]["classifiers"] = str(named / "classifiers.yaml")
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def tiny_config(folder: Path) -> dict[str, Any]:
    """The tiny project's config; the classifiers are the demo's."""
    tables = {name: str(folder / f"{name}.csv") for name in ("classes", "exemplars", "backgrounds", "templates")}
    return {
        "seed": 1,
        "classes_per_chunk": 2,
        "tables": tables | {"classifiers": str(ROOT / "config" / "classifiers.yaml")},
        "images_per_cell": {"train": 4, "val": 4},
        "foregrounds": {"max_side": 48, "min_side": 8},
        "backgrounds": {"size": 32},
        "guides": {"size": 32, "scale": [0.5, 0.7]},
        "generator": {
            "model": str(folder / "generator"),
            "steps": 4,
            "strength": 0.5,
            "guidance": 2.0,
            "batch_size": 4,
        },
        "screens": {"min_contrast": 0.001, "min_probability": 0.0, "duplicate_distance": 0},
        "classifiers": {"bootstrap": 50},
        "encoders": {
            "seeds": [0, 1],
            "input_size": 32,
            "frozen_stages": 6,
            "steps": 6,
            "warmup_steps": 2,
            "batch_size": 8,
            "device": "cpu",
        },
        "probes": {"permutations": 1, "folds": 2},
        "correlation": {
            **{"rhos": [0, 1], "pairings": 1, "min_images": 1, "methods": ["erm", "dfr"], "draws": 2, "bootstrap": 50},
            "networks": {"steps": 4, "batch_size": 4, "evaluate_every": 2},
        },
    }


def draw_object(class_id: int, number: int) -> Image.Image:
    """A drawn cut-out, 40 px, ``RGBA``."""
    picture = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    draw = ImageDraw.Draw(picture)
    colour = ((200, 40 + 40 * number, 40), (40, 60, 150 + 25 * number))[class_id]
    box = (4, 4 + number, 36, 36 - number)
    if class_id == 0:
        draw.ellipse(box, fill=colour, outline=(255, 255, 255))
    else:
        draw.rectangle(box, fill=colour, outline=(0, 0, 0))
    draw.line((8, 20, 32, 10 + 5 * number), fill=(255, 255, 0), width=2)
    return picture


def draw_ground(colour: tuple[int, int, int], number: int) -> Image.Image:
    """A drawn texture, 48 x 40 px, ``RGB``."""
    noise = np.random.default_rng(number).normal(0, 25, (40, 48, 3))
    return Image.fromarray(np.clip(np.asarray(colour) + noise, 0, 255).astype(np.uint8))


def make_tiny_generator(folder: Path) -> None:
    """A random latent diffusion model of a few thousand weights, in diffusers layout, pinned."""
    import torch
    from diffusers import AutoencoderKL, StableDiffusionImg2ImgPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from d3s.generator_training import build_scheduler, build_tokenizer
    from d3s.models import PINS, pin_model
    from d3s.shards import write_json

    torch.manual_seed(0)
    tokenizer = build_tokenizer(
        ["a photo of a round ball, on grass", "a square box, on sand"], folder / "vocabulary", 32
    )
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=32,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.bos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=32,
    )
    pipeline = StableDiffusionImg2ImgPipeline(
        vae=vae,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    write_json(folder / PINS, pin_model(folder))


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
