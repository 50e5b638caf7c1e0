"""What images cost on GPUs, from published speeds of the models that the paper and its successors use."""

import csv
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from d3s.errors import D3SError

SPEEDS_FILE = Path(__file__).with_name("gpu_speeds.csv")
DENOISERS = {(320, 640, 1280, 1280): "sd", (320, 640, 1280): "sdxl"}
"""Denoisers by the widths of their U-Net's blocks: of Stable Diffusion 1 and 2, and of Stable Diffusion XL."""
SOURCES = {
    "diffusers": (
        "diffusers' benchmark of Stable Diffusion 1.5, image to image, half precision (its guide to PyTorch 2.0, "
        "docs/source/en/optimization/torch2.0.md, columns torch 2.0)"
    ),
    "sdxl": (
        "30 steps of Stable Diffusion XL, batch 1, baseline column of the card of "
        "stabilityai/stable-diffusion-xl-1.0-tensorrt; autoencoder included"
    ),
}


@dataclass(frozen=True)
class Speed:
    """How fast a GPU denoises, with classifier-free guidance.

    Attributes:
        denoiser, size: of which model (``sd`` or ``sdxl``) and side in pixels.
        gpu, batch_size, compiled: where and how.
        steps: of denoising, each of one image, per second.
        source: a key of ``SOURCES``.
    """

    denoiser: str
    size: int
    gpu: str
    batch_size: int
    compiled: bool
    steps: float
    source: str


@cache
def published_speeds() -> tuple[Speed, ...]:
    """All speeds that are known."""
    with open(SPEEDS_FILE, newline="", encoding="utf-8") as file:
        return tuple(
            Speed(
                row["denoiser"],
                int(row["size"]),
                row["gpu"],
                int(row["batch_size"]),
                row["compiled"] == "yes",
                int(row["batch_size"]) * float(row["batches_per_second"]),
                row["source"],
            )
            for row in csv.DictReader(file)
        )


def denoiser_calls(mode: str, steps: int, strength: float) -> int:
    """Steps that are run: ``strength`` of them where there is a guide (paper: 45 of 50)."""
    return steps if mode == "text2image" else min(int(steps * strength), steps)


def gpu_hours(images: int, calls: int, speed: Speed, guidance: float = 5.0) -> float:
    """Hours of one GPU; without guidance a step denoises one picture in place of two."""
    return images * calls / speed.steps / 3600 * (1.0 if guidance > 1 else 0.5)


def known_denoiser(model: str | Path) -> str:
    """Which of the denoisers with known speeds a model has; empty if it has another one, or is not there yet."""
    try:
        config = json.loads((Path(model) / "unet" / "config.json").read_text(encoding="utf-8"))
        return DENOISERS.get(tuple(config["block_out_channels"]), "")
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def fastest_speeds(denoiser: str, size: int) -> list[Speed]:
    """The fastest speed of each GPU for a denoiser and a size, the fastest GPU first."""
    best: dict[str, Speed] = {}
    for speed in published_speeds():
        if (speed.denoiser, speed.size) == (denoiser, size) and speed.steps > getattr(best.get(speed.gpu), "steps", 0):
            best[speed.gpu] = speed
    return sorted(best.values(), key=lambda speed: -speed.steps)


def cost_table(images: int, settings: dict[str, tuple[str, str, int, float, float]]) -> str:
    """GPU-hours for many images by GPU and setting, as a Markdown table.

    Args:
        images: how many.
        settings: by name, the denoiser, the mode, steps, strength and guidance.

    Raises:
        D3SError: no speed of a denoiser is known.
    """
    lines = [
        "| setting | denoiser calls | GPU | batch | compiled | GPU-hours |",
        "| --- | ---: | --- | ---: | --- | ---: |",
    ]
    for name, (denoiser, mode, steps, strength, guidance) in settings.items():
        speeds = [speed for speed in published_speeds() if speed.denoiser == denoiser]
        if not speeds:
            raise D3SError(f"no speed of {denoiser!r} is known", f"add one to {SPEEDS_FILE.name}")
        calls = denoiser_calls(mode, steps, strength)
        for speed in sorted(speeds, key=lambda speed: -speed.steps):
            hours = gpu_hours(images, calls, speed, guidance)
            compiled = "yes" if speed.compiled else "no"
            lines.append(f"| {name} | {calls} | {speed.gpu} | {speed.batch_size} | {compiled} | {hours:,.1f} |")
    return "\n".join(lines)
