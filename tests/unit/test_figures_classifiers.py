"""Figures of how well classifiers do: whom they show, what they say, and that they stand any number of rows."""

import pandas as pd
import pytest

from d3s.drawing import svg_of
from d3s.figures_classifiers import CLASSIFIER_FIGURES, best_first, chosen_models
from d3s.roles import with_roles
from evaluation_tables import MANY, ROLES, evaluation_tables, letters


def drawn(name: str, tables: dict[str, pd.DataFrame], roles: dict[str, str] | None = None) -> str:
    """The text of a figure's drawing."""
    source, _, draw = CLASSIFIER_FIGURES[name]
    return svg_of(name, draw, with_roles(tables[source], ROLES if roles is None else roles))


def test_ranking_shows_every_classifier_best_first_with_its_part() -> None:
    tables = evaluation_tables()
    tables["classifiers"].loc[tables["classifiers"]["model"] == "lite1", "value"] += 0.15
    found = letters(drawn("ranking", tables))
    assert [text for text in found if text.startswith("lite")] == ["lite1", "lite0", "lite2"]
    assert {"backbone", "screen", "cut-outs on grey", "guides", "generated images", "accepted images"} <= set(found)
    assert "judge" not in found


def test_without_images_the_ranking_goes_by_what_there_is() -> None:
    table = evaluation_tables()["classifiers"]
    table = table[table["dataset"] == "guides"].copy()
    table.loc[table["model"] == "lite2", "value"] = 1.0
    assert best_first(table)[0] == "lite2"


def test_of_many_classifiers_those_with_a_part_stay() -> None:
    table = with_roles(pd.DataFrame({"model": [f"m{n:02}" for n in range(60)]}), {"m59": "screen", "m58": "judge"})
    chosen = chosen_models(table["model"].tolist(), table, most=40)
    assert len(chosen) == 40
    assert chosen[:38] == [f"m{n:02}" for n in range(38)]
    assert chosen[38:] == ["m58", "m59"]


def test_accuracy_by_background_is_the_judges() -> None:
    found = letters(drawn("classifiers", evaluation_tables(backgrounds=("grass <&> $x$", "night"))))
    assert "lite2" in found
    assert "lite0" not in found
    assert "grass &lt;&amp;&gt; $x$" in found
    assert found.count("n = 40") == 3


def test_cells_of_classes_say_accuracy_and_n() -> None:
    found = letters(drawn("class_by_background", evaluation_tables()))
    assert found.count("n=8") == 2 * 4
    assert {"bird", "drum", "lite2", "80", "70", "0"} <= set(found)
    assert not [text for text in found if text.startswith("mean of")]


def test_several_judges_have_a_mean() -> None:
    roles = {"lite2": "judge", "lite1": "judge"}
    assert "mean of 2 judges" in letters(drawn("class_by_background", evaluation_tables(), roles))


def test_of_a_thousand_classes_the_widest_are_shown_and_counted() -> None:
    tables = evaluation_tables(classes=[f"class{number}" for number in range(1000)], models=("lite2",))
    found = letters(drawn("class_by_background", tables))
    assert "the 24 of 1,000 classes with the widest spread" in found
    assert "class0" in found  # nothing on one background and 80 % on the others
    assert "class4" not in found  # 80 % everywhere


def test_a_class_without_images_is_no_cell() -> None:
    tables = evaluation_tables(models=("lite2",))
    table = tables["class_by_background"]
    table.loc[(table["class_name"] == "bird") & (table["background"] == "grass"), ["value", "n"]] = [float("nan"), 0]
    found = letters(drawn("class_by_background", tables))
    assert found.count("n=8") == 7
    assert "\u2013" in found


def test_agreement_has_both_measures() -> None:
    found = letters(drawn("agreement", evaluation_tables()))
    assert found.count("61") == 3
    assert found.count(".61") == 3


@pytest.mark.parametrize("name", ["ranking", "reliability", "agreement"])
def test_many_classifiers_are_cut_and_counted(name: str) -> None:
    text = drawn(name, evaluation_tables(models=MANY, backgrounds=("a", "b")))
    left_out = len(MANY) - (12 if name == "reliability" else 40)
    assert f"{left_out} more classifiers stand in the table" in text


def test_one_classifier_agrees_with_nobody_in_words() -> None:
    assert "no rows" in drawn("agreement", {"classifier_agreement": evaluation_tables()["classifier_agreement"][:0]})
