"""The card says what the encoder is and what was measured, and shows hostile names as text."""

from typing import Any

import pandas as pd
import yaml

from d3s.encoder_use.model_card import probe_figures, render
from markdown_pages import HOSTILE, rendered

ABOUT: dict[str, Any] = {
    "encoder": {"timm_name": "resnet50", "input_size": 224, "backgrounds": ["grass", HOSTILE], "classes": [0, 1]},
    "foreground_features": 1798,
    "background_features": 250,
    "objective": "hsic",
    "objective_settings": {"weight": 2.0},
    "seed": 3,
    "n": 509,
    "run": "a1",
    "versions": {"torch": "2.14.1"},
}
ROW: dict[str, Any] = {
    "objective": "hsic",
    "seed": "3",
    "features": "foreground",
    "target": "background",
    "probe": "linear",
}
ROW |= {"fitted_on": "train", "evaluated_on": "guides", "metric": "top1", "value": 0.21, "ci_low": 0.17}
ROW |= {"ci_high": 0.25, "chance": 0.17, "n": 384}


def card(figures: list[dict[str, str]], **changes: Any) -> str:
    grey = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    return render(ABOUT | changes, ["water_bird", HOSTILE], figures, "ab" * 32, grey, 2.9e-06, "Apache-2.0")


def test_figures_are_those_of_the_encoder_s_own_linear_probes() -> None:
    others = [{"seed": "mean"}, {"objective": "erm"}, {"probe": "mlp"}, {"metric": "control"}, {"features": "all"}]
    table = pd.DataFrame([ROW, *[ROW | other for other in [*others, {"fitted_on": "val_crossfit"}]]])
    (row,) = probe_figures(table, "hsic", 3)
    assert row["value"] == "21.0 % (17.0 to 25.0)"
    page = rendered(card([row]))
    assert "21.0 % (17.0 to 25.0)" in page.text
    assert page.tags.count("table") == 2


def test_what_was_not_measured_is_said() -> None:
    text = card([])
    assert "Not measured yet" in text
    assert "What is not wanted should be at chance" not in text


def test_plain_training_is_called_a_baseline() -> None:
    assert "It is a\nbaseline" in card([], objective="erm")
    assert "baseline" not in card([])


def test_hostile_names_are_text() -> None:
    page = rendered(card([]).split("---\n", 2)[2])
    assert not {"script", "img", "a"} & set(page.tags)
    assert page.text.count("alert(1)") == 2


def test_the_head_is_read_by_hubs() -> None:
    head = yaml.safe_load(card([]).split("---\n", 2)[1])
    assert (head["library_name"], head["license"]) == ("timm", "apache-2.0")
