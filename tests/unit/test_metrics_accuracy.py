import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from statsmodels.stats.proportion import proportion_confint

from d3s.metrics.accuracy import accuracy_table, class_table, confusion_table, intraclass_correlation
from d3s.metrics.estimates import Bootstrap
from judged import judged_rows, matched

BOOTSTRAP = Bootstrap(seed=0, resamples=500)
RIGHT = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0], [0, 0, 0]], dtype=float)


def test_accuracy_over_all_backgrounds_and_on_each() -> None:
    table = accuracy_table(matched(RIGHT, exemplars=["a", "a", "b", "c"]), BOOTSTRAP)
    top1 = table[table["metric"] == "top1"].set_index("background")
    assert top1["value"].to_dict() == pytest.approx({"all": 7 / 12, "grass": 0.75, "night": 0.5, "water": 0.5})
    assert top1["n"].to_dict() == {"all": 12, "grass": 4, "night": 4, "water": 4}
    assert top1["clusters"].unique().tolist() == [3]
    assert top1["cluster"].unique().tolist() == ["exemplar"]
    assert (top1["ci_low"] <= top1["value"]).all()
    assert (top1["value"] <= top1["ci_high"]).all()


def test_the_columns_that_the_report_reads_come_first() -> None:
    columns = accuracy_table(matched(RIGHT), BOOTSTRAP).columns[:8].tolist()
    assert columns == ["model", "dataset", "background", "metric", "value", "ci_low", "ci_high", "n"]


def test_sets_of_one_exemplar_are_less_certain_than_they_look() -> None:
    right = np.repeat(np.random.default_rng(0).integers(0, 2, (12, 1)), 3, axis=1).astype(float)
    exemplars = [f"e{place}" for place in range(12) for _ in range(4)]
    table = accuracy_table(matched(np.repeat(right, 4, axis=0), exemplars=exemplars), BOOTSTRAP)
    row = table[(table["background"] == "all") & (table["metric"] == "top1")].iloc[0]
    assert row["ci_high"] - row["ci_low"] > 1.5 * (row["set_ci_high"] - row["set_ci_low"])


def test_a_metric_that_a_head_has_not_is_left_out() -> None:
    table = accuracy_table(matched(RIGHT).assign(top1_open=np.nan, top5_open=np.nan), BOOTSTRAP)
    assert set(table["metric"]) == {"top1", "top5", "probability", "nll"}


def test_a_data_set_without_backgrounds_has_one_row_per_metric() -> None:
    table = accuracy_table(judged_rows([{"top1": 1.0}, {"top1": 0.0}]), BOOTSTRAP)
    assert table["background"].unique().tolist() == ["all"]
    assert table["cluster"].unique().tolist() == ["sample"]


def test_cells_of_independent_pictures_have_wilsons_interval() -> None:
    table = class_table(matched(RIGHT), {0: "bird"})
    cell = table[(table["background"] == "night") & (table["metric"] == "top1")].iloc[0]
    assert (cell["right"], cell["n"], cell["effective_n"]) == (2, 4, 4)
    assert (cell["ci_low"], cell["ci_high"]) == pytest.approx(proportion_confint(2, 4, method="wilson"))


def test_cells_count_exemplars_that_answer_alike_once() -> None:
    """Four sets of two exemplars, always alike: as good as two answers."""
    right = np.repeat([[1.0, 1, 1], [0, 0, 0]], 2, axis=0)
    table = class_table(matched(right, exemplars=["a", "a", "b", "b"]), {0: "bird"})
    cell = table[(table["background"] == "night") & (table["metric"] == "top1")].iloc[0]
    assert cell["effective_n"] == pytest.approx(2)
    assert (cell["ci_low"], cell["ci_high"]) == pytest.approx(proportion_confint(1, 2, method="wilson"))


def test_a_class_without_images_is_a_row_without_value() -> None:
    table = class_table(matched(RIGHT), {0: "bird", 5: "unicorn"})
    rows = table[table["class_name"] == "unicorn"]
    assert rows["background"].tolist() == 2 * ["all", "grass", "night", "water"]
    assert rows["value"].isna().all()
    assert (rows["n"] == 0).all()


def test_the_intraclass_correlation_is_that_of_a_mixed_model() -> None:
    rng = np.random.default_rng(1)
    exemplars = np.repeat(np.arange(60), 4)
    values = rng.normal(size=60)[exemplars] + rng.normal(size=240)
    frame = judged_rows([{"top1": value, "exemplar": f"e{e}"} for value, e in zip(values, exemplars, strict=True)])
    model = smf.mixedlm("y ~ 1", pd.DataFrame({"y": values}), groups=exemplars).fit(reml=True)
    expected = float(model.cov_re.iloc[0, 0]) / (float(model.cov_re.iloc[0, 0]) + model.scale)
    assert intraclass_correlation(frame, "top1") == pytest.approx(expected, abs=1e-4)


def test_confusions_are_long() -> None:
    frame = judged_rows([{"predicted": 0}, {"predicted": 0}, {"predicted": 3}])
    assert confusion_table(frame).to_csv(index=False, lineterminator="\n") == (
        "model,dataset,class_id,predicted,n\nlite2,images,0,0,2\nlite2,images,0,3,1\n"
    )
