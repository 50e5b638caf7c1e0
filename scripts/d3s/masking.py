"""What becomes of a picture that has neither a mask nor transparency (``foregrounds: source: without_mask:``)."""

from collections.abc import Callable

from PIL import Image

from d3s.errors import BadInput, D3SError
from d3s.foregrounds import attach_mask, whole_square
from d3s.imageio import decode_png
from d3s.shards import TarReader
from d3s.source import Candidate

Masking = Callable[[Candidate, Image.Image], Image.Image]
"""Makes an ``RGBA`` picture of a candidate's ``RGB`` one; raises ``BadInput`` where it can't."""


def choose_masking(without_mask: str, masks: TarReader | None = None) -> Masking:
    """What the config asks for.

    Args:
        without_mask: ``pass_over``, ``crop`` or ``segment``.
        masks: those that ``segment_foregrounds`` made, for ``segment``.

    Raises:
        D3SError: there are no such masks.
    """
    if without_mask != "segment":
        return crop if without_mask == "crop" else pass_over
    if masks is None:
        raise D3SError("there are no masks for pictures without", "run segment_foregrounds.py, and give --masks")
    return from_shard(masks)


def pass_over(candidate: Candidate, image: Image.Image) -> Image.Image:
    """Refuse it.

    Raises:
        BadInput: ``no_mask``.
    """
    raise BadInput(
        "no_mask",
        f"{candidate.image} has neither transparency nor a mask; add one, or say by foregrounds: source: without_mask: "
        "what to do with it",
    )


def crop(candidate: Candidate, image: Image.Image) -> Image.Image:
    """Take its whole central square, as the paper does."""
    return whole_square(image)


def from_shard(masks: TarReader) -> Masking:
    """Take the masks that ``segment_foregrounds`` made."""

    def mask(candidate: Candidate, image: Image.Image) -> Image.Image:
        member = mask_member(candidate)
        if member not in masks:
            raise BadInput(
                "no_mask",
                f"{candidate.image} was not segmented: it changed since; run with --forcerun segment_foregrounds",
            )
        return attach_mask(image, candidate.image, decode_png(masks.read(member)).convert("L"), "its mask")

    return mask


def mask_member(candidate: Candidate) -> str:
    """The name of a candidate's mask in a shard of masks."""
    return f"{candidate.exemplar}.png"
