"""The floor of generation: the calls that a pipeline makes to its networks, ready to be made again."""

from pathlib import Path

import torch
from PIL import Image

from d3s.generator import Generator
from d3s.sampling import Request, Sampling
from generation import recorded_calls
from tiny import draw_ground, make_tiny_generator


def test_the_floor_is_every_call_of_the_networks_and_leaves_them_as_they_were(tmp_path: Path) -> None:
    make_tiny_generator(tmp_path / "model")
    generator = Generator(tmp_path / "model", Sampling("DDIMScheduler", 6, 0.5, 2.0), 32, "float32", 3, "cpu")
    requests = [Request(draw_ground((60, 150, 60), n).resize((32, 32)), "a ball", "", n) for n in range(3)]
    alone = generator.generate(requests)
    made: list[Image.Image] = []
    calls = recorded_calls(generator.pipeline, lambda: made.extend(generator.generate(requests)))
    # The prompt and the negative one, each guide by itself, three steps, all images together.
    assert len(calls) == 2 + 3 + 3 + 1
    assert [picture.tobytes() for picture in made] == [picture.tobytes() for picture in alone]
    assert "forward" not in vars(generator.pipeline.unet)
    assert "decode" not in vars(generator.pipeline.vae)
    with torch.inference_mode():
        first, again = (calls[-1]()[0] for _ in range(2))  # type: ignore[index]
    assert first.shape == (3, 3, 32, 32)
    assert torch.equal(first, again)
