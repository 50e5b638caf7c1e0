"""The controls of a generator's model card, with judges whose answers are known."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from d3s.generator import Generator
from d3s.generator_measures import Sample, measure
from d3s.sampling import Request, Sampling
from tiny import draw_ground, make_tiny_generator


def test_measures_are_paired_and_name_what_was_asked_for(tmp_path: Path) -> None:
    make_tiny_generator(tmp_path / "model")
    generator = Generator(tmp_path / "model", Sampling("DDIMScheduler", 4, 0.5, 2.0), 32, "float32", 2, "cpu")
    guide = draw_ground((60, 150, 60), 0).resize((32, 32))
    samples = [
        Sample(Request(guide, "a ball, on grass", "", seed), 0, 0, 1, 1, "a box, on grass", "a ball, on sand")
        for seed in range(2)
    ]
    # One answer for each set of pictures: guides, through the VAE, images, other class, other background.
    answers = [[0.9, 0.1], [0.8, 0.2], [0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]

    def judge() -> object:
        left = iter(answers)

        def probabilities(pictures: list[Image.Image]) -> np.ndarray:
            assert len(pictures) == 2
            return np.array([next(left)] * 2)

        return probabilities

    rows = {row["measure"]: row["value"] for row in measure(generator, samples, judge(), judge())}  # type: ignore[arg-type]
    assert rows["class_top1.guides"] == rows["class_top1.images"] == 1
    assert rows["background_top1.other_background_prompt"] == 0
    assert rows["class_asked_for.own_prompt"] == pytest.approx(0.25)
    assert rows["class_followed"] == pytest.approx(0.5 - 0.25)
    assert rows["background_followed"] == pytest.approx(0.75 - 0.25)
