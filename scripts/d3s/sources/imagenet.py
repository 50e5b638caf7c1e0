"""Exemplars from ImageNet's folders: with the soft masks of Salient ImageNet, or without masks."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from d3s.errors import BadInput, D3SError
from d3s.folders import subfolders
from d3s.salient_imagenet import core_features, image_list, list_masks
from d3s.source import Candidate, Source, exemplar_name, list_pictures, unique_stems
from d3s.tables import Row

if TYPE_CHECKING:
    from PIL import Image


class ImageNetSource(Source):
    """``FOLDER/SYNSET/*.JPEG``, by the class table's column ``synset``.

    With ``masks`` and ``features`` (Salient ImageNet's folder and its table of answers), an image that has masks of
    core features is cut out by them; ``without_mask`` says what becomes of the others.
    """

    settings = ("folder", "masks", "features", "without_mask")
    required = ("folder",)
    columns = ("class_id", "name", "synset")

    def check(self, classes: Sequence[Row]) -> None:
        where = "foregrounds: source"
        for row in classes:
            if not row["synset"]:
                raise D3SError(
                    f"{where}: the class {row['name']!r} has no synset, by which ImageNet's folders are named",
                    "fill in the column synset of the class table, as scripts/write_class_table.py does",
                )
        if bool(self.given["masks"]) != bool(self.given["features"]):
            raise D3SError(
                f"{where}: masks: and features: go together",
                "name Salient ImageNet's folder of masks and its discover_spurious_features.csv, or neither",
            )
        if not self.given["masks"] and self.given["without_mask"] == "pass_over":
            raise D3SError(
                f"{where}: without masks: no image has a mask, and without_mask: pass_over passes over all of them",
                "set without_mask: crop (the whole square, as in the paper) or segment, or name masks: and features:",
            )
        for key, exists in (("folder", os.path.isdir), ("masks", os.path.isdir), ("features", os.path.isfile)):
            if self.given[key] and not exists(self.given[key]):
                raise D3SError(f"{where}: {key}: {self.given[key]} is not there", "correct its path")
        if not any(self._folder(row).is_dir() for row in classes):
            raise D3SError(
                f"{where}: folder: {self.given['folder']} has no folder of any class, such as "
                f"{classes[0]['synset']}{self._hint()}",
                "name the folder that holds one folder per synset, such as ILSVRC2012/train",
            )

    def watched(self, classes: Sequence[Row]) -> list[str]:
        paths = [self._folder(row) for row in classes]
        if self.given["masks"]:
            paths += [image_list(Path(self.given["masks"]), row["synset"]) for row in classes]
            paths.append(Path(self.given["features"]))
        return [str(path) for path in paths]

    def candidates(self, row: Row) -> list[Candidate]:
        folder = self._folder(row)
        files = unique_stems(list_pictures(folder))
        if not files:
            raise BadInput("no_pictures", f"{folder} holds no pictures; put the images of {row['synset']} there")
        masks = self._masks(row)
        found = []
        for file, stem in files.items():
            own = masks.pop(file.stem, [])
            if own or self.given["without_mask"] != "pass_over":
                found.append(self._candidate(row, stem, str(file), own))
        for stem, own in sorted(masks.items()):
            lost = BadInput("no_image", f"{own[0]} is the mask of {stem}, which is not in {folder}; put it there")
            found.append(self._candidate(row, stem, "", own, lost))
        if not any(candidate.fault is None for candidate in found):
            raise BadInput(
                "no_masks", f"no image in {folder} has a mask under {self.given['masks']}; is it the same set?"
            )
        return found

    def open(self, candidate: Candidate) -> "Image.Image":
        from PIL import ImageOps

        from d3s.imageio import read_image
        from d3s.salient_imagenet import merge_masks

        # Masks lie on the pixels as they are stored, so an EXIF tag turns picture and mask together.
        picture = read_image(candidate.image, upright=not candidate.detail).convert("RGB")
        if not candidate.detail:
            return picture
        picture.putalpha(merge_masks(candidate.detail, picture.size))
        return ImageOps.exif_transpose(picture)

    def _folder(self, row: Row) -> Path:
        return Path(self.given["folder"]) / row["synset"]

    def _masks(self, row: Row) -> dict[str, list[Path]]:
        """The mask files of each image's core features, by the image's name; none if the class has none of use.

        Raises:
            BadInput: there are none, and nothing else is to be done with images.
        """
        if not self.given["masks"]:
            return {}
        try:
            features = core_features(Path(self.given["features"]), row["synset"])
            return list_masks(Path(self.given["masks"]), row["synset"], features)
        except BadInput:
            if self.given["without_mask"] == "pass_over":
                raise
            return {}

    def _candidate(
        self, row: Row, stem: str, image: str, masks: list[Path], fault: BadInput | None = None
    ) -> Candidate:
        name, told = exemplar_name(row["name"], stem), " ".join(map(str, masks))
        return Candidate(name, image, told, stem, "", (stem,), masks, fault)

    def _hint(self) -> str:
        top = Path(self.given["folder"])
        for name in subfolders(top):
            if name.lower() in {"train", "val"}:
                return f"; it has {name}, so {top / name} may be meant"
        try:
            loose = list_pictures(top)
        except BadInput:
            return ""
        if loose:
            return (
                f"; it holds {len(loose)} pictures directly, such as {loose[0].name}: these are the validation files, "
                "which have to be sorted into folders by synset"
            )
        return ""


SOURCE = ImageNetSource
