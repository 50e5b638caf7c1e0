"""Recipes: all that determines one generated image, and the key that they hash to (DESIGN, decision 5)."""

from dataclasses import asdict, dataclass

from d3s.identity import digest

GENERATION_VERSION = 1
"""Raised whenever a change of the code alters the pixels that a recipe gives; old images are then made again."""


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the pixels of one image, up to the device's arithmetic.

    Attributes:
        guide: digest of the guide's decoded pixels.
        prompt, negative_prompt: what the text encoder is given.
        seed: of the image's own noise generator.
        model: digest of the model's files, weights included.
        scheduler: class name of the sampler.
        steps: length of its full schedule; ``strength`` times this many are run.
        strength: how far back in noise the guide is taken, in (0, 1].
        guidance: scale of classifier-free guidance.
        size: side in pixels.
        dtype: of the weights and activations.
        options: settings of the sampler beside its own, as sorted pairs.
        mode: what the pipeline starts from, one of ``sampling.MODES``.
        mask: digest of the mask of what keeps its pixels; empty where nothing does.
        format: how the image is stored.
        version: ``GENERATION_VERSION``.
    """

    guide: str
    prompt: str
    negative_prompt: str
    seed: int
    model: str
    scheduler: str
    steps: int
    strength: float
    guidance: float
    size: int
    dtype: str
    format: str = "png"
    version: int = GENERATION_VERSION
    options: tuple[tuple[str, str | int | float | bool], ...] = ()
    mode: str = "image2image"
    mask: str = ""

    @property
    def key(self) -> str:
        """The recipe key: 32 hexadecimal digits.

        What came to be a part of recipes later enters the key only where it is not the default, which is what was done
        before it existed: so no image has to be made again for the sake of a new setting.
        """
        parts = asdict(self)
        for name in ("options", "mode", "mask"):
            if parts[name] == getattr(type(self), name):
                del parts[name]
        return digest("recipe", parts)
