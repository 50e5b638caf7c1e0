"""ImageNet-C: ImageNet's validation images under fifteen corruptions of five severities (arXiv 1903.12261)."""

from d3s.benchmark_kind import Entry, FolderKind, is_synset, listed
from d3s.errors import BadInput, D3SError
from d3s.folders import subfolders, suggest
from d3s.label_maps import LabelMap

SEVERITIES = frozenset("12345")


class ImageNetC(FolderKind):
    """``FOLDER/CORRUPTION/SEVERITY/SYNSET/*.JPEG``, in folders such as ``noise`` or without.

    A variant is a corruption and its severity, as in ``gaussian_noise-3``; the variants of an image are a matched set.
    """

    settings = ("variants",)
    levels = ("variant", "variant", "label")
    built_in = "synset"

    def place(self, path: str, fault: BadInput | None = None) -> Entry:
        parts = path.split("/")
        if fault is None and (len(parts) < 4 or parts[-3] not in SEVERITIES):
            fault = BadInput("no_label", "it does not lie in a folder CORRUPTION/SEVERITY/SYNSET")
        if fault is not None:
            return Entry(path, fault=fault)
        corruption, severity, label, name = parts[-4:]
        matched_set = f"{label}/{name.rpartition('.')[0]}"
        return Entry(path, label, variant=f"{corruption}-{severity}", matched_set=matched_set)

    def check_layout(self, labels: LabelMap | None) -> None:
        tops = {name: self.folder / name for name in subfolders(self.folder)}
        inner = {name: top / name for top in tops.values() for name in subfolders(top) if name not in SEVERITIES}
        corruptions = {
            name: severities
            for name, top in {**inner, **tops}.items()
            if (severities := sorted(SEVERITIES & set(subfolders(top))))
        }
        if not corruptions:
            raise D3SError(
                f"{self.where}: {self.folder} has no folder CORRUPTION/SEVERITY such as gaussian_noise/1, but "
                f"{listed(sorted(tops)) or 'no folders'}",
                "name the folder that holds the corruptions",
            )
        there = [f"{name}-{severity}" for name, found in sorted(corruptions.items()) for severity in found]
        for name in self.given["variants"]:
            if name not in there:
                raise D3SError(
                    f"{self.where}: variants: there is no {name!r}{suggest(name, there)}",
                    f"a variant is a corruption and its severity, such as {there[0]}",
                )
        name, severities = next(iter(sorted(corruptions.items())))
        found = subfolders({**inner, **tops}[name] / severities[0])
        known = labels.ids if labels else [one for one in found if is_synset(one)]
        if not set(found) & set(known):
            raise D3SError(
                f"{self.where}: no folder of {name}/{severities[0]} is a label that is known",
                "they are WordNet ids such as n01440764, or what the label map names",
            )


KIND = ImageNetC
