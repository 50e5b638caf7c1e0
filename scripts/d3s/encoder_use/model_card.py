"""The card of an encoder: what it is, how it is used, what can be read from its parts, and what it is not good for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, StrictUndefined

from d3s.markdown import code, escape, licence_of

TEMPLATE = Path(__file__).with_name("model_card.md")
NAMES = {"foreground": "class", "background": "background"}
"""What the tables call targets, in words."""


def probe_figures(probes: pd.DataFrame, objective: str, seed: int) -> list[dict[str, str]]:
    """The rows of the card's table: linear probes of one encoder, fitted on train.

    Args:
        probes: ``probes.csv``.
        objective, seed: whose.
    """
    own = probes[
        (probes["objective"] == objective)
        & (probes["seed"].astype(str) == str(seed))
        & (probes["probe"] == "linear")
        & (probes["metric"] == "top1")
        & (probes["fitted_on"] == "train")
        & probes["features"].isin(list(NAMES))
    ]
    rows = []
    own = own.sort_values(["target", "features", "evaluated_on"], ascending=False)
    for row in own.to_dict("records"):
        interval = f"{100 * row['ci_low']:.1f} to {100 * row['ci_high']:.1f}"
        rows.append(
            {"target": NAMES[row["target"]], "features": row["features"], "on": row["evaluated_on"], "n": str(row["n"])}
            | {"value": f"{100 * row['value']:.1f} % ({interval})", "chance": f"{100 * row['chance']:.1f} %"}
        )
    return rows


def render(
    about: Mapping[str, Any],
    labels: Sequence[str],
    figures: Sequence[Mapping[str, str]],
    weights: str,
    normalisation: Mapping[str, Sequence[float]],
    difference: float,
    licence: str = "",
) -> str:
    """The card as Markdown, with a head for hubs.

    Args:
        about: ``encoder.json``.
        labels: names of the classes.
        figures: of ``probe_figures``; none where nothing was measured.
        weights: SHA-256 of the encoder's weights.
        normalisation: ``mean`` and ``std`` of its input.
        difference: what the check of the ONNX file saw.
        licence: of the backbone's weights, where it is known.
    """
    environment = Environment(
        autoescape=False, finalize=escape, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        about=about,
        labels=[str(label).replace("_", " ") for label in labels],
        figures=figures,
        weights=weights,
        difference=difference,
        licence=licence,
        code=code,
        erased=bool(about.get("erased")),
        settings=", ".join(f"{name} {value}" for name, value in sorted(about["objective_settings"].items())),
        versions=", ".join(f"{name} {value}" for name, value in sorted(about["versions"].items())),
        **{name: ", ".join(f"{value:g}" for value in normalisation[name]) for name in ("mean", "std")},
    )
    head = {
        "library_name": "timm",
        "pipeline_tag": "image-feature-extraction",
        "tags": ["timm", "onnx", "disentanglement", "spurious-correlation", "synthetic"],
    } | licence_of(licence)
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n{text.strip()}\n"
