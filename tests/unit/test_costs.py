"""Costs: the paper's figures come out, and the table that is shown is the one that is computed."""

import json
from pathlib import Path

import pytest

from conftest import ROOT
from d3s.costs import (
    SOURCES,
    cost_table,
    denoiser_calls,
    fastest_speeds,
    gpu_hours,
    known_denoiser,
    published_speeds,
)

PAGE = ROOT / "docs" / "cost.md"
SETTINGS = {
    "DDIM 50 (paper)": ("sd", "image2image", 50, 0.9, 5.0),
    "DPM-Solver++ 20": ("sd", "image2image", 20, 0.9, 5.0),
    "SDXL, DPM-Solver++ 20": ("sdxl", "image2image", 20, 0.9, 5.0),
}


@pytest.mark.parametrize(
    ("mode", "steps", "strength", "calls"),
    [("image2image", 50, 0.9, 45), ("inpainting", 20, 1.0, 20), ("text2image", 20, 0.5, 20)],
)
def test_a_guide_saves_steps(mode: str, steps: int, strength: float, calls: int) -> None:
    assert denoiser_calls(mode, steps, strength) == calls


def test_an_image_of_the_paper_takes_an_a100_a_second() -> None:
    speed = next(s for s in published_speeds() if (s.gpu, s.batch_size, s.compiled) == ("A100", 1, True))
    assert 3600 * gpu_hours(1, 45, speed) == pytest.approx(45 / 43.92)
    assert gpu_hours(1, 45, speed, guidance=1.0) == gpu_hours(1, 45, speed) / 2


def test_of_each_gpu_the_fastest_way_is_told() -> None:
    speeds = fastest_speeds("sd", 512)
    assert [speed.gpu for speed in speeds][:2] == ["RTX 4090", "A100"]
    assert len({speed.gpu for speed in speeds}) == len(speeds)
    assert fastest_speeds("sd", 768) == []


def test_every_speed_names_a_source_that_is_told() -> None:
    assert {speed.source for speed in published_speeds()} == set(SOURCES)


@pytest.mark.parametrize(
    ("widths", "denoiser"), [([320, 640, 1280, 1280], "sd"), ([320, 640, 1280], "sdxl"), ([64, 96], "")]
)
def test_a_model_is_known_by_its_denoiser(tmp_path: Path, widths: list[int], denoiser: str) -> None:
    assert known_denoiser(tmp_path) == ""
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet/config.json").write_text(json.dumps({"block_out_channels": widths}))
    assert known_denoiser(tmp_path) == denoiser


def test_the_page_shows_the_table_that_is_computed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert cost_table(120_000, SETTINGS) in page
    for source in SOURCES.values():
        assert source in page
