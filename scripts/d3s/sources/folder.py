"""Exemplars from a folder of folders: one per class, by the class's name, with cut-outs or with pictures and masks."""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from d3s.errors import BadInput, D3SError
from d3s.folders import subfolders, suggest
from d3s.source import Candidate, Source, exemplar_name, list_pictures, unique_stems
from d3s.tables import Row

if TYPE_CHECKING:
    from PIL import Image

SPLITS = ("train", "val")


class FolderSource(Source):
    """``FOLDER/CLASS/*.png``, or ``FOLDER/{train,val}/CLASS/*.png``; masks by the same names in a folder beside it.

    The splits are folders if there are both of them; a ``train`` without a ``val`` is the folder of a class.
    """

    settings = ("folder", "masks", "without_mask")
    required = ("folder",)

    def check(self, classes: Sequence[Row]) -> None:
        for key in ("folder", "masks"):
            if self.given[key] and not os.path.isdir(self.given[key]):
                raise D3SError(
                    f"foregrounds: source: {key}: the folder {self.given[key]} is not there",
                    "make it, or correct its path",
                )
        if not any(os.path.isdir(folder) for row in classes for folder, _, _ in self._places(row)):
            raise D3SError(
                f"{self.given['folder']} has no folder of any class, such as {self._places(classes[0])[0][0]}"
                f"{self._hint(classes)}",
                "name a folder by each class's name of the class table, or correct foregrounds: source: folder:",
            )

    def watched(self, classes: Sequence[Row]) -> list[str]:
        places = [place for row in classes for place in self._places(row)]
        return [str(path) for folder, masks, _ in places for path in (folder, masks) if path]

    def candidates(self, row: Row) -> list[Candidate]:
        found, missing = [], []
        for folder, masks, split in self._places(row):
            try:
                found += self._in_folder(row, folder, masks, split)
            except BadInput as error:
                missing.append((folder, split, error))
        if not found:
            if missing:
                raise missing[0][2]
            raise BadInput("no_pictures", f"{self._places(row)[0][0]} holds no pictures; put some there")
        faults = [self._fault(row, f"{split} folder", str(folder), split, error) for folder, split, error in missing]
        return found + faults

    def open(self, candidate: Candidate) -> "Image.Image":
        from d3s.foregrounds import attach_mask
        from d3s.imageio import read_image, read_mask

        picture = read_image(candidate.image)
        if not candidate.mask:
            return picture
        return attach_mask(picture, candidate.image, read_mask(candidate.mask), candidate.mask)

    def _places(self, row: Row) -> list[tuple[Path, Path | None, str]]:
        """The class's folders of pictures and of masks, and their split."""
        top, masks = Path(self.given["folder"]), self.given["masks"]
        return [
            (top / split / row["name"], Path(masks) / split / row["name"] if masks else None, split)
            for split in (SPLITS if self._has_splits else ("",))
        ]

    @cached_property
    def _has_splits(self) -> bool:
        return all(os.path.isdir(Path(self.given["folder"]) / split) for split in SPLITS)

    def _in_folder(self, row: Row, folder: Path, masks: Path | None, split: str) -> list[Candidate]:
        files = unique_stems(list_pictures(folder))
        if not files and split:
            raise BadInput("no_pictures", f"{folder} holds no pictures; put some there")
        by_stem = {mask.stem: mask for mask in list_pictures(masks)} if masks and masks.is_dir() else {}
        found = []
        for file, stem in files.items():
            name = exemplar_name(row["name"], *([split] if split else []), stem)
            mask = str(by_stem.get(file.stem, ""))
            found.append(Candidate(name, str(file), mask, name, split, (row["class_id"], name)))
        for stem in sorted(set(by_stem) - {file.stem for file in files}):
            lost = BadInput("no_image", f"{by_stem[stem]} is a mask without a picture; put {stem} into {folder}")
            found.append(self._fault(row, f"mask {stem}", str(by_stem[stem]), split, lost))
        return found

    def _fault(self, row: Row, what: str, path: str, split: str, error: BadInput) -> Candidate:
        name = exemplar_name(row["name"], *([split] if split else []), what)
        return Candidate(name, "", path, name, split, (row["class_id"], name), fault=error)

    def _hint(self, classes: Sequence[Row]) -> str:
        top = Path(self.given["folder"])
        there = subfolders(top)
        for split in SPLITS:
            for name in there:
                if name.lower() == split and name != split:
                    return f"; its folder {name} would have to be called {split}"
            if split in there:
                return f"; it has {split}, but splits are told apart only if there are {SPLITS[0]} and {SPLITS[1]}"
        return suggest(classes[0]["name"], there)


SOURCE = FolderSource
