"""The generator engine: diffusers pipelines of any family, seeded per image, in batches of a fixed size."""

import inspect
import logging
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from PIL import Image, ImageOps

from d3s.batch_sizes import ON_CPU, KeptBatchSize, no_room, settle_batch_size
from d3s.devices import OutOfMemory, choose_device, within_memory
from d3s.errors import D3SError
from d3s.kept_digests import kept_digests
from d3s.models import check_model, model_digest, model_index, weights_variant
from d3s.prompts import prompt_limit
from d3s.sampling import AUTO, NONE, OWN_SCHEDULER, Request, Sampling

log = logging.getLogger("d3s")

PIPELINES = {
    "image2image": diffusers.AutoPipelineForImage2Image,
    "inpainting": diffusers.AutoPipelineForInpainting,
    "text2image": diffusers.AutoPipelineForText2Image,
}
"""What loads a model, by mode; the family (Stable Diffusion 1, 2, XL, 3, FLUX) follows from the model's own index."""

SLICED_ABOVE = 2**20
"""Pixels of a batch over which the autoencoder takes its images one by one: it is quick, and would need more memory
than all else. Four images of 512 pixels."""
TRIAL_CALLS = 4
"""Calls of the denoiser that a trial of a batch size takes; memory does not depend on their number."""


