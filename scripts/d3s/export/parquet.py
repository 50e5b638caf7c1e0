"""Images and their fields in Parquet, with the types that Hugging Face's library reads from the schema."""

import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from d3s.export.folder import HashedFile
from d3s.export.records import ARROW, FIELDS, Labels

GROUP = 256
"""Images per row group: what is held in memory at once, by us and by readers that stream."""
IMAGE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
_DTYPES = {"text": "string", "whole": "int64", "number": "float64", "truth": "bool"}


def features(labels: Labels) -> dict[str, dict[str, object]]:
    """The columns' types as Hugging Face's library writes them into a schema."""
    found: dict[str, dict[str, object]] = {"image": {"_type": "Image"}}
    for field in FIELDS:
        if field.kind in _DTYPES:
            found[field.name] = {"dtype": _DTYPES[field.kind], "_type": "Value"}
        else:
            found[field.name] = {"names": labels.names(field.kind), "_type": "ClassLabel"}
    return found


def features_of_card(labels: Labels) -> list[dict[str, object]]:
    """The same as it stands in the head of a data set's card."""
    found: list[dict[str, object]] = [{"name": "image", "dtype": "image"}]
    for field in FIELDS:
        dtype: object = _DTYPES.get(field.kind)
        if dtype is None:
            names = {str(place): name for place, name in enumerate(labels.names(field.kind))}
            dtype = {"class_label": {"names": names}}
        found.append({"name": field.name, "dtype": dtype})
    return found


def schema(labels: Labels) -> pa.Schema:
    """The schema of the files."""
    columns = [pa.field("image", IMAGE), *(pa.field(field.name, ARROW[field.kind]) for field in FIELDS)]
    described = json.dumps({"info": {"features": features(labels)}}, ensure_ascii=False)
    return pa.schema(columns, metadata={"huggingface": described})


class ParquetFile:
    """One Parquet file, written row group by row group.

    Args:
        file: to write to.
        labels: of the data set.
    """

    def __init__(self, file: HashedFile, labels: Labels) -> None:
        self._schema = schema(labels)
        columns = [field.name for field in FIELDS]
        # PNG is compressed already: pressing it again would take most of the time and give nothing back.
        pressed = dict.fromkeys(columns, "zstd") | {"image.bytes": "none", "image.path": "zstd"}
        self._writer = pq.ParquetWriter(
            file,
            self._schema,
            compression=pressed,
            use_dictionary=[field.name for field in FIELDS if field.kind == "text"],
            write_statistics=columns,
        )

    def __enter__(self) -> "ParquetFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def add(self, fields: pa.Table, images: Sequence[bytes]) -> None:
        """Write a row group.

        Args:
            fields: as ``records.to_arrow`` gives them.
            images: the pictures' files, as many as there are rows.
        """
        paths = [f"{sample}.png" for sample in fields["sample"].to_pylist()]
        pictures = pa.StructArray.from_arrays([pa.array(images, pa.binary()), pa.array(paths)], fields=list(IMAGE))
        table = pa.table([pictures, *fields.columns], schema=self._schema)
        self._writer.write_table(table, row_group_size=len(images))
