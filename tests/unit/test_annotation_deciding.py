"""How votes decide, and that the model of Dawid and Skene finds what spammers and adversaries hide."""

import pandas as pd
import pytest

from d3s.annotation.deciding import RULES, dawid_skene, decide
from voting import right_decisions, simulate_votes


def ballot(answers: str, unsafe: str = "") -> pd.DataFrame:
    """A vote per letter, y(es), n(o) or u(nsure): is the object there; ``unsafe`` is "no" where it isn't given."""
    words = {"y": "yes", "n": "no", "u": "unsure"}
    rows = [
        {"sample": "val-a", "worker": f"w{n}", "object": words[o], "unsafe": words[x], "background": None}
        for n, (o, x) in enumerate(zip(answers, unsafe.ljust(len(answers), "n"), strict=True))
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("answers", "unsafe", "veto", "majority"),
    [
        ("yyyyy", "", "accepted", "accepted"),
        ("yyyyn", "", "rejected", "accepted"),
        ("yyyyu", "", "rejected", "accepted"),
        ("yyyyy", "y", "rejected", "accepted"),
        ("yyyyy", "u", "rejected", "accepted"),
        ("yyyyy", "yyy", "rejected", "rejected"),
        ("yyyyy", "uuuuu", "rejected", "rejected"),
        ("yynnn", "", "rejected", "rejected"),
        ("yyyy", "", "undecided", "undecided"),
        ("n", "", "rejected", "undecided"),
    ],
)
def test_the_rules(answers: str, unsafe: str, veto: str, majority: str) -> None:
    for rule, expected in (("veto", veto), ("majority", majority)):
        decided = decide(ballot(answers, unsafe), rule, wanted=5)
        assert decided["decision"].tolist() == [expected]
        assert decided.at[0, "votes"] == len(answers)


@pytest.mark.parametrize(
    ("answers", "expected"), [("yyyyy", "accepted"), ("nnnnn", "rejected"), ("uuuuu", "undecided")]
)
def test_one_opinion_needs_no_model(answers: str, expected: str) -> None:
    assert decide(ballot(answers), "dawid_skene", wanted=5)["decision"].tolist() == [expected]


def test_dawid_and_skene_find_the_truth_better_than_counting() -> None:
    votes, truth = simulate_votes(2000, people=40, seed=0)
    found = {rule: right_decisions(votes, truth, rule) for rule in RULES}
    print(pd.Series(found, name="right decisions of 2,000 images").to_string())  # the table; shown by pytest -s
    assert found["dawid_skene"] > found["majority"] + 0.05
    assert found["majority"] > found["veto"] + 0.05
    assert found["dawid_skene"] > 0.9


def test_an_opinion_of_few_decides_nothing() -> None:
    votes, _ = simulate_votes(200, people=40, seed=1)
    rows = votes.index[votes["sample"] == "val-00000"]
    votes.loc[rows, "object"] = ["yes", "unsure", "unsure", "unsure", "unsure"]
    decided = decide(votes, "dawid_skene", wanted=5).set_index("sample")["decision"]
    assert decided["val-00000"] == "undecided"
    assert decided.drop("val-00000").isin(["accepted", "rejected"]).all()


def test_those_who_are_unsure_abstain() -> None:
    votes, _ = simulate_votes(200, people=40, seed=1)
    votes.loc[votes["sample"] == "val-00000", "object"] = "unsure"
    found = dawid_skene(votes, "object", "yes")
    assert "val-00000" not in found.index
    assert found.between(0, 1).all()
    assert len(found) == 199
