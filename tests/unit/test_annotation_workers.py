"""People by what they did: gold, repeats, time, agreement."""

import numpy as np
import pandas as pd
import pytest

from d3s.annotation.reading import GOLD_COLUMNS, PROBLEM_COLUMNS, VOTE_COLUMNS, Votes
from d3s.annotation.workers import bootstrap_alpha, judge_workers, measure_agreement, nominal_alpha


def votes(*rows: tuple[str, str, str], seconds: float = 2.0) -> pd.DataFrame:
    """(worker, sample, answer) as votes."""
    table = pd.DataFrame(rows, columns=["worker", "sample", "object"])
    table = table.assign(unsafe="no", background="yes", seconds=seconds, file="f.json")
    return table.reindex(columns=VOTE_COLUMNS)


def gathered(table: pd.DataFrame, gold: pd.DataFrame | None = None, repeats: pd.DataFrame | None = None) -> Votes:
    nothing = votes()
    gold = nothing if gold is None else gold
    known = gold["sample"].str.startswith("no").map({True: "no", False: "yes"})
    gold = gold.assign(known_object=known, known_unsafe="no", known_background="yes").reindex(columns=GOLD_COLUMNS)
    return Votes(table, gold, nothing if repeats is None else repeats, pd.DataFrame(columns=PROBLEM_COLUMNS))


def test_people_are_judged_by_gold_if_there_is_enough_of_it() -> None:
    table = votes(("ann", "a", "yes"), ("bob", "a", "no"), ("eve", "a", "yes"))
    known = [("ann", f"g{n}", "yes") for n in range(4)] + [("bob", f"g{n}", "yes" if n else "no") for n in range(2)]
    known += [("eve", f"g{n}", "yes" if n == 0 else "unsure") for n in range(4)]
    judged = judge_workers(gathered(table, votes(*known)), 0.7, 4).set_index("worker")
    assert judged["excluded"].to_dict() == {"ann": False, "bob": False, "eve": True}
    assert judged["gold_accuracy"].to_dict() == {"ann": 1.0, "bob": 0.5, "eve": 0.25}
    assert judged.at["eve", "reason"] == "right on 25% of gold, there and not there alike; 70% are needed"
    assert judged.at["ann", "ci_low"] == pytest.approx(0.5101, abs=1e-4), "Wilson's interval of 4 of 4"
    assert judged["votes"].tolist() == [1, 1, 1]


def test_who_says_yes_to_everything_is_found_out() -> None:
    known = [("eve", name, "yes") for name in ("g1", "g2", "g3", "g4", "g5", "no1")]
    judged = judge_workers(gathered(votes(("eve", "a", "yes")), votes(*known)), 0.7, 4)
    assert judged[["gold_right", "gold_balanced", "excluded"]].values.tolist() == [[5, 0.5, True]]


def test_repeats_tell_how_steady_a_person_is() -> None:
    table = votes(("ann", "a", "yes"), ("ann", "b", "no"), seconds=3.0)
    judged = judge_workers(gathered(table, repeats=votes(("ann", "a", "yes"), ("ann", "b", "yes"))), 0.7, 4)
    assert judged[["repeats", "repeats_same", "seconds"]].values.tolist() == [[2, 0.5, 3.0]]


KRIPPENDORFF = {  # "Computing Krippendorff's alpha-reliability", 2011, section C: four observers, twelve units
    "A": "1 2 3 3 2 1 4 1 2 . . .",
    "B": "1 2 3 3 2 2 4 1 2 5 . 3",
    "C": ". 3 3 3 2 3 4 2 2 5 1 .",
    "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}


def test_alpha_is_that_of_the_published_example() -> None:
    given = np.array([row.split() for row in KRIPPENDORFF.values()]).T
    counts = np.array([[(unit == str(value)).sum() for value in range(1, 6)] for unit in given])
    assert nominal_alpha(counts) == pytest.approx(0.743, abs=5e-4)


def test_its_interval_holds_it_and_the_same_votes_give_the_same_interval() -> None:
    counts = np.random.default_rng(0).multinomial(5, [0.5, 0.5], size=300)
    counts[:200] = [5, 0]
    low, high = bootstrap_alpha(counts, seed=1)
    assert low < nominal_alpha(counts) < high < low + 0.3
    assert bootstrap_alpha(counts, seed=1) == (low, high)


def test_agreement_is_measured_by_question_where_there_is_any() -> None:
    table = votes(("ann", "a", "yes"), ("bob", "a", "yes"), ("ann", "b", "no"), ("bob", "b", "no"), ("ann", "c", "no"))
    found = measure_agreement(table, seed=0).set_index("question")
    assert found.at["object", "alpha"] == 1.0
    assert found.at["object", "images"] == 2, "one person alone agrees with nobody"
    assert np.isnan(found.at["unsafe", "alpha"]), "all said no: there is nothing to agree about"
