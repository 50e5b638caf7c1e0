"""The page of a study's verdicts: what is shown, in which order, and what stands where a figure is missing."""

from typing import Any

import pandas as pd

from d3s.study_summary import summary

PARTS = {"foreground": "background", "background": "foreground"}


def row(objective: str, part: str, target: str, probe: str, value: float) -> dict[str, Any]:
    own = {"objective": objective, "part": part, "target": target, "probe": probe, "fitted_on": "val_crossfit"}
    found = {"value": value, "ci_low": value - 0.1, "ci_high": value + 0.1, "chance": 0.2}
    return own | found | {"dataset": "images", "upper_minus_chance": value - 0.1, "holds": "no"}


def page(leaks: dict[str, float]) -> str:
    probed = [(part, other, probe) for part, other in PARTS.items() for probe in ("linear", "mlp")]
    leakage = [row(name, *each, value) for name, value in leaks.items() for each in probed]
    useful = [row(name, part, part, "linear", 0.9) | {"holds": "yes"} for name in leaks for part in PARTS]
    scores = pd.DataFrame(useful).rename(columns={"part": "features", "dataset": "evaluated_on"})
    return summary(pd.DataFrame(leakage), pd.DataFrame(useful), scores.assign(seed="mean", metric="top1"))


def test_plain_training_comes_first_and_then_what_leaks_least() -> None:
    lines = page({"loose": 0.8, "tight": 0.3, "erm": 0.9}).splitlines()
    assert [line.split("`")[1] for line in lines if line.startswith("| `")] == ["erm", "tight", "loose"] * 2


def test_figures_stand_with_their_intervals_and_verdicts_beside_the_margin() -> None:
    made = page({"erm": 0.5})
    assert "| chance |  |  | 20 | 20 | 20 | 20 |" in made
    assert "| `erm` | 90.0 [80, 100] | 90.0 [80, 100] | 50.0 [40, 60]" in made
    assert "| `erm` | yes (90 [80, 100]) | yes (90 [80, 100]) | no (+40.0)" in made


def test_a_data_set_without_probes_has_no_section() -> None:
    assert "## On images" in page({"erm": 0.5})
    assert "## On guides" not in page({"erm": 0.5})
