"""Spawrious: four breeds of dogs in six places, generated (arXiv 2303.05470)."""

from d3s.benchmark_kind import FolderKind
from d3s.folders import subfolders


class Spawrious(FolderKind):
    """``spawrious224/SPLIT/PLACE/BREED/*.png``, where the splits are ``0``, ``1`` and ``domain_adaptation_ds``.

    Every breed is in every place, so that all of it is one table of class by background. The challenges of its authors
    are parts of it which they train on; classifiers that were not trained on it are asked about the whole.
    """

    settings = ("splits",)
    levels = ("split", "background", "label")

    def hint(self) -> str:
        inside = self.folder / "spawrious224"
        return f"; {inside} may be meant" if "spawrious224" in subfolders(self.folder) else ""


KIND = Spawrious
