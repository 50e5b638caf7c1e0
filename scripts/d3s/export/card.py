"""The card of the data set: what a person reads first, and the head that Hugging Face's library reads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from d3s.export.facts import About, Facts, count
from d3s.export.parquet import features_of_card
from d3s.export.records import FIELDS
from d3s.markdown import code, escape, licence_of, one_line

TEMPLATE = Path(__file__).with_name("card.md")
MOST_CLASSES, MOST_BACKGROUNDS = 60, 20
"""The largest table of images by class and background that a person still reads; larger ones are summarised."""
SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))


def front_matter(facts: Facts, about: About, bytes_of: Mapping[str, int]) -> str:
    """The head of the card, in YAML.

    Args:
        facts: of the export.
        about: what config and tables say.
        bytes_of: the size of the Parquet files, by split.
    """
    export = about.settings["export"]
    head: dict[str, Any] = {"pretty_name": one_line(export["title"] or export["name"])}
    head |= licence_of(export["licence"]) | {
        "task_categories": ["image-classification"],
        "size_categories": [next((name for most, name in SIZES if facts.images < most), "n>10M")],
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "tags": ["synthetic", "diffusion", "distribution-shift", "spurious-correlation"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": row["split"], "path": f"data/{row['split']}-*.parquet"} for row in facts.splits
                ],
            }
        ],
        "dataset_info": {
            "features": features_of_card(about.labels),
            "splits": [
                {"name": row["split"], "num_bytes": bytes_of[row["split"]], "num_examples": row["images"]}
                for row in facts.splits
            ],
            "download_size": sum(bytes_of.values()),
            "dataset_size": sum(bytes_of.values()),
        },
    }
    text: str = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{text}---\n"


def summarise(cells: pd.DataFrame) -> dict[str, int]:
    """A large table of images by class and background in four numbers."""
    values = cells.to_numpy()
    return {
        "pairs": values.size,
        "empty": int((values == 0).sum()),
        "fewest": int(values.min()),
        "median": int(pd.Series(values.ravel()).median()),
        "most": int(values.max()),
    }


def render(facts: Facts, about: About, bytes_of: Mapping[str, int], files: Mapping[str, int]) -> str:
    """The card as Markdown.

    Args:
        facts: of the export.
        about: what config and tables say.
        bytes_of: the size of the Parquet files, by split.
        files: how many Parquet files, and as many tars, each split has.
    """
    # Every value passes through escape, wherever it stands; the template need not, and can't, think of it.
    environment = Environment(
        autoescape=False, finalize=escape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"code": code}
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    large = len(about.labels.classes) > MOST_CLASSES or len(about.labels.backgrounds) > MOST_BACKGROUNDS
    text = template.render(
        facts=facts,
        about=about,
        export=about.settings["export"],
        settings=about.settings,
        fields=FIELDS,
        files=files,
        large=large,
        summarise=summarise,
        count=count,
        tar_range=lambda split: Markup(
            f"{split}-{{000000..{files[split] - 1:06d}}}.tar" if files[split] > 1 else f"{split}-000000.tar"
        ),
        most_classes=MOST_CLASSES,
    )
    return front_matter(facts, about, bytes_of) + "\n" + text.strip() + "\n"
