"""The second stream: real pictures of the data set's classes, by the indices that both share."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from d3s.encoder import Encoder, EncoderSettings, to_input
from d3s.errors import D3SError
from d3s.second_stream import RealPictures, second_rows
from d3s.shards import write_table, write_text

LABELS = "label,name,imagenet_indices\nn1,robin,15\nn2,tabby,281\nn3,cat,282-285\nn4,truck,867\n"


def index(folder: Path) -> Path:
    """An index of four labels, with a picture that can't be used."""
    rows: list[dict[str, object]] = []
    for number, label in enumerate(["n1", "n2", "n2", "n4"]):
        file = folder / f"{number}.png"
        Image.new("RGBA", (20, 16), (60 * number, 90, 10, 255)).save(file)
        place = {"n1": 0, "n2": 1, "n4": 3}[label]
        rows.append(
            {"sample": f"{label}/{number}", "file": str(file), "box": "", "digest": f"{number}", "label": label}
        )
        rows[-1] |= {"class_id": place, "status": "ok"}
    rows[2] |= {"status": "unreadable", "digest": ""}
    write_table(folder / "index.parquet", pd.DataFrame(rows))
    write_text(folder / "labels.csv", LABELS)
    return folder / "index.parquet"


def test_pictures_get_the_data_set_s_classes(tmp_path: Path) -> None:
    rows = second_rows(index(tmp_path), tmp_path / "labels.csv", {4: [10, 15, 16], 7: [281, 282], 9: [1]})
    assert rows[["sample", "class_id"]].values.tolist() == [["n1/0", 4], ["n2/1", 7]]
    assert rows["image_digest"].tolist() == ["0", "1"]
    encoder = Encoder(EncoderSettings("test_efficientnet", 16, 0, 0.25, "frozen", (4, 7), ("grass",)))
    batch = RealPictures(rows, encoder).batch(["n2/1", "n1/0"])
    expected = to_input([Image.new("RGB", (20, 16), (60, 90, 10))], encoder.backbone, 16)
    assert torch.equal(batch[0], expected[0])


def test_none_of_the_classes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match="none of the classes"):
        second_rows(index(tmp_path), tmp_path / "labels.csv", {1: [2]})
    with pytest.raises(D3SError, match="can't be read"):
        second_rows(tmp_path / "none.parquet", tmp_path / "labels.csv", {1: [2]})


def test_a_picture_that_went_away_is_named(tmp_path: Path) -> None:
    rows = second_rows(index(tmp_path), tmp_path / "labels.csv", {4: [15]})
    encoder = Encoder(EncoderSettings("test_efficientnet", 16, 0, 0.25, "frozen", (4,), ("grass",)))
    (tmp_path / "0.png").write_bytes(b"no picture")
    with pytest.raises(D3SError, match="n1/0 of the second stream"):
        RealPictures(rows, encoder).batch(["n1/0"])
