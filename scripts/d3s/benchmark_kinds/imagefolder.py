"""Any folder of folders whose names are labels: ImageNet's validation images by synset, ImageNet-R, one of your own."""

from collections.abc import Iterator

from d3s.benchmark_kind import Entry, FolderKind
from d3s.errors import D3SError
from d3s.folders import subfolders
from d3s.label_maps import LabelMap

SPLITS = {"train", "val", "valid", "validation", "test"}


class ImageFolder(FolderKind):
    """``FOLDER/LABEL/*.jpg``, or more levels of folders, whose meanings ``levels:`` names."""

    settings = ("levels", "matched_by", "variants", "splits")
    built_in = "synset"

    def meanings(self) -> tuple[str, ...]:
        return tuple(self.given["levels"])

    def check_layout(self, labels: LabelMap | None) -> None:
        if "label" not in self.given["levels"]:
            raise D3SError(
                f"{self.where}: levels: no level is the label", "say which one is, as in [background, label]"
            )
        for name in ("variant", "split"):
            if self.given[f"{name}s"] and name not in self.given["levels"]:
                raise D3SError(
                    f"{self.where}: {name}s: no level of its folders is a {name}",
                    f"add {name} to levels:, or remove it",
                )
        super().check_layout(labels)

    def entries(self) -> Iterator[Entry]:
        for entry in super().entries():
            if self.given["matched_by"] == "name" and entry.fault is None:
                stem = entry.sample.rpartition("/")[2].rpartition(".")[0]
                entry = Entry(**(vars(entry) | {"matched_set": f"{entry.label}/{stem}"}))
            yield entry

    def hint(self) -> str:
        splits = sorted(SPLITS & set(subfolders(self.folder)))
        return f"; {self.folder / splits[-1]} may be meant" if splits else ""


KIND = ImageFolder
