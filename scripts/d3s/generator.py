"""The generator engine: diffusers pipelines of any family, seeded per image, in batches of a fixed size."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from PIL import Image, ImageOps

from d3s.devices import choose_device
from d3s.errors import D3SError
from d3s.models import check_model, weights_variant
from d3s.prompts import prompt_limit
from d3s.sampling import OWN_SCHEDULER, Request, Sampling

PIPELINES = {
    "image2image": diffusers.AutoPipelineForImage2Image,
    "inpainting": diffusers.AutoPipelineForInpainting,
    "text2image": diffusers.AutoPipelineForText2Image,
}
"""What loads a model, by mode; the family (Stable Diffusion 1, 2, XL, 3, FLUX) follows from the model's own index."""


class Generator:
    """A pipeline that makes each image from its own seed, alone or in any batch.

    Args:
        model: folder in diffusers layout, pinned (see ``d3s.models``).
        sampling: the mode, the sampler and its numbers.
        size: side of the images in pixels.
        dtype: one of ``DTYPES``.
        batch_size: images per call; smaller batches are padded to it, since results can depend on it in the last bits.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        D3SError: the model is not what it was pinned as, can't be loaded in this mode, or has no such scheduler.
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
        try:
            pipeline = PIPELINES[sampling.mode].from_pretrained(
                str(model),
                dtype=getattr(torch, dtype),
                use_safetensors=True,
                local_files_only=True,
                variant=weights_variant(model),
            )
        except ValueError as error:
            raise D3SError(
                f"{model} can't be loaded for {sampling.mode} ({str(error)[:300]})",
                "diffusers names the families that can; generator: mode: chooses another way",
            ) from None
        _set_scheduler(pipeline, sampling)
        pipeline.set_progress_bar_config(disable=True)
        self.pipeline = pipeline.to(self.device)
        self._takes = frozenset(inspect.signature(pipeline.__call__).parameters)
        self._limit = prompt_limit(model)

    def first_timestep(self) -> tuple[int, int]:
        """The noise level at which denoising starts (of the schedule's 1000) and the number of denoiser calls."""
        scheduler, steps = self.pipeline.scheduler, self.sampling.steps
        # Flow-matching schedules bend with the size of the image; their middle is near enough for what is told here.
        bent = {"mu": 0.5} if getattr(scheduler.config, "use_dynamic_shifting", False) else {}
        scheduler.set_timesteps(steps, **bent)
        calls = steps if self.sampling.mode == "text2image" else min(int(steps * self.sampling.strength), steps)
        # Schedulers of higher order name a noise level for each of their own calls.
        order = getattr(scheduler, "order", 1)
        timesteps = scheduler.timesteps[(steps - calls) * order :]
        return int(timesteps[0]), len(timesteps)

    def generate(self, requests: Sequence[Request]) -> list[Image.Image]:
        """Make at most ``batch_size`` images.

        Returns:
            One ``RGB`` picture of ``size`` x ``size`` per request, in their order.

        Raises:
            D3SError: the model has no use for a negative prompt, and one is given.
        """
        padded = [*requests, *[requests[-1]] * (self.batch_size - len(requests))]
        with torch.inference_mode():
            made = self.pipeline(**self._arguments(padded)).images
        pictures = [picture.convert("RGB") for picture in made[: len(requests)]]
        if self.sampling.mode != "inpainting":
            return pictures
        # Models paint over the edge of what they should keep, and their autoencoder changes all of it.
        return [
            Image.composite(self._square(request.guide), picture, self._square(_mask_of(request)))
            for request, picture in zip(requests, pictures, strict=True)
        ]

    def _square(self, picture: Image.Image) -> Image.Image:
        return picture.resize((self.size, self.size), Image.Resampling.LANCZOS)

    def _arguments(self, requests: Sequence[Request]) -> dict[str, Any]:
        """What the pipeline is called with; families differ in what they take."""
        given: dict[str, Any] = {
            "prompt": [request.prompt for request in requests],
            "num_inference_steps": self.sampling.steps,
            "guidance_scale": self.sampling.guidance,
            # Noise is drawn on the CPU on every device, so that a seed means the same noise everywhere.
            "generator": [torch.Generator("cpu").manual_seed(request.seed) for request in requests],
            "output_type": "pil",
        }
        if self.sampling.mode != "text2image":
            given["image"] = [self._square(request.guide) for request in requests]
            given["strength"] = self.sampling.strength
        if self.sampling.mode == "inpainting":  # what pipelines call the mask is what they may paint
            given["mask_image"] = [ImageOps.invert(self._square(_mask_of(request))) for request in requests]
        if {"height", "width"} <= self._takes:
            given |= {"height": self.size, "width": self.size}
        if "max_sequence_length" in self._takes:
            given["max_sequence_length"] = self._limit
        negative = [request.negative_prompt for request in requests]
        if "true_cfg_scale" not in self._takes:
            given["negative_prompt"] = negative
        elif any(negative):  # FLUX has its guidance distilled into the model
            raise D3SError(
                f"{type(self.pipeline).__name__} has no use for a negative prompt",
                "empty prompts: negative: in the config",
            )
        return given


def _mask_of(request: Request) -> Image.Image:
    if request.mask is None:
        raise ValueError("inpainting needs to know which pixels stay")
    return request.mask.convert("L")


def _set_scheduler(pipeline: Any, sampling: Sampling) -> None:
    """Give a pipeline its sampler.

    Raises:
        D3SError: there is no such sampler, or it has no such setting.
    """
    own = pipeline.scheduler
    kind = type(own) if sampling.scheduler == OWN_SCHEDULER else getattr(diffusers, sampling.scheduler, None)
    if not (isinstance(kind, type) and issubclass(kind, diffusers.SchedulerMixin)):
        raise D3SError(
            f"diffusers has no scheduler {sampling.scheduler!r}",
            f"the paper's is DDIMScheduler; {OWN_SCHEDULER} is the model's",
        )
    options = dict(sampling.options)
    unknown = sorted(set(options) - set(inspect.signature(kind).parameters))
    if unknown:
        raise D3SError(f"{kind.__name__} has no setting {unknown[0]!r}", "correct generator: scheduler_options:")
    pipeline.scheduler = kind.from_config(own.config, **options)  # type: ignore[attr-defined]  # the mixin's own
