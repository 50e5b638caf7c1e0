"""The export as a whole: every image is read once, and goes from memory into all its formats."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa

from d3s import cli
from d3s.export import card, croissant
from d3s.export.facts import About, gather_facts
from d3s.export.folder import Folder
from d3s.export.imagefolder import add_image
from d3s.export.images import Images
from d3s.export.parquet import GROUP, ParquetFile
from d3s.export.records import Labels, choose_rows, to_arrow
from d3s.export.webdataset import SampleTar

CARD, CROISSANT = "README.md", "croissant.json"


def export(folder: Folder, manifest: pd.DataFrame, tars: Sequence[Path], about: About) -> pd.DataFrame:
    """Write the whole export into a folder.

    Args:
        folder: empty.
        manifest: of all planned images, as ``records.read_manifest`` gives it.
        tars: the image shards.
        about: what the config and the tables say.

    Returns:
        The rows of the images that were exported.

    Raises:
        D3SError: there is nothing to export, or a shard does not fit the manifest or is damaged.
    """
    settings = about.settings["export"]
    rows = choose_rows(manifest, settings["which"])
    fields = to_arrow(rows, about.labels)
    with Images(rows, tars) as images:
        sizes = write_images(folder, fields, images, about.labels, settings["images_per_file"])
        facts = gather_facts(manifest, rows, images.made_with, sizes, about)
    data = {name: (folder.root / name).stat().st_size for name in folder.sums if not name.startswith("imagefolder/")}
    bytes_of: Counter[str] = Counter()
    files: Counter[str] = Counter()
    for name, size in data.items():
        if name.startswith("data/"):
            split = name.removeprefix("data/").partition("-")[0]
            bytes_of[split] += size
            files[split] += 1
    described = croissant.describe(facts, about, {name: folder.sums[name] for name in data}, data)
    folder.write(CROISSANT, croissant.as_text(described).encode())
    folder.write(CARD, card.render(facts, about, bytes_of, files).encode())
    return rows


def write_images(
    folder: Folder, fields: pa.Table, images: Images, labels: Labels, per_file: int
) -> "Counter[tuple[int, int]]":
    """Write images and fields as Parquet, as tars and as folders; at most a row group of images is held in memory.

    Args:
        folder: to write to.
        fields: of all images, those of a split together.
        images: in the same order.
        labels: of the data set.
        per_file: images in a Parquet file and in a tar.

    Returns:
        Width and height of the images in pixels, with their numbers.
    """
    sizes: Counter[tuple[int, int]] = Counter()
    bar = cli.progress(range(len(fields)), len(fields), "images")
    for split, number, total, first, last in _plan(fields["split"].to_pylist(), per_file):
        with (
            folder.open(f"data/{split}-{number:05d}-of-{total:05d}.parquet") as parquet_file,
            folder.open(f"webdataset/{split}-{number:06d}.tar") as tar_file,
            ParquetFile(parquet_file, labels) as parquet,
            SampleTar(tar_file) as tar,
        ):
            for start in range(first, last, GROUP):
                group = fields.slice(start, min(GROUP, last - start))
                pictures = []
                for place, described in enumerate(group.to_pylist(), start):
                    data = images.read(place)
                    tar.add(described, data)
                    add_image(folder, described, data)
                    pictures.append(data)
                    sizes[size_of(data)] += 1
                    next(bar)
                parquet.add(group, pictures)
    return sizes


def _plan(splits: Sequence[str], per_file: int) -> Iterator[tuple[str, int, int, int, int]]:
    """The files to write: split, number, how many the split has, first row, row after the last."""
    for split, length in Counter(splits).items():
        begin = splits.index(split)
        total = -(-length // per_file)
        for number in range(total):
            first = begin + number * per_file
            yield split, number, total, first, min(first + per_file, begin + length)


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG, from its header: decoding it would take longer than all the rest."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
