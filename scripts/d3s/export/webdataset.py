"""Images and their fields in tars that the ``webdataset`` package streams."""

import json
from collections.abc import Mapping
from typing import Any

from d3s.export.folder import HashedFile
from d3s.export.tar import END, header, padding

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def key_of(sample: str) -> str:
    """What the files of a sample are called before their ending.

    Readers take everything behind the first dot for the ending, and a background may have a dot in its name: two
    samples would become one.
    """
    return sample.replace("%", "%25").replace(".", "%2E")


class SampleTar:
    """A tar of samples, each of them three files in a row: ``.cls`` (the class), ``.json`` (all fields), ``.png``.

    Args:
        file: to write to.
    """

    def __init__(self, file: HashedFile) -> None:
        self._file = file

    def __enter__(self) -> "SampleTar":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.write(END)

    def add(self, fields: Mapping[str, Any], image: bytes) -> None:
        """Append a sample."""
        key = key_of(fields["sample"])
        parts = []
        for ending, data in (("cls", b"%d" % fields["class"]), ("json", _encode(fields).encode()), ("png", image)):
            parts += [header(f"{key}.{ending}", len(data)), data, padding(len(data))]
        self._file.write(b"".join(parts))  # in one piece, as each piece is hashed and written by itself
