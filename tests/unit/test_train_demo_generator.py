"""The script that trains the demo's generator: states of another run are never gone on with unnoticed."""

from pathlib import Path

import pytest

from d3s.errors import D3SError
from train_demo_generator import claim


def test_a_work_folder_belongs_to_one_run(tmp_path: Path) -> None:
    claim(tmp_path, {"seed": 0, "pictures": "a"})
    claim(tmp_path, {"seed": 0, "pictures": "a"})
    with pytest.raises(D3SError, match=r"another training \(other: seed\)"):
        claim(tmp_path, {"seed": 1, "pictures": "a"})