class Generator:
    """A pipeline that makes each image from its own seed, alone or in any batch.

    Args:
        model: folder in diffusers layout, pinned (see ``d3s.models``).
        sampling: the mode, the sampler and its numbers.
        size: side of the images in pixels.
        dtype: one of ``DTYPES``.
        batch_size: images per call, or ``auto`` for what was found by trial on such a device; smaller batches are
            padded to it, since results can depend on it in the last bits.
        device: ``auto``, ``cpu`` or ``cuda``.
        backend: what compiles the denoiser, a name that ``torch.compile`` knows, or ``none``.
        offload: one of ``OFFLOADS``.
        store: folder where verified digests of the model and batch sizes are kept; without one, none are.

    Attributes:
        batch_size: as it is now; it is halved whenever memory runs out.

    Raises:
        D3SError: the model is not what it was pinned as, can't be loaded in this mode, or has no such scheduler; there
            is no such backend, or nothing to offload from.
    """

    def __init__(
        self,
        model: str | Path,
        sampling: Sampling,
        size: int,
        dtype: str,
        batch_size: int | str,
        device: str = "auto",
        *,
        backend: str = NONE,
        offload: str = NONE,
        store: Path | None = None,
    ) -> None:
        with kept_digests(store, model) as sha256:
            check_model(model, sha256)
        self.sampling, self.size = sampling, size
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
                **_unguarded(model),
            )
        except ValueError as error:
            raise D3SError(
                f"{model} can't be loaded for {sampling.mode} ({str(error)[:300]})",
                "diffusers names the families that can; generator: mode: chooses another way",
            ) from None
        _set_scheduler(pipeline, sampling)
        pipeline.set_progress_bar_config(disable=True)
        _compile(pipeline, backend)
        try:
            within_memory(_place, pipeline, self.device, offload)
        except OutOfMemory as error:
            raise no_room(str(error)) from None
        self.pipeline = pipeline
        self._takes = frozenset(inspect.signature(pipeline.__call__).parameters)
        self._limit = prompt_limit(model)
        self._kept: KeptBatchSize | None = None
        if batch_size == AUTO:
            self._kept = KeptBatchSize(store, self._work(model, dtype, backend, offload))
            on_cpu = self.device.type == "cpu"
            self.batch_size = self._kept.read() or ON_CPU if on_cpu else settle_batch_size(self._kept, self.seconds)
        else:
            self.batch_size = int(batch_size)

    def _work(self, model: str | Path, dtype: str, backend: str, offload: str) -> dict[str, object]:
        """What the largest batch that fits, and the fastest one, depend on."""
        about = torch.cuda.get_device_properties(self.device) if self.device.type == "cuda" else None
        return {
            "device": about.name if about else self.device.type,
            "memory": about.total_memory if about else 0,
            "model": model_digest(model),
            "mode": self.sampling.mode,
            "guided": self.sampling.guidance > 1,  # which doubles what the denoiser is given
            "size": self.size,
            "dtype": dtype,
            "compile": backend,
            "offload": offload,
        }

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
        """Make images, ``batch_size`` at a time, or fewer from when memory runs out.

        Returns:
            One ``RGB`` picture of ``size`` x ``size`` per request, in their order.

        Raises:
            D3SError: the model has no use for a negative prompt, and one is given; or there is no memory for one image.
        """
        pictures: list[Image.Image] = []
        while len(pictures) < len(requests):
            part = requests[len(pictures) : len(pictures) + self.batch_size]
            padded = [*part, *[part[-1]] * (self.batch_size - len(part))]
            try:
                made = within_memory(self._call, padded, self.sampling.steps)
            except OutOfMemory as error:
                self._halve(str(error))
                continue
            pictures += [picture.convert("RGB") for picture in made[: len(part)]]
        if self.sampling.mode != "inpainting":
            return pictures
        # Models paint over the edge of what they should keep, and their autoencoder changes all of it.
        return [
            Image.composite(self._square(request.guide), picture, self._square(_mask_of(request)))
            for request, picture in zip(requests, pictures, strict=True)
        ]

    def seconds(self, batch_size: int) -> float:
        """How long a batch takes on a short schedule, once all is loaded and compiled."""
        share = 1.0 if self.sampling.mode == "text2image" else self.sampling.strength
        steps = min(self.sampling.steps, math.ceil(TRIAL_CALLS / share))
        guide = Image.new("RGB", (self.size, self.size), (128, 128, 128))
        mask = Image.new("L", guide.size, 0)
        requests = [Request(guide, "a trial", "", seed, mask) for seed in range(batch_size)]
        self._call(requests, steps)
        start = time.perf_counter()
        self._call(requests, steps)
        return time.perf_counter() - start

    def _halve(self, told: str) -> None:
        """Go on with smaller batches.

        Raises:
            D3SError: there are none smaller.
        """
        if self.batch_size == 1:
            raise no_room(told)
        log.info("memory ran out in a batch of %d (%s)", self.batch_size, told.splitlines()[0][:200] if told else "")
        self.batch_size //= 2
        log.info("the batch is done again, and all that follow, in batches of %d", self.batch_size)
        if self._kept is not None:
            self._kept.write(self.batch_size)

    def _call(self, requests: Sequence[Request], steps: int) -> list[Image.Image]:
        """One call of the pipeline."""
        vae = getattr(self.pipeline, "vae", None)
        if vae is not None and hasattr(vae, "use_slicing"):
            vae.use_slicing = len(requests) * self.size**2 > SLICED_ABOVE
        try:
            with torch.inference_mode():
                pictures: list[Image.Image] = self.pipeline(**self._arguments(requests, steps)).images
        except torch._dynamo.exc.BackendCompilerFailed as error:
            raise D3SError(
                f"the denoiser can't be compiled ({str(error.inner_exception)[:300]})",
                "set generator: compile: none, or install what its backend needs (inductor: a C++ compiler, or Triton)",
            ) from None
        finally:
            self.pipeline.maybe_free_model_hooks()  # a call that failed leaves offloaded networks on the GPU
        return pictures

    def _square(self, picture: Image.Image) -> Image.Image:
        return picture.resize((self.size, self.size), Image.Resampling.LANCZOS)

    def _arguments(self, requests: Sequence[Request], steps: int) -> dict[str, Any]:
        """What the pipeline is called with; families differ in what they take."""
        given: dict[str, Any] = {
            "prompt": [request.prompt for request in requests],
            "num_inference_steps": steps,
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


def _unguarded(model: str | Path) -> dict[str, Any]:
    """What keeps a pipeline from painting pictures black; ``d3s.safety`` records what the checker says of them."""
    index = model_index(model)
    known = {"safety_checker": None, "requires_safety_checker": False}
    return {name: value for name, value in known.items() if name in index}


def _compile(pipeline: Any, backend: str) -> None:
    """Have the denoiser compiled at its first call.

    Raises:
        D3SError: torch knows no such backend, or the family has its denoiser in several networks.
    """
    if backend == NONE:
        return
    known = torch.compiler.list_backends(())
    if backend not in known:
        raise D3SError(
            f"torch can't compile with {backend!r}", f"generator: compile: is none or one of: {', '.join(known)}"
        )
    denoiser = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    if denoiser is None:
        raise D3SError(f"{type(pipeline).__name__} has no single denoiser to compile", "set generator: compile: none")
    denoiser.compile(backend=backend)


def _place(pipeline: Any, device: torch.device, offload: str) -> None:
    """Move a pipeline to its device, or have its parts moved there when they are needed.

    Raises:
        D3SError: the device is the processor, which has nothing to save.
    """
    if offload == NONE:
        pipeline.to(device)
        return
    if device.type == "cpu":
        raise D3SError(
            f"generator: offload: {offload} saves a GPU's memory, and there is no GPU", "set generator: offload: none"
        )
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)


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
