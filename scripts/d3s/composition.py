"""Guide images: where an exemplar goes on a template, and the pasting of it (paper, section 3)."""

from dataclasses import asdict, dataclass

from PIL import Image, ImageOps

from d3s.identity import uniform
from d3s.imageio import resize_rgba


@dataclass(frozen=True)
class Placement:
    """How an exemplar is pasted; everything is relative, so that it holds for any size of guide.

    Attributes:
        scale: longer side of the exemplar, as a fraction of the guide's side.
        flip: mirrored left to right.
        x, y: position in the free space: 0 is the left or upper edge, 1 the right or lower one.
    """

    scale: float
    flip: bool
    x: float
    y: float

    def as_dict(self) -> dict[str, float | bool]:
        return asdict(self)


@dataclass(frozen=True)
class PlacementRanges:
    """What placements are drawn from; each pair is a closed range."""

    scale: tuple[float, float]
    flip: bool
    x: tuple[float, float]
    y: tuple[float, float]


def draw_placement(ranges: PlacementRanges, seed: int, *identity: object) -> Placement:
    """Draw a placement from the identity of a sample, which must not name its background: sets must match."""

    def between(name: str, low: float, high: float) -> float:
        return round(low + (high - low) * uniform(seed, f"placement.{name}", *identity), 6)

    return Placement(
        scale=between("scale", *ranges.scale),
        flip=ranges.flip and uniform(seed, "placement.flip", *identity) < 0.5,
        x=between("x", *ranges.x),
        y=between("y", *ranges.y),
    )


def paste(exemplar: Image.Image, template: Image.Image, placement: Placement, size: int) -> Image.Image:
    """Composite an exemplar over a template.

    Args:
        exemplar: ``RGBA``, trimmed.
        template: ``RGB``; its central square is used.
        placement: where and how large.
        size: side of the guide in pixels.

    Returns:
        An ``RGB`` picture of ``size`` x ``size``.
    """
    guide = ImageOps.fit(template.convert("RGB"), (size, size), Image.Resampling.LANCZOS)
    cut_out, corner = _place(exemplar, placement, size)
    guide.paste(cut_out, corner, cut_out)
    return guide


def paste_mask(exemplar: Image.Image, placement: Placement, size: int) -> Image.Image:
    """Where the exemplar of a guide is: an ``L`` picture of ``size`` x ``size``, 255 where it covers the template."""
    mask = Image.new("L", (size, size), 0)
    cut_out, corner = _place(exemplar, placement, size)
    mask.paste(cut_out.getchannel("A"), corner)
    return mask


def _place(exemplar: Image.Image, placement: Placement, size: int) -> tuple[Image.Image, tuple[int, int]]:
    """The exemplar in its size and orientation on the guide, and its left upper corner there."""
    if placement.flip:
        exemplar = ImageOps.mirror(exemplar)
    factor = placement.scale * size / max(exemplar.size)
    width, height = (max(1, round(side * factor)) for side in exemplar.size)
    corner = round((size - width) * placement.x), round((size - height) * placement.y)
    return resize_rgba(exemplar, (width, height)), corner
