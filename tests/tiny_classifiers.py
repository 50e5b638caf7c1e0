"""Networks of a few thousand weights, one for each library, with lists that name them."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
import transformers
import yaml
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from d3s.classifier_library import load_library

CLIP = "tiny-clip"
WORDS = ("a", "the", "photo", "of", "itap", "bad", "large", "small", "game", "art", "in", "ball", ".", "[PAD]", "[UNK]")
Entry = dict[str, Any]


def entry(name: str, library: str, architecture: str, path: Path | str, **more: Any) -> Entry:
    """A judge whose weights are a file."""
    weights = {"file": str(path)}
    named = {"name": name, "family": library, "library": library, "architecture": architecture, "weights": weights}
    return named | {"licence": "MIT"} | more


def save(module: torch.nn.Module, path: Path) -> Path:
    """The state of a module as safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.clone().contiguous() for name, tensor in module.state_dict().items()}, path)
    return path


def plain(library: str, architecture: str, path: Path, outputs: int = 1000, seed: int = 0) -> Path:
    """Random weights of an architecture that needs no files of its own."""
    torch.manual_seed(seed)
    return save(load_library(library).build(architecture, outputs, {}).body, path)


def register_clip(folder: Path) -> None:
    """Make ``CLIP`` known to open_clip in this process: two towers of one layer each."""
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    path = folder / f"{CLIP}.json"
    path.write_text(json.dumps({"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}))
    open_clip.add_model_config(path)


def tiny_clip(folder: Path) -> Path:
    """Its random weights."""
    register_clip(folder)
    return plain("open_clip", CLIP, folder / "clip.safetensors")


def tiny_flava(folder: Path) -> Path:
    """Random weights of a FLAVA of one layer, with its config and a tokenizer of a few words beside them."""
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.FlavaConfig(
        image_config=small | {"image_size": 32, "patch_size": 8, "vocab_size": 32},
        text_config=small | {"vocab_size": len(WORDS), "max_position_embeddings": 24},
        multimodal_config=small,
        projection_dim=8,
        hidden_size=16,
    )
    torch.manual_seed(0)
    path = save(transformers.FlavaModel(config), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    words = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(pad_id=words["[PAD]"], pad_token="[PAD]")
    tokenizer.save(str(folder / "tokenizer.json"))
    return path


def tiny_vit(folder: Path, outputs: int = 1000) -> Path:
    """Random weights of transformers' own image classifier, with its config and its input beside them."""
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8
    )
    config.num_labels = outputs
    torch.manual_seed(0)
    path = save(transformers.ViTForImageClassification(config), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    given = {"do_resize": True, "size": {"height": 32, "width": 32}, "resample": 2, "image_mean": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(given | {"image_std": [0.5] * 3}))
    return path


def write_list(path: Path, *judges: Entry) -> Path:
    """A list with these judges, and a backbone and a screen whose weights nobody has."""
    nowhere = {"file": "data/nowhere.safetensors"}
    usual = {"family": "none", "architecture": "test_efficientnet", "weights": nowhere, "licence": "MIT"}
    rows = [usual | {"name": role, "role": role} for role in ("backbone", "screen")]
    path.write_text(yaml.safe_dump([*rows, *judges]))
    return path
