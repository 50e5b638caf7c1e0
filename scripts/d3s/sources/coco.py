"""Exemplars from COCO: each object of a category, cut out of its photograph by its polygons or run lengths."""

import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from d3s.errors import BadInput, D3SError
from d3s.folders import suggest
from d3s.source import Candidate, Source, exemplar_name
from d3s.tables import Row

if TYPE_CHECKING:
    from PIL import Image


class CocoSource(Source):
    """An instances file of COCO and the folder of its images.

    A class takes the category that ``categories`` gives for its name, else the one that is called as its label. Crowds,
    objects under ``min_area`` and, unless ``cut_off`` allows them, objects that touch an edge of their photograph are
    passed over. The split group is the photograph.
    """

    settings = ("annotations", "images", "categories", "min_area", "cut_off")
    required = ("annotations", "images")
    columns = ("class_id", "name", "label")
    memory = 6000  # the training file has 860,000 objects: 3 GB

    def check(self, classes: Sequence[Row]) -> None:
        where = "foregrounds: source"
        for key, exists in (("annotations", os.path.isfile), ("images", os.path.isdir)):
            if not exists(self.given[key]):
                raise D3SError(f"{where}: {key}: {self.given[key]} is not there", "correct its path")
        names = {row["name"] for row in classes}
        for name in self.given["categories"]:
            if name not in names:
                raise D3SError(
                    f"{where}: categories: no class is named {name!r}{suggest(name, names)}",
                    "give a category for names of the class table",
                )

    def watched(self, classes: Sequence[Row]) -> list[str]:
        return [self.given["annotations"], self.given["images"]]

    def candidates(self, row: Row) -> list[Candidate]:
        wanted = self.given["categories"].get(row["name"], row["label"])
        ids = self._categories.get(wanted)
        if ids is None:
            raise BadInput(
                "unknown_category",
                f"{self.given['annotations']} has no category {wanted!r}{suggest(wanted, self._categories)} "
                f"(name it by foregrounds: source: categories: {row['name']}:)",
            )
        objects = [annotation for each in ids for annotation in self._objects.get(each, [])]
        found = [self._candidate(row, annotation) for annotation in objects if self._is_wanted(annotation)]
        if not found:
            raise BadInput(
                "no_objects",
                f"none of {len(objects)} objects of {wanted!r} in {self.given['annotations']} can be used; "
                "lower min_area:, or set cut_off: true",
            )
        return found

    def open(self, candidate: Candidate) -> "Image.Image":
        from PIL import Image, ImageOps

        from d3s.coco_masks import decode_mask
        from d3s.imageio import read_image

        annotation, size = candidate.detail
        # Annotations lie on the pixels as they are stored, so an EXIF tag turns picture and mask together.
        picture = read_image(candidate.image, upright=False).convert("RGB")
        if picture.size != size:
            raise BadInput(
                "mask_size",
                f"{candidate.image} is {picture.width} x {picture.height}, and {self.given['annotations']} says "
                f"{size[0]} x {size[1]}; use the images as they were published",
            )
        try:
            mask = decode_mask(annotation.get("segmentation"), size)
        except ValueError as error:
            raise BadInput("bad_annotation", f"{candidate.mask}: its mask can't be read ({error})") from None
        picture.putalpha(Image.fromarray(mask))
        return ImageOps.exif_transpose(picture)

    @cached_property
    def _file(self) -> dict[str, list[dict[str, Any]]]:
        path = self.given["annotations"]
        try:
            with open(path, encoding="utf-8") as file:
                read = json.load(file)
        except (OSError, ValueError, RecursionError) as error:
            raise D3SError(f"{path} can't be read as JSON ({error})", "fetch it again, or correct its path") from None
        parts = ("images", "annotations", "categories")
        if not isinstance(read, dict) or not all(isinstance(read.get(part), list) for part in parts):
            raise D3SError(
                f"{path} is no instances file of COCO: it needs lists called {', '.join(parts)}",
                "name an instances_*.json under foregrounds: source: annotations:",
            )
        return {part: [row for row in read[part] if isinstance(row, dict)] for part in parts}

    @cached_property
    def _categories(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for row in self._file["categories"]:
            found.setdefault(str(row.get("name")), []).append(row.get("id"))
        return found

    @cached_property
    def _objects(self) -> dict[Any, list[dict[str, Any]]]:
        found: dict[Any, list[dict[str, Any]]] = {}
        for row in self._file["annotations"]:
            if isinstance(row.get("category_id"), int) and isinstance(row.get("id"), int):
                found.setdefault(row["category_id"], []).append(row)
        return found

    @cached_property
    def _images(self) -> dict[Any, dict[str, Any]]:
        return {row["id"]: row for row in self._file["images"] if isinstance(row.get("id"), int)}

    def _is_wanted(self, annotation: dict[str, Any]) -> bool:
        if annotation.get("iscrowd") or not _number(annotation.get("area")) >= self.given["min_area"]:
            return False
        image, box = self._images.get(annotation.get("image_id")), annotation.get("bbox")
        if self.given["cut_off"] or image is None or not isinstance(box, list) or len(box) != 4:
            return True
        left, top, width, height = map(_number, box)
        right, bottom = left + width, top + height
        return (
            left >= 1
            and top >= 1
            and right <= _number(image.get("width")) - 1
            and (bottom <= _number(image.get("height")) - 1)
        )

    def _candidate(self, row: Row, annotation: dict[str, Any]) -> Candidate:
        number, image = annotation["id"], self._images.get(annotation.get("image_id"))
        told = f"{self.given['annotations']}: annotation {number}"
        if image is None:
            name = exemplar_name(row["name"], str(number))
            lost = BadInput("no_image", f"{told} is of image {annotation.get('image_id')}, which the file doesn't list")
            return Candidate(name, "", told, name, "", (name,), fault=lost)
        file = str(image.get("file_name"))
        name = exemplar_name(row["name"], PurePosixPath(file).stem, str(number))
        place = PurePosixPath(file)
        fault = None
        if place.is_absolute() or ".." in place.parts:
            fault = BadInput("bad_annotation", f"{self.given['annotations']}: image {file!r} leads out of its folder")
        size = (image.get("width"), image.get("height"))
        group = exemplar_name(place.stem)
        path = str(Path(self.given["images"]) / file)
        return Candidate(name, path, told, group, "", (group,), (annotation, size), fault)


def _number(value: object) -> float:
    """A number of the file; where it has something else, one that no comparison holds for (NaN)."""
    return float(value) if isinstance(value, int | float) else float("nan")


SOURCE = CocoSource
