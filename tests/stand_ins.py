"""Stand-ins for the files that the shipped configs of real sources name: dry runs plan on them as on the real ones."""

import shutil
from pathlib import Path

from PIL import Image

from d3s.config import read_config
from d3s.tables import read_table
from tiny import ROOT

CONFIGS = [
    ROOT / "config/paper.yaml",
    *sorted(file for file in (ROOT / "config/examples").glob("*.yaml") if file.stem not in ("released", "benchmarks")),
]
"""The released data set has stand-ins of its own (``released.py``); benchmarks are laid over another config."""


def lay_out_stand_ins(folder: Path, config: Path) -> Path:
    """Copy the tables of a shipped config to a folder and make what it names under ``data/``; gives the copy's path."""
    shutil.copytree(ROOT / "config", folder / "config")
    settings = read_config(config)
    tables = settings["tables"]
    source = settings["foregrounds"]["source"]
    for row in read_table(ROOT / tables["classes"], "classes"):
        name = row["synset"] if source["kind"] == "imagenet" else row["name"]
        _picture(folder / source["folder"] / name / f"{name}_1.png")
    for name in ("masks", "features"):
        path = folder / source.get(name, "")
        if source.get(name) and path.suffix:
            path.write_text("")
        elif source.get(name):
            path.mkdir(parents=True, exist_ok=True)
    for row in read_table(ROOT / tables["templates"], "templates"):
        _picture(folder / row["file"] / "1.png")
    return folder / config.relative_to(ROOT)


def _picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA", (8, 8), (90, 120, 60, 255)).save(path)
