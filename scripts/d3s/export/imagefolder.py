"""Images in folders named by their class, and links to them in folders named by their background."""

from collections.abc import Mapping
from typing import Any

from d3s.export.folder import Folder


def add_image(folder: Folder, fields: Mapping[str, Any], image: bytes) -> None:
    """Write an image as ``imagefolder/class/SPLIT/CLASS/SAMPLE.png`` and link it under its background.

    Args:
        folder: of the export.
        fields: of the image.
        image: its file.
    """
    split, sample = fields["split"], fields["sample"]
    name = f"imagefolder/class/{split}/{fields['class_name']}/{sample}.png"
    folder.write(name, image)
    folder.link(f"imagefolder/background/{split}/{fields['background_name']}/{sample}.png", name)
