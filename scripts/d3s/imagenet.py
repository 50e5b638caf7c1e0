"""The class table of ImageNet-1k: names, words and WordNet definitions, from what timm carries."""

import re
from collections import Counter
from collections.abc import Sequence

from d3s.errors import D3SError
from d3s.label_maps import LabelMap
from d3s.tables import Row

COLUMNS = ("class_id", "name", "label", "definition", "imagenet_indices", "synset")


def imagenet_rows(synsets: Sequence[str] = ()) -> list[Row]:
    """Rows of a class table, in the order of ImageNet's indices.

    A class is called by the first of its WordNet names. Names become parts of paths, so they are written with letters,
    digits and underscores; the two pairs of classes that share a name (crane, maillot) get their index behind it.

    Args:
        synsets: WordNet ids such as ``n01440764``, to take these classes alone; all if there are none.

    Returns:
        Rows with ``COLUMNS``; ``class_id`` is ImageNet's index.

    Raises:
        D3SError: a synset is not among ImageNet's thousand.
    """
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    found = []
    for index in range(info.num_classes()):
        names = info.index_to_description(index)
        definition = info.index_to_description(index, detailed=True).removeprefix(f"{names}: ")
        label = names.split(",")[0].strip()
        row = {"class_id": str(index), "name": _slug(label), "label": label, "definition": definition}
        found.append(row | {"imagenet_indices": str(index), "synset": info.index_to_label_name(index)})
    shared = {name for name, count in Counter(row["name"] for row in found).items() if count > 1}
    for row in found:
        row["name"] += f"_{row['class_id']}" if row["name"] in shared else ""
    unknown = sorted(set(synsets) - {row["synset"] for row in found})
    if unknown:
        raise D3SError(
            f"{unknown[0]} is none of ImageNet's thousand synsets", "name ids such as n01440764, as its folders do"
        )
    return [row for row in found if not synsets or row["synset"] in synsets]


def imagenet_labels() -> list[str]:
    """What texts call ImageNet's thousand classes, in the order of its indices: each by a name of its own.

    The first of a class's WordNet names; the two pairs that share it (crane, maillot) get all their names, or their
    definition where those are the same too.
    """
    from timm.data import ImageNetInfo

    info = ImageNetInfo("imagenet-1k")
    names = [info.index_to_description(index) for index in range(info.num_classes())]
    detailed = [info.index_to_description(index, detailed=True).replace(": ", ", ", 1) for index in range(len(names))]
    labels = [name.split(",")[0].strip() for name in names]
    for longer in (names, detailed):
        shared = {label for label, count in Counter(labels).items() if count > 1}
        labels = [other if label in shared else label for label, other in zip(labels, longer, strict=True)]
    return labels


def _slug(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", label).strip("_").lower()


def built_in_map(labels: str) -> LabelMap:
    """The label map of ImageNet's thousand classes.

    Args:
        labels: what the labels are: ``synset`` (n01440764) or ``index`` (0 to 999).
    """
    column = {"synset": "synset", "index": "imagenet_indices"}[labels]
    rows = [{**row, "label": row[column]} for row in imagenet_rows()]
    return LabelMap.from_rows(rows, "ImageNet's classes")
