"""A second stream of real pictures whose background nobody labelled (in the paper, half of each batch is ImageNet).

The pictures are those of an index of a benchmark (``d3s.benchmark_index``), so whatever the workflow reads as a
benchmark will do, an ImageFolder above all. Their classes are the data set's by the ImageNet indices that both share.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch

from d3s.benchmark_index import read_picture
from d3s.encoder import Encoder, to_input
from d3s.errors import BadInput, D3SError
from d3s.label_maps import read_label_map


class RealPictures:
    """Pictures of an index by sample, as an encoder's input.

    Args:
        rows: with the columns sample, file and box.
        encoder: whose input they become.
    """

    pictures = True

    def __init__(self, rows: pd.DataFrame, encoder: Encoder) -> None:
        self.encoder = encoder
        self._where = {row["sample"]: (row["file"], row["box"]) for row in rows.to_dict("records")}

    def batch(self, samples: Sequence[str]) -> torch.Tensor:
        """N x 3 x side x side.

        Raises:
            D3SError: a picture can't be read any more.
        """
        images = []
        for sample in samples:
            try:
                images.append(read_picture(*self._where[sample]).convert("RGB"))
            except BadInput as error:
                raise D3SError(
                    f"the picture {sample} of the second stream: {error.reason}", "restore it, or index it again"
                ) from None
        return to_input(images, self.encoder.backbone, self.encoder.settings.input_size)


def second_rows(index: str | Path, labels: str | Path, indices: Mapping[int, Sequence[int]]) -> pd.DataFrame:
    """The usable pictures of an index that show one of the data set's classes.

    Args:
        index, labels: what ``index_benchmark`` wrote.
        indices: of ImageNet-1k, by class id of the data set.

    Returns:
        sample, file, box, image_digest and class_id, the data set's; sorted by sample.

    Raises:
        D3SError: the index can't be read, or shows none of the classes.
    """
    try:
        table = pd.read_parquet(index)
    except (OSError, ValueError) as error:
        raise D3SError(f"{index} can't be read ({error})", "delete it and run the workflow again") from None
    known = read_label_map(labels)
    owner = {number: label for label, numbers in sorted(indices.items()) for number in numbers}
    of_label = {}
    for place, numbers in enumerate(known.indices):
        # A label belongs to a class if all of its indices do: "dog" is no class that holds two breeds alone.
        classes = {owner.get(number, -1) for number in numbers}
        if len(classes) == 1 and -1 not in classes:
            of_label[place] = classes.pop()
    rows = table[(table["status"] == "ok") & table["class_id"].isin(of_label)]
    if rows.empty:
        raise D3SError(
            f"{index} shows none of the classes of the data set",
            "give the second stream a benchmark whose labels share imagenet_indices with the table of classes",
        )
    rows = rows.assign(class_id=rows["class_id"].map(of_label), image_digest=rows["digest"])
    columns = ["sample", "file", "box", "image_digest", "class_id"]
    return rows[columns].sort_values("sample", ignore_index=True)
