from itertools import product

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf

from d3s.metrics.estimates import Bootstrap
from d3s.metrics.variance import CROSSED, Design, crossed_components, crossed_designs, mean_squares, variance_table
from judged import judged_rows, matched

BOOTSTRAP = Bootstrap(seed=0, resamples=200)
TRUTH = {"foreground": 2.0, "placement": 0.5, "noise": 0.3, "background": 1.0, "foreground_x_background": 0.4}


def simulate(rng: np.random.Generator, shape: tuple[int, int, int, int], rest: float = 0.6) -> np.ndarray:
    """Exemplars x placements x noises x backgrounds of the model with the variances ``TRUTH`` and ``rest``."""
    e, p, q, b = shape
    sizes = {
        "foreground": (e, 1, 1, 1),
        "placement": (e, p, 1, 1),
        "noise": (e, p, q, 1),
        "background": (1, 1, 1, b),
        "foreground_x_background": (e, 1, 1, b),
    }
    values = np.sqrt(rest) * rng.normal(size=shape)
    for name, size in sizes.items():
        values = values + np.sqrt(TRUTH[name]) * rng.normal(size=size)
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
    _, p, q, b = values.shape
    squares = mean_squares([Design(values, [])], [np.ones((1, len(values)))])
    return {name: float(found[0]) for name, found in crossed_components(squares, (p, q, b)).items()}


def test_components_are_those_of_the_analysis_of_variance_table() -> None:
    """Mean squares from statsmodels, expected mean squares solved by hand."""
    e, p, q, b = shape = (4, 3, 2, 5)
    values = simulate(np.random.default_rng(0), shape)
    frame = pd.DataFrame(list(product(*map(range, shape))), columns=list("epqb")).assign(y=values.ravel())
    model = smf.ols("y ~ C(e) + C(e):C(p) + C(e):C(p):C(q) + C(b) + C(e):C(b) + C(e):C(p):C(b)", frame).fit()
    table = sm.stats.anova_lm(model, typ=1)
    square = (table["sum_sq"] / table["df"]).to_dict()
    rest = square["Residual"]
    placed, background = square["C(e):C(p):C(b)"], square["C(b)"]
    interaction, places, noises = square["C(e):C(b)"], square["C(e):C(p)"], square["C(e):C(p):C(q)"]
    expected = {
        "foreground": (square["C(e)"] - interaction - places + placed) / (p * q * b),
        "placement": (places - noises - placed + rest) / (q * b),
        "noise": (noises - rest) / b,
        "background": (background - interaction) / (e * p * q),
        "foreground_x_background": (interaction - placed) / (p * q),
        "rest": rest + (placed - rest) / q,
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
    """With a single placement its component goes to the foreground, with a single noise that goes to the placement."""
    rng = np.random.default_rng(0)
    found = pd.DataFrame([components_of(simulate(rng, shape)) for _ in range(3000)]).mean()
    expected = TRUTH | {"rest": 0.6}
    if shape[2] == 1:
        expected["placement"] += expected.pop("noise")
    if shape[1] == 1:
        expected["foreground"] += expected.pop("placement")
    if shape[1] == shape[2] == 1:
        expected["rest"] += expected.pop("foreground_x_background")
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=0.1), name
    assert found[[name for name in CROSSED if name not in expected]].isna().all()


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
    """Noises that lie further apart than chance within places: the places can't be told apart."""
    values = (
        np.zeros((2, 2, 2, 2)) + np.array([[[-1.0], [1.0]]]) + 0.01 * np.random.default_rng(0).normal(size=(2,) * 4)
    )
    table = variance_table(frame_of([values]), BOOTSTRAP)
    row = table[(table["component"] == "placement") & (table["outcome"] == "margin")].iloc[0]
    assert row["negative"]
    assert row["variance"] < 0
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
