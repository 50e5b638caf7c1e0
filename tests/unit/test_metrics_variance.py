import re
from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from d3s.metrics.estimates import Bootstrap
from d3s.metrics.variance import CROSSED, Design, components, crossed_designs, variance_table
from judged import judged_rows, matched

BOOTSTRAP = Bootstrap(seed=0, resamples=200)
TRUTH = {"E": 2.0, "P": 0.5, "Q": 0.3, "B": 1.0, "EB": 0.4, "EP": 0.2, "PB": 0.7, "PQ": 0.1, "EPQB": 0.6}
"""Variances of effects; PB is that of templates."""
GROUPS = {
    "foreground": ("E",),
    "placement": ("P", "EP"),
    "noise": ("Q", "PQ"),
    "background": ("B",),
    "foreground_x_background": ("EB",),
    "rest": ("PB", "EPQB"),
}


def simulate(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> np.ndarray:
    """Exemplars x placements x noises x backgrounds with effects of the variances ``TRUTH``."""
    values = np.zeros(shape)
    for effect, variance in TRUTH.items():
        size = [levels if name in effect else 1 for name, levels in zip("EPQB", shape, strict=True)]
        values = values + np.sqrt(variance) * rng.normal(size=size)
    return values


def frame_of(designs: list[np.ndarray], drop: int | None = None) -> pd.DataFrame:
    """Judged rows of classes with these answers; ``drop`` leaves out one picture."""
    rows = [
        {
            "class_id": class_id,
            "exemplar": f"c{class_id}e{e}",
            "placement": str(p),
            "noise": str(q),
            "background": f"b{b}",
            "margin": values[e, p, q, b],
            "top1": float(values[e, p, q, b] > 0),
        }
        for class_id, values in enumerate(designs)
        for e, p, q, b in product(*map(range, values.shape))
    ]
    if drop is not None:
        del rows[drop]
    return judged_rows(rows, dataset="crossed")


def components_of(values: np.ndarray) -> dict[str, float]:
    found = components([Design(values, [])], [np.ones((1, len(values)))])
    return {name: float(numbers[0]) for name, numbers in found.items()}


def test_components_are_those_of_the_analysis_of_variance_table() -> None:
    """Mean squares from statsmodels; expected mean squares of the random model solved for every effect."""
    levels = dict(zip("EPQB", shape := (4, 3, 2, 5), strict=True))
    values = simulate(np.random.default_rng(0), shape)
    frame = pd.DataFrame(list(product(*map(range, shape))), columns=list("EPQB")).assign(y=values.ravel())
    model = smf.ols("y ~ (C(E) + C(P) + C(Q) + C(B)) ** 3", frame).fit()
    table = sm.stats.anova_lm(model, typ=1)
    squares = {
        "EPQB" if term == "Residual" else re.sub(r"C\((\w)\):?", r"\1", term): row for term, row in table.iterrows()
    }
    squares = {term: row["sum_sq"] / row["df"] for term, row in squares.items()}
    assert len(squares) == 15

    def component(effect: str) -> float:
        found = sum((-1) ** (len(c) - len(effect)) * square for c, square in squares.items() if set(effect) <= set(c))
        return found / np.prod([size for name, size in levels.items() if name not in effect])

    every = {effect: component(effect) for effect in squares}
    expected = {
        "foreground": every["E"],
        "placement": every["P"] + every["EP"],
        "noise": every["Q"] + every["EQ"] + every["PQ"] + every["EPQ"],
        "background": every["B"],
        "foreground_x_background": every["EB"],
        "rest": every["PB"] + every["EPB"] + every["QB"] + every["EQB"] + every["PQB"] + every["EPQB"],
    }
    assert components_of(values) == pytest.approx(expected)


def test_two_ways_are_those_of_a_mixed_model() -> None:
    """Sets and backgrounds crossed, without repetition: REML gives the same where no component is negative."""
    values = simulate(np.random.default_rng(2), (12, 1, 1, 6))
    frame = pd.DataFrame(list(product(range(12), range(6))), columns=["e", "b"]).assign(y=values.ravel(), one=1)
    formula = {"e": "0 + C(e)", "b": "0 + C(b)"}
    model = smf.mixedlm("y ~ 1", frame, groups="one", vc_formula=formula).fit(reml=True)
    found = components_of(values)
    components = dict(zip(model.model.exog_vc.names, model.vcomp, strict=True))
    assert found["foreground"] == pytest.approx(components["e"], rel=1e-3)
    assert found["background"] == pytest.approx(components["b"], rel=1e-3)
    assert found["rest"] == pytest.approx(model.scale, rel=1e-3)


@pytest.mark.parametrize("shape", [(4, 2, 2, 3), (4, 3, 1, 3), (4, 1, 3, 3), (6, 1, 1, 3)])
def test_components_are_unbiased(shape: tuple[int, int, int, int]) -> None:
    """Also with a single placement or noise, whose effects then go elsewhere, or are the same for all."""
    rng = np.random.default_rng(0)
    found = pd.DataFrame([components_of(simulate(rng, shape)) for _ in range(800)]).mean()
    single = {name for name, levels in zip("EPQB", shape, strict=True) if levels == 1}
    truth: dict[str, float] = {}
    for effect, variance in TRUTH.items():
        seen = "".join(name for name in effect if name not in single)
        truth[seen] = truth.get(seen, 0.0) + variance
    groups = GROUPS | {"rest": tuple(effect for effect in truth if "B" in effect and effect not in ("B", "EB"))}
    if single == {"P", "Q"}:
        groups["rest"] = ("EB",)
    known = [name for name in CROSSED if np.isfinite(found[name])]
    assert set(CROSSED) - set(known) == (
        {"placement" for name in single if name == "P"}
        | {"noise" for name in single if name == "Q"}
        | ({"foreground_x_background"} if single == {"P", "Q"} else set())
    )
    for name in known:
        assert found[name] == pytest.approx(sum(truth.get(effect, 0.0) for effect in groups[name]), abs=0.25), name


def test_shares_of_a_crossed_design_add_up_and_have_intervals() -> None:
    rng = np.random.default_rng(1)
    table = variance_table(frame_of([simulate(rng, (4, 2, 2, 5)) for _ in range(6)]), BOOTSTRAP)
    margin = table[table["outcome"] == "margin"].set_index("component")
    assert list(margin.index) == list(CROSSED)
    assert margin["share"].sum() == pytest.approx(1)
    assert ((margin["ci_low"] <= margin["share"]) & (margin["share"] <= margin["ci_high"])).all()
    assert (margin[["n", "classes", "exemplars", "placements", "noises", "backgrounds"]] == [480, 6, 24, 2, 2, 5]).all(
        axis=None
    )


def test_a_negative_component_is_said_and_its_share_is_nothing() -> None:
    """Two exemplars that the backgrounds turn in opposite ways: backgrounds have less than nothing in common."""
    values = np.array([1.0, -1.0])[:, None, None, None] * np.array([1.0, 0.0, -1.0]) + np.zeros((2, 2, 2, 3))
    values = values + 0.01 * np.random.default_rng(0).normal(size=values.shape)
    table = variance_table(frame_of([values]), BOOTSTRAP)
    row = table[(table["component"] == "background") & (table["outcome"] == "margin")].iloc[0]
    assert row["negative"]
    assert row["variance"] == pytest.approx(-1, abs=0.05)
    assert row["share"] == 0


def test_an_exemplar_that_lacks_a_picture_is_left_out() -> None:
    values = simulate(np.random.default_rng(1), (3, 2, 2, 3))
    (design,) = crossed_designs(frame_of([values], drop=5), "margin")
    assert list(design.names) == ["c0e1", "c0e2"]
    np.testing.assert_array_equal(design.values, values[1:])


def test_a_design_of_single_exemplars_has_a_reason() -> None:
    table = variance_table(frame_of([np.zeros((1, 2, 2, 3))]), BOOTSTRAP)
    assert table["share"].isna().all()
    assert table["reason"].unique().tolist() == ["no class has two exemplars (sets) with a picture in every cell"]


def test_ordinary_sets_are_decomposed_in_two_ways() -> None:
    """A background that decides all, then sets that do."""
    by_background = matched(np.tile([1.0, 1, 0], (6, 1)), exemplars=list("aabbcc"))
    by_set = matched(np.repeat([[1.0], [0], [1], [0], [1], [0]], 3, axis=1), exemplars=list("aabbcc"))
    for frame, component in ((by_background, "background"), (by_set, "set")):
        table = variance_table(frame, BOOTSTRAP)
        shares = table[table["outcome"] == "correct"].set_index("component")["share"]
        assert shares[component] == pytest.approx(1)
        assert table["design"].unique().tolist() == ["sets"]
        assert table.loc[table["outcome"] == "correct", "exemplars"].unique().tolist() == [3]


def test_without_sets_there_is_nothing_to_decompose() -> None:
    assert variance_table(judged_rows([{"background": "a"}]), BOOTSTRAP).empty
