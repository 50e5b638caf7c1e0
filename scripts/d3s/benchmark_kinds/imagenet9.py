"""ImageNet-9, the backgrounds challenge: foregrounds on their own, other and no backgrounds (arXiv 2006.09994)."""

import re
from collections.abc import Iterator
from dataclasses import replace

from d3s.benchmark_kind import Entry, FolderKind
from d3s.folders import subfolders

IMAGE = re.compile(r"n\d{8}_\d+")
"""An image of ImageNet; ``fg_n02085620_7_bg_n01440764_9.JPEG`` names the foreground's first, others just their own."""


class ImageNet9(FolderKind):
    """``FOLDER/VARIANT/val/CLASS/*.JPEG`` with classes such as ``00_dog``.

    Variants are original, mixed_same, mixed_rand, mixed_next, only_fg, only_bg_b, only_bg_t and no_fg. Pictures of one
    class that were made from one image form a matched set. The names of mixed_rand say nothing of its backgrounds (they
    are those of mixed_next), so that a picture's background is not told.
    """

    settings = ("variants", "splits")
    levels = ("variant", "split", "label")

    def entries(self) -> Iterator[Entry]:
        for entry in super().entries():
            if entry.fault is None:
                name = entry.sample.rpartition("/")[2]
                image = IMAGE.search(name)
                made_from = image[0] if image else name.rpartition(".")[0]
                entry = replace(entry, matched_set=f"{entry.label}/{made_from}")
            yield entry

    def hint(self) -> str:
        inside = self.folder / "bg_challenge"
        return f"; {inside} may be meant" if "bg_challenge" in subfolders(self.folder) else ""


KIND = ImageNet9
