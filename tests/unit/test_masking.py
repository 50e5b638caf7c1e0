"""Pictures without a mask: refused, cropped, or cut out by masks that were made before."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from d3s.errors import BadInput, D3SError
from d3s.imageio import encode_png
from d3s.masking import choose_masking
from d3s.shards import TarReader, write_shard
from d3s.source import Candidate

PICTURE = Image.new("RGB", (40, 30), (9, 99, 199))
CANDIDATE = Candidate("cat-1", "cats/1.jpg", "", "1", "", ("1",))


def test_a_picture_is_refused_with_what_to_do() -> None:
    with pytest.raises(BadInput, match=r"cats/1\.jpg has neither .* without_mask:") as caught:
        choose_masking("pass_over")(CANDIDATE, PICTURE)
    assert caught.value.status == "no_mask"


def test_a_picture_is_cropped_to_its_square() -> None:
    square = choose_masking("crop")(CANDIDATE, PICTURE)
    assert (square.mode, square.size) == ("RGBA", (30, 30))


def test_masks_come_from_their_shard(tmp_path: Path) -> None:
    mask = Image.linear_gradient("L").resize((40, 30))
    write_shard(tmp_path / "0.tar", pd.DataFrame({"exemplar": ["cat-1"]}), [("cat-1.png", encode_png(mask))])
    with TarReader(tmp_path / "0.tar") as masks:
        masking = choose_masking("segment", masks)
        assert masking(CANDIDATE, PICTURE).getchannel("A").tobytes() == mask.tobytes()
        with pytest.raises(BadInput, match="its mask is 40 x 30 and cats/1"):
            masking(CANDIDATE, PICTURE.resize((20, 15)))
        with pytest.raises(BadInput, match="--forcerun segment_foregrounds"):
            masking(Candidate("cat-2", "cats/2.jpg", "", "2", "", ("2",)), PICTURE)


def test_without_a_shard_there_is_nothing_to_take() -> None:
    with pytest.raises(D3SError, match="no masks"):
        choose_masking("segment")
