"""Figures of encoders from their tables: what is drawn, where, and what is said when there is nothing to draw."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from d3s.figures_encoders import ENCODER_FIGURES, draw_feature_map, draw_rho, draw_tradeoff, draw_training, look_of


def words(figure: Figure) -> str:
    return " ".join(text.get_text() for text in figure.texts)


def probes(objectives: tuple[str, ...] = ("erm", "hsic")) -> pd.DataFrame:
    """Told by the right part 0.8, by the wrong one 0.5 for erm and 0.2 for others; chance is 0.2."""
    rows = [
        {"objective": objective, "seed": "mean", "features": features, "target": target, "probe": probe}
        | {"fitted_on": "val_crossfit", "evaluated_on": "images", "metric": "top1", "chance": 0.2}
        | {"value": value, "ci_low": value - 0.05, "ci_high": value + 0.05}
        for objective in objectives
        for probe in ("linear", "mlp")
        for features in ("foreground", "background", "all")
        for target in ("foreground", "background")
        for value in [0.8 if features in (target, "all") else 0.5 if objective == "erm" else 0.2]
    ]
    return pd.DataFrame(rows)


def test_an_objective_stands_where_its_leakage_and_usefulness_are() -> None:
    figure = draw_tradeoff(probes())
    points = [line.get_xydata()[0] for line in figure.axes[0].lines if len(line.get_xydata()) == 1]
    places = {(round(float(x), 6), round(float(y), 6)) for x, y in points}
    assert places == {(30.0, 100.0), (0.0, 100.0)}
    assert [axes.get_title() for axes in figure.axes] == ["foreground part", "background part"]


def test_no_two_objectives_look_alike() -> None:
    assert len({look_of(place) for place in range(40)}) == 40


def test_without_the_baseline_nothing_is_compared() -> None:
    assert "no rows of erm" in words(draw_tradeoff(probes(("hsic",))))


def test_terms_of_an_objective_have_lines_for_each_seed() -> None:
    rows = [
        {"objective": objective, "seed": seed, "step": step, "term": term, "value": 1.0 / step}
        for objective, terms in (("erm", []), ("hsic", ["foreground_dependence", "inner_loss"]))
        for seed in (0, 1, 2)
        for step in (20, 40)
        for term in ["class_entropy", "background_entropy", "loss", *terms]
    ]
    figure = draw_training(pd.DataFrame(rows))
    assert [axes.get_title() for axes in figure.axes[::2]] == ["erm", "hsic"]
    assert [len(axes.lines) for axes in figure.axes] == [6, 0, 6, 3]


def test_a_map_has_a_panel_for_each_part_and_label() -> None:
    draws = np.random.default_rng(0)
    rows = [
        {"objective": objective, "part": part, "class_name": f"c{number % 3}", "background": f"b{number % 2}"}
        | dict(zip("xy", draws.normal(size=2), strict=True))
        for objective in ("adversarial", "erm", "hsic")
        for part in ("foreground", "background")
        for number in range(12)
    ]
    figure = draw_feature_map(pd.DataFrame(rows))
    assert [axes.get_title() for axes in figure.axes[::2]] == [
        *("erm, foreground part", "erm, background part"),
        *("hsic, foreground part", "hsic, background part"),
    ]
    assert [len(axes.lines) for axes in figure.axes[:2]] == [3, 2]
    assert figure.axes[0].get_xlabel() == "by class: should show"
    assert figure.axes[1].get_xlabel() == "by background: should not show"


@pytest.mark.parametrize("name", ENCODER_FIGURES)
def test_an_empty_table_is_said_in_words(name: str) -> None:
    _, columns, draw = ENCODER_FIGURES[name]
    assert "has no rows" in words(draw(pd.DataFrame(columns=list(columns))))


def test_lines_over_rho_are_the_foreground_parts_and_all_features_of_the_baseline() -> None:
    rows = [
        {"objective": objective, "seed": seed, "features": features, "pairing": "mean", "rho": rho, "method": method}
        | {"target": "foreground", "tested_on": tested_on, "metric": "top1"}
        | {"value": 0.8 - 0.2 * rho, "ci_low": 0.5, "ci_high": 0.9}
        for objective in ("erm", "hsic", "end_to_end")
        for seed in ("0", "mean")
        for features in (("all",) if objective == "end_to_end" else ("foreground", "background", "all"))
        for rho in (1, 0, 0.5)
        for method in ("erm", "dfr")
        for tested_on in ("images_anticorr", "images_cor", "guides_anticorr")
    ]
    figure = draw_rho(pd.DataFrame(rows))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *("erm, all", "trained end to end", "erm, foreground part", "hsic, foreground part"),
    ]
    assert [len(axes.lines) for axes in figure.axes] == [4, 4]
    assert figure.axes[0].lines[0].get_xydata().round(9).tolist() == [[0, 80], [0.5, 70], [1, 60]]
