"""Figures of what backgrounds cost: what they mark, group and leave out."""

import pandas as pd
from test_figures_classifiers import MANY, letters

from d3s.drawing import STRONG_BLUE, svg_of
from d3s.figures_backgrounds import BACKGROUND_FIGURES, signed, variance_rows
from d3s.roles import with_roles
from evaluation_tables import ROLES, evaluation_tables


def drawn(name: str, table: pd.DataFrame) -> str:
    """The text of a figure's drawing."""
    return svg_of(name, BACKGROUND_FIGURES[name][2], with_roles(table, ROLES))


def framed(svg: str) -> int:
    """How many cells of a drawing have a frame."""
    return svg.count("stroke: #0b0d0f")


def test_drops_are_grouped_by_family_and_name_their_references() -> None:
    found = letters(drawn("drops", evaluation_tables()["background_effects"]))
    names = [text for text in found if text.startswith(("family", "lite"))]
    assert names == ["family0", "lite0", "family1", "lite1", "family2", "lite2"]
    assert {"against guides", "against cut-outs on grey", "against imagenet9", "backbone"} <= set(found)


def test_without_a_reference_there_are_no_drops() -> None:
    table = evaluation_tables()["background_effects"]
    assert "no rows" in drawn("drops", table[table["metric"] != "drop_top1"])


def test_effects_are_signed_and_framed_where_the_interval_excludes_zero() -> None:
    svg = drawn("effects", evaluation_tables(models=("lite2",))["background_effects"])
    assert {"+10", "0", "\u221210"} <= set(letters(svg))
    assert framed(svg) == 2


def test_flips_stand_beside_what_they_would_be() -> None:
    table = evaluation_tables()["background_effects"]
    found = letters(drawn("flips", table))
    assert {"worst background", "spread", "sets that flip", "pairs that differ"} <= set(found)
    assert "if backgrounds did nothing" in found
    single = table[~table["metric"].str.startswith(("pair_flip", "background_flip"))]
    assert "pairs that differ" not in letters(drawn("flips", single))  # no exemplar has two sets
    unmatched = letters(drawn("flips", table[table["metric"].str.startswith(("worst", "spread"))]))
    assert "spread" in unmatched
    assert not {"sets that flip", "if images were independent"} & set(unmatched)


def test_shifts_are_told_apart() -> None:
    tables = [evaluation_tables(shift=shift)["background_effects"] for shift in ("lighting", "weather")]
    table = pd.concat(tables).drop_duplicates()
    found = letters(drawn("flips", table))
    assert {"lite2, lighting", "lite2, weather"} <= set(found)
    assert {"lighting", "weather"} <= set(letters(drawn("effects", table)))


def test_pairs_are_framed_by_their_adjusted_p() -> None:
    table = evaluation_tables(backgrounds=("a", "b", "c"))["paired_backgrounds"]
    assert framed(drawn("paired_backgrounds", table)) == 6
    solid = drawn("paired_backgrounds", table)
    table = table.assign(p_clustered_holm=0.2, p_holm=0.01)
    dashed = drawn("paired_backgrounds", table)
    assert framed(dashed) == 6
    assert dashed.count("stroke-dasharray") > solid.count("stroke-dasharray")
    assert framed(drawn("paired_backgrounds", table.assign(p_holm=0.2))) == 0


def test_variance_is_of_the_crossed_design_where_there_is_one() -> None:
    table = evaluation_tables()["variance_shares"]
    sets = table[table["component"].isin(("background", "rest"))].assign(dataset="images", design="sets")
    guides = table.assign(dataset="crossed_guides")  # the same design, without noise
    assert set(variance_rows(pd.concat([guides, table, sets]))["dataset"]) == {"crossed"}
    assert set(variance_rows(sets)["design"]) == {"sets"}
    found = letters(drawn("variance_shares", table))
    assert {"foreground x background", "31", "29", "log odds of the own class", "right or wrong"} <= set(found)


def test_bars_with_letters_keep_their_colour_on_a_dark_page() -> None:
    assert STRONG_BLUE in drawn("variance_shares", evaluation_tables()["variance_shares"])


def test_a_component_that_the_design_cannot_tell_is_left_out() -> None:
    table = evaluation_tables()["variance_shares"]
    table.loc[table["component"] == "noise", "share"] = float("nan")
    assert "noise" not in letters(drawn("variance_shares", table))


def test_many_classifiers_and_classes_are_drawn_in_bounds() -> None:
    tables = evaluation_tables(models=MANY, backgrounds=("a", "b"), classes=("x",))
    for name in ("drops", "effects", "flips", "variance_shares"):
        svg = drawn(name, tables[BACKGROUND_FIGURES[name][0]])
        assert "5 more" in svg, name
        assert len(svg) < 500_000, name


def test_many_classes_are_a_bar_and_not_dots() -> None:
    few, many = (
        drawn("diversity", evaluation_tables(classes=[f"c{n}" for n in range(count)], models=("m",))["diversity"])
        for count in (8, 400)
    )
    assert len(many) < 2 * len(few)


def test_differences_have_signs_but_zero() -> None:
    assert [signed(value) for value in (0.104, -0.1, 0.001, -0.001)] == ["+10", "\u221210", "0", "0"]
