"""The settings that are compared: samplers and their steps, strengths, sizes of the foreground."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from d3s.generator import Generator
from d3s.sampling import Sampling

REFERENCE = "ddim-50"
"""The paper's sampler and steps, at ``STRENGTH`` and the guidance and foreground size of the config."""
STRENGTH = 0.55
"""Of the samplers that are compared: a little more than half of the noise, where the demo's images begin."""


@dataclass(frozen=True)
class Setting:
    """One way to make the same images.

    Attributes:
        group: what is varied: ``sampler``, ``strength`` or ``scale``.
        name: unique.
        sampling: how; see ``d3s.sampling.Sampling``.
        scale: range of the foreground's longer side, as a fraction of the guide's.
        start: noise level (of the schedule's 1000) at which denoising begins.
        calls: of the denoiser for one image, each of which is two with guidance (with the prompt and without).
    """

    group: str
    name: str
    sampling: Sampling
    scale: tuple[float, float]
    start: int
    calls: int


_DPM, _KARRAS = "DPMSolverMultistepScheduler", (("use_karras_sigmas", True),)
SAMPLERS: tuple[tuple[str, str, int, tuple[tuple[str, str | int | float | bool], ...]], ...] = (
    (REFERENCE, "DDIMScheduler", 50, ()),
    ("ddim-20", "DDIMScheduler", 20, ()),
    ("ddim-10", "DDIMScheduler", 10, ()),
    ("dpm++2m-20", _DPM, 20, ()),
    ("dpm++2m-10", _DPM, 10, ()),
    ("dpm++2m-6", _DPM, 6, ()),
    ("dpm++2m-karras-20", _DPM, 20, _KARRAS),
    ("dpm++2m-karras-10", _DPM, 10, _KARRAS),
    ("dpm++2m-karras-6", _DPM, 6, _KARRAS),
    ("unipc-10", "UniPCMultistepScheduler", 10, ()),
    ("unipc-6", "UniPCMultistepScheduler", 6, ()),
    ("euler-ancestral-20", "EulerAncestralDiscreteScheduler", 20, ()),
    ("lcm-4", "LCMScheduler", 4, ()),
)
"""Name, class in diffusers, steps of the full schedule, further settings."""
STRENGTHS = (("ddim-20", 0.35), ("ddim-20", 0.75), ("ddim-20", 0.9), ("ddim-50", 0.9))
SCALED, SCALES = "ddim-20", (0.4, 0.6)
"""Other strengths and foreground sizes; 50 steps at 0.9 are the paper's, and so is a size of 0.4."""


def lay_out_grid(config: Mapping[str, Any]) -> list[Setting]:
    """All settings, the reference first; the config gives guidance and foreground size where they don't vary.

    Samplers start where the reference does, or as near as their steps allow: an equal strength means another noise
    level with other steps, for it is cut down to whole steps, and a start that is 4 % lower shows in the images.
    """
    given = config["generator"]
    scale = tuple(config["guides"]["scale"])
    plain = {
        name: Sampling(scheduler, steps, STRENGTH, float(given["guidance"]), options)
        for name, scheduler, steps, options in SAMPLERS
    }

    def setting(group: str, name: str, sampling: Sampling) -> Setting:
        return Setting(group, name, sampling, scale, *load_engine(config, sampling).first_timestep())

    grid = [setting("sampler", REFERENCE, plain[REFERENCE])]
    for name, sampling in plain.items():
        if name != REFERENCE:
            grid.append(setting("sampler", name, _starting_at(grid[0].start, sampling, config)))
    for name, strength in STRENGTHS:
        grid.append(setting("strength", f"{name}-strength-{strength:g}", replace(plain[name], strength=strength)))
    usual = next(setting for setting in grid if setting.name == SCALED)
    grid += [replace(usual, group="scale", name=f"{SCALED}-scale-{side:g}", scale=(side, side)) for side in SCALES]
    return grid


def load_engine(config: Mapping[str, Any], sampling: Sampling) -> Generator:
    """The config's generator with another sampling."""
    given = config["generator"]
    size = int(config["guides"]["size"])
    return Generator(given["model"], sampling, size, given["dtype"], given["batch_size"], given["device"])


def strength_from(wanted: int, starts: Sequence[int], nominal: float) -> float:
    """The strength at which a schedule starts nearest to a noise level.

    Args:
        wanted: the noise level.
        starts: where the schedule starts with its last step alone, with its last two, and so on to all of them.
        nominal: kept if it starts there as well.
    """
    steps = len(starts)
    calls = 1 + min(range(steps), key=lambda place: abs(starts[place] - wanted))
    return nominal if int(steps * nominal) == calls else _strength(calls, steps)


def _strength(calls: int, steps: int) -> float:
    # Half a step more: pipelines cut the product off, and one such as 50 x 0.58 lies under its whole number.
    return min((calls + 0.5) / steps, 1.0)


def _starting_at(wanted: int, sampling: Sampling, config: Mapping[str, Any]) -> Sampling:
    """A sampling with the strength at which it starts nearest to a noise level, and there if it can be shifted."""
    engine = load_engine(config, sampling)
    starts = _starts(engine)
    found = replace(sampling, strength=strength_from(wanted, starts, sampling.strength))
    engine.sampling = found
    shift = wanted - engine.first_timestep()[0]
    own = getattr(engine.pipeline.scheduler.config, "steps_offset", None)
    if shift == 0 or own is None or starts[0] + shift < 0:
        return found
    shifted = replace(found, options=tuple(sorted([*found.options, ("steps_offset", own + shift)])))
    # Karras' and LCM's schedules have levels of their own and pass the setting over.
    return shifted if load_engine(config, shifted).first_timestep()[0] == wanted else found


def _starts(engine: Generator) -> list[int]:
    steps, starts = engine.sampling.steps, []
    for calls in range(1, steps + 1):
        engine.sampling = replace(engine.sampling, strength=_strength(calls, steps))
        starts.append(engine.first_timestep()[0])
    return starts
