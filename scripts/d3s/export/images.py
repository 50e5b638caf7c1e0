"""The images of an export, from the shards that the workflow packed them in, each checked against its digest."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from d3s.errors import D3SError
from d3s.export.tar import members
from d3s.identity import bytes_digest

MOST_OPEN = 64
"""Shards that are held open at once; systems allow a process about a thousand files."""
MADE_WITH = [
    "model",
    "model_digest",
    "mode",
    "scheduler",
    "options",
    "steps",
    "strength",
    "guidance",
    "dtype",
    "size",
    "generation_version",
    "negative_prompt",
]
"""Columns of a shard's manifest that say how its images were made."""


class Images:
    """The pictures of rows, in any order.

    Args:
        rows: of the manifest, with the columns sample, shard, member and image_digest.
        tars: the shards that they lie in, their manifests and digest files beside them.

    Attributes:
        made_with: for each row, the columns of ``MADE_WITH``.

    Raises:
        D3SError: a shard is missing, damaged, or holds other images than the manifest says.
    """

    def __init__(self, rows: pd.DataFrame, tars: Iterable[Path]) -> None:
        given = {tar.as_posix(): tar for tar in tars}
        strange = sorted(set(rows["shard"]) - set(given))
        if strange:
            raise D3SError(
                f"the manifest has images of {strange[0]}, which is not among the shards given",
                "give all shards that the manifest was built from",
            )
        self._members = rows["member"].tolist()
        self._offsets = np.zeros(len(rows), dtype=np.int64)
        self._sizes = np.zeros(len(rows), dtype=np.int64)
        self._shards = np.zeros(len(rows), dtype=np.int64)
        self._checks = np.zeros(len(rows), dtype="S32")
        self._paths: list[Path] = []
        self._open: dict[int, int] = {}
        made_with = []
        for shard, places in rows.groupby("shard", sort=True).indices.items():
            made_with.append(self._add_shard(given[str(shard)], rows, places))
        self.made_with = pd.concat(made_with).sort_index()

    def _add_shard(self, tar: Path, rows: pd.DataFrame, places: np.ndarray) -> pd.DataFrame:
        """Find the images of a shard; gives how they were made, by their place among the rows."""
        where, checks = members(tar), _read_digests(tar.with_suffix(".digests.json"))
        for place in places:
            member = self._members[place]
            if member not in where or member not in checks:
                raise D3SError(f"{tar} has no member {member!r}", "delete the shard and run the workflow again")
            self._offsets[place], self._sizes[place] = where[member]
            self._checks[place] = checks[member]
        self._shards[places] = len(self._paths)
        self._paths.append(tar)
        made = _read_made_with(tar.with_suffix(".parquet"))
        wanted = rows.iloc[places]
        found = made.reindex(wanted["sample"])
        stale = found["image_digest"].to_numpy() != wanted["image_digest"].to_numpy()
        if stale.any():
            raise D3SError(
                f"the manifest is of other pixels than {tar} holds, such as {wanted['sample'][stale].iloc[0]}",
                "the images were made again since: run build_manifest",
            )
        return found[MADE_WITH].set_index(places)

    def __len__(self) -> int:
        return len(self._members)

    def __enter__(self) -> "Images":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all shards."""
        while self._open:
            os.close(self._open.popitem()[1])

    def read(self, place: int) -> bytes:
        """The file of the image of a row, as it lies in its shard.

        Raises:
            D3SError: it is not the file that was packed.
        """
        shard = int(self._shards[place])
        data = os.pread(self._handle(shard), int(self._sizes[place]), int(self._offsets[place]))
        if bytes_digest(data) != self._checks[place].decode():
            tar = self._paths[shard]
            raise D3SError(
                f"{self._members[place]} in {tar} is not what {tar.with_suffix('.digests.json').name} says",
                "the shard is damaged: delete it and run the workflow again; its images come from the store",
            )
        return data

    def _handle(self, shard: int) -> int:
        if shard not in self._open:
            if len(self._open) == MOST_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
            self._open[shard] = os.open(self._paths[shard], os.O_RDONLY)
        return self._open[shard]


def _read_digests(path: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["members"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise D3SError(
            f"{path} can't be read as a digest file ({error})", "delete the shard and run the workflow again"
        ) from None
    return found


def _read_made_with(path: Path) -> pd.DataFrame:
    """How the images of a shard were made, by sample, with their pixels' digests."""
    try:
        table = pq.read_table(path, columns=["sample", "image_digest", *MADE_WITH])
    except (OSError, ValueError, KeyError) as error:
        raise D3SError(
            f"{path} can't be read as the manifest of a shard ({error})",
            "delete the shard and run the workflow again",
        ) from None
    return table.to_pandas().set_index("sample")
