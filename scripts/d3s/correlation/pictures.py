"""Pictures of a benchmark as an encoder's input, by its index."""

from collections.abc import Sequence

import pandas as pd
import torch

from d3s.benchmark_index import read_picture
from d3s.correlation.groups import groups_of_index
from d3s.encoder import Encoder, to_input
from d3s.errors import BadInput, D3SError
from d3s.identity import file_sha256


class IndexedPictures:
    """The pictures of a benchmark whose class, background and split are known.

    Args:
        index: of the benchmark (``benchmark_index.COLUMNS``).
        encoder: whose input they become.
        where: how messages name the index.

    Attributes:
        samples: sorted.
    """

    pictures = True

    def __init__(self, index: pd.DataFrame, encoder: Encoder, where: str) -> None:
        self.encoder = encoder
        self.samples = groups_of_index(index, where)["sample"].tolist()
        rows = index.set_index("sample").loc[self.samples]
        self._where = dict(zip(self.samples, zip(rows["file"], rows["box"], rows["digest"], strict=True), strict=True))

    def __contains__(self, sample: str) -> bool:
        return sample in self._where

    def digests(self) -> list[str]:
        """Of the pictures' bytes, in the order of ``samples``; an index has none where nobody knows the class."""
        return [digest or f"{file_sha256(file)} {box}" for file, box, digest in self._where.values()]

    def batch(self, samples: Sequence[str]) -> torch.Tensor:
        """The encoder's input for these samples: N x 3 x side x side.

        Raises:
            D3SError: a picture can't be read.
        """
        images = []
        for sample in samples:
            file, box, _ = self._where[sample]
            try:
                images.append(read_picture(file, box))
            except BadInput as error:
                raise D3SError(
                    f"{file} can't be used: {error.reason}",
                    "mend or remove the picture, then index the benchmark again: snakemake --forcerun index_benchmark",
                ) from None
        return to_input(images, self.encoder.backbone, self.encoder.settings.input_size)
