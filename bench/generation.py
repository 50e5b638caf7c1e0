"""Benchmark of generation: the workflow's way to call a model, beside the model itself and beside a plain loop."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

from measuring import ROOT, Figure, figure, paired


def generation(folder: Path) -> Iterator[Figure]:
    """What the generator costs beside the bare calls of its networks, and beside a loop of one image at a time.

    The demo's generator with the demo's settings, on one thread.
    """
    import torch

    from d3s.config import read_config
    from d3s.generator import Generator
    from d3s.imageio import encode_png
    from d3s.sampling import Request, Sampling
    from d3s.store import ImageStore
    from tiny import draw_ground

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    given = read_config(ROOT / "config/config.yaml")["generator"]
    options = tuple(sorted(given["scheduler_options"].items()))
    sampling = Sampling(given["scheduler"], given["steps"], given["strength"], given["guidance"], options)
    generator = Generator(ROOT / given["model"], sampling, 128, "float32", 8, "cpu")
    requests = [Request(draw_ground((60, 150, 60), n).resize((128, 128)), "a bird, on grass", "", n) for n in range(8)]
    numbers = count()

    def ours() -> None:
        generator.generate(requests)

    def kept() -> None:  # as a job does it: made and kept, batch by batch
        store, batch = ImageStore(folder / "store"), next(numbers)
        pictures = generator.generate(requests)
        store.put((f"{batch:016x}{n:016x}", encode_png(picture)) for n, picture in enumerate(pictures))

    def plain() -> None:  # what one writes first
        for n, request in enumerate(requests):
            made = generator.pipeline(
                prompt=request.prompt,
                image=request.guide,
                num_inference_steps=sampling.steps,
                strength=sampling.strength,
                guidance_scale=sampling.guidance,
                generator=torch.Generator().manual_seed(request.seed),
            )
            made.images[0].save(folder / f"{n}.png")

    try:
        calls = recorded_calls(generator.pipeline, ours)

        def bare() -> None:
            with torch.inference_mode():
                for call in calls:
                    call()

        seconds, floor = paired(ours, bare)
        looped, batched = paired(plain, kept, rounds=3)
    finally:
        torch.set_num_threads(threads)
    yield figure("generation of a batch of 8 demo images", seconds, "s")
    yield figure("network calls of that batch", len(calls), "calls")
    yield figure("generation", seconds / floor, "x", 1.15, floor="the bare calls of its networks, on the same tensors")
    yield figure("images generated and kept per second and core", len(requests) / batched, "images/s")
    yield figure("a plain loop", looped / batched, "x", None, floor="the same images made in a batch of 8 and kept")


def recorded_calls(pipeline: Any, run: Callable[[], None]) -> list[Callable[[], object]]:
    """The calls that a pipeline makes to its networks in one run, in order, each ready to be made again.

    What is counted are calls from outside: of the text encoder and the denoiser, and ``encode`` and ``decode`` of the
    autoencoder.
    """
    calls: list[Callable[[], object]] = []
    vae = pipeline.vae
    places = ((pipeline.text_encoder, "forward"), (vae, "encode"), (pipeline.unet, "forward"), (vae, "decode"))

    def recorder(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **options: object) -> object:
            calls.append(lambda: original(*args, **options))
            return original(*args, **options)

        return call

    try:
        for network, name in places:
            setattr(network, name, recorder(getattr(network, name)))
        run()
    finally:
        for network, name in places:
            network.__dict__.pop(name, None)  # what the class has is seen again
    return calls
