"""Every config that comes with the repository plans its run on the files that it names."""

from pathlib import Path

import pytest

from running import snakemake
from stand_ins import CONFIGS, lay_out_stand_ins


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_a_shipped_config_plans(tmp_path: Path, config: Path) -> None:
    planned = snakemake(tmp_path, lay_out_stand_ins(tmp_path, config), "images", "--dry-run", "--quiet", "rules")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "generate_images" in planned.stdout + planned.stderr
