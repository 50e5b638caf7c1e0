"""The generator engine: any diffusers image-to-image model, seeded per image, in batches of a fixed size."""

from collections.abc import Sequence
from pathlib import Path

import diffusers
import torch
import transformers
from PIL import Image

from d3s.devices import choose_device
from d3s.errors import D3SError
from d3s.models import check_model
from d3s.sampling import Request, Sampling


class Generator:
    """A pipeline that makes each image from its own seed, alone or in any batch.

    Args:
        model: folder in diffusers layout, pinned (see ``d3s.models``).
        sampling: the sampler and its numbers.
        size: side of the images in pixels.
        dtype: one of ``DTYPES``.
        batch_size: images per call; smaller batches are padded to it, since results can depend on it in the last bits.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        D3SError: the model is not what it was pinned as, or has no such scheduler.
    """

    def __init__(
        self, model: str | Path, sampling: Sampling, size: int, dtype: str, batch_size: int, device: str = "auto"
    ) -> None:
        check_model(model)
        self.sampling, self.size, self.batch_size = sampling, size, batch_size
        self.device = choose_device(device)
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()
        diffusers.utils.logging.set_verbosity_error()
        pipeline = diffusers.AutoPipelineForImage2Image.from_pretrained(
            str(model), dtype=getattr(torch, dtype), use_safetensors=True, local_files_only=True
        )
        scheduler = getattr(diffusers, sampling.scheduler, None)
        if not (isinstance(scheduler, type) and issubclass(scheduler, diffusers.SchedulerMixin)):
            raise D3SError(f"diffusers has no scheduler {sampling.scheduler!r}", "the paper's is DDIMScheduler")
        pipeline.scheduler = scheduler.from_config(  # type: ignore[attr-defined]  # the mixin's own
            pipeline.scheduler.config
        )
        pipeline.set_progress_bar_config(disable=True)
        self.pipeline = pipeline.to(self.device)

    def first_timestep(self) -> tuple[int, int]:
        """The noise level at which denoising starts (of the schedule's 1000) and the number of denoiser calls."""
        self.pipeline.scheduler.set_timesteps(self.sampling.steps)
        calls = min(int(self.sampling.steps * self.sampling.strength), self.sampling.steps)
        steps = self.pipeline.scheduler.timesteps[self.sampling.steps - calls :]
        return int(steps[0]), len(steps)

    def generate(self, requests: Sequence[Request]) -> list[Image.Image]:
        """Make at most ``batch_size`` images.

        Returns:
            One ``RGB`` picture of ``size`` x ``size`` per request, in their order.
        """
        padded = [*requests, *[requests[-1]] * (self.batch_size - len(requests))]
        # Noise is drawn on the CPU on every device, so that a seed means the same noise everywhere.
        noise = [torch.Generator("cpu").manual_seed(request.seed) for request in padded]
        with torch.inference_mode():
            made = self.pipeline(
                prompt=[request.prompt for request in padded],
                negative_prompt=[request.negative_prompt for request in padded],
                image=[request.guide.resize((self.size, self.size), Image.Resampling.LANCZOS) for request in padded],
                strength=self.sampling.strength,
                num_inference_steps=self.sampling.steps,
                guidance_scale=self.sampling.guidance,
                generator=noise,
                output_type="pil",
            ).images
        return [picture.convert("RGB") for picture in made[: len(requests)]]
