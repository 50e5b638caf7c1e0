"""The script that trains the demo's generator: states of another run are never gone on with unnoticed."""

from pathlib import Path

import pytest

from d3s.errors import D3SError
from d3s.generator_data import CompositeSource
from tiny import draw_ground, draw_object
from train_demo_generator import claim, source_digest


def test_a_work_folder_belongs_to_one_run(tmp_path: Path) -> None:
    claim(tmp_path, {"seed": 0, "pictures": "a"})
    claim(tmp_path, {"seed": 0, "pictures": "a"})
    with pytest.raises(D3SError, match=r"another training \(other: seed\)"):
        claim(tmp_path, {"seed": 1, "pictures": "a"})


def test_states_that_nothing_describes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "vae.safetensors").touch()
    with pytest.raises(D3SError, match="holds the states of another training"):
        claim(tmp_path, {"seed": 0})


def test_pictures_and_words_make_the_digest_of_a_source() -> None:
    def source(number: int = 0, phrase: str = "on grass") -> CompositeSource:
        return CompositeSource([[draw_object(0, number)]], [[draw_ground((9, 9, 9), 0)]], ["ball"], [""], [phrase])

    digests = {source_digest(source()), source_digest(source(number=1)), source_digest(source(phrase="on sand"))}
    assert len(digests) == 3
    assert source_digest(source()) in digests
