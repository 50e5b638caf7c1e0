"""What classifiers look at comes as one table, whatever it lies in."""

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from benchmark_layouts import benchmark, make_tree
from d3s.benchmark_index import build_index
from d3s.crossed import Crossed
from d3s.cutouts import paste_cutouts, plan_cutouts
from d3s.errors import BadInput, D3SError
from d3s.guides import Chooser, ShardPlan, choose_by_index, compose_shard
from d3s.identity import file_sha256
from d3s.imageio import image_digest
from d3s.label_maps import LabelMap
from d3s.shards import write_shard, write_table
from d3s.subject_names import OWN_DATASETS
from d3s.subjects import COLUMNS, DIGESTS, loads_of, read_index, read_shards
from material import CLASSES, PROMPTS, RANGES, make_material


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Templates, guides, cut-outs and guides of a crossed design."""
    folder = tmp_path_factory.mktemp("subjects")
    material = make_material(folder)
    grass, design = material["grass"], Crossed(2, 1, 2)
    designs: dict[str, Chooser] = {"guides": choose_by_index, "crossed": design}
    for name, split in (("guides", "val"), ("crossed", "crossed")):
        plan = ShardPlan(split, "background", "grass", "on grass", "grass", 0, 2, 7)
        made = compose_shard(plan, CLASSES, grass, RANGES, PROMPTS, 32, choices=designs[name])
        write_shard(folder / f"{name}.tar", *made)
    planned = plan_cutouts(ShardPlan("val", "background", "", "", "", 0, 2, 7), [0], CLASSES, grass.exemplars, RANGES)
    write_shard(folder / "cutouts.tar", *paste_cutouts(planned, grass.exemplars, grass.exemplar_tar, 32))
    return folder


def test_every_data_set_has_a_digest_column() -> None:
    assert set(DIGESTS) == set(OWN_DATASETS)


@pytest.mark.parametrize(
    ("dataset", "shards", "count"),
    [
        ("guides", ["guides"], 4),
        ("cutouts", ["cutouts"], 4),
        ("templates", ["grass", "sand"], 6),
        ("crossed_guides", ["crossed"], 4),
    ],
)
def test_own_data_sets_are_read_from_their_shards(folder: Path, dataset: str, shards: list[str], count: int) -> None:
    rows = read_shards(dataset, [folder / f"{name}.tar" for name in shards])
    assert list(rows.columns) == COLUMNS
    assert len(rows) == count
    assert rows["sample"].is_unique
    digests = {place: image_digest(load()) for place, load in loads_of(rows, range(len(rows)))}
    assert digests == rows["digest"].to_dict()


def test_templates_are_those_of_val(folder: Path) -> None:
    rows = read_shards("templates", [folder / "grass.tar"])
    assert rows["sample"].tolist() == ["grass/grass3", "grass/grass4", "grass/grass5"]


def test_guides_of_the_crossed_design_are_seen_once(folder: Path) -> None:
    every = pd.read_parquet(folder / "crossed.parquet")
    rows = read_shards("crossed_guides", [folder / "crossed.tar"])
    assert 2 * len(rows) == len(every)
    assert set(rows["digest"]) == set(every["guide_digest"])


def test_a_benchmark_is_read_from_its_files(tmp_path: Path) -> None:
    folder = make_tree(tmp_path / "theirs", "frog/1.png", "frog/2.png", "frog/3.png")
    labels = LabelMap.from_rows([{"label": "frog", "name": "frog", "imagenet_indices": "30"}])
    write_table(tmp_path / "theirs.parquet", build_index(benchmark("imagefolder", folder), labels, file_sha256))
    whole = (folder / "frog/2.png").read_bytes()
    (folder / "frog/2.png").write_bytes(whole[: len(whole) // 2])
    rows = read_index(tmp_path / "theirs.parquet")
    assert list(rows.columns) == COLUMNS
    found = dict(loads_of(rows, [0, 1]))
    assert found[0]().size == Image.open(folder / "frog/1.png").size
    with pytest.raises(BadInput) as refused:
        found[1]()
    assert refused.value.status == "truncated"


def test_a_picture_that_a_shard_lacks_is_refused_alone(folder: Path, tmp_path: Path) -> None:
    rows = read_shards("guides", [folder / "guides.tar"])
    rows.loc[1, "member"] = "lost.png"
    found = dict(loads_of(rows, [0, 1]))
    assert found[0]().size == (32, 32)
    with pytest.raises(BadInput, match=r"has no member 'lost\.png'"):
        found[1]()


def test_tables_that_cannot_be_used_are_clear_errors(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(D3SError, match=r"none\.parquet can't be read"):
        read_shards("guides", [tmp_path / "none.tar"])
    with pytest.raises(D3SError, match="no column image_digest"):
        read_shards("images", [folder / "cutouts.tar"])
    write_table(tmp_path / "index.parquet", pd.DataFrame({"sample": ["a"], "file": ["a.png"]}))
    with pytest.raises(D3SError, match="lacks the column 'box'"):
        read_index(tmp_path / "index.parquet")
    row = dict.fromkeys(["sample", "file", "digest", "status", "reason", "box"], "a")
    write_table(tmp_path / "twice.parquet", pd.DataFrame([row, row]))
    with pytest.raises(D3SError, match="the sample 'a' twice"):
        read_index(tmp_path / "twice.parquet")
