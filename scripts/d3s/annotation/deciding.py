"""Decisions: what becomes of an image, by what people said of it."""

import warnings

import numpy as np
import pandas as pd

RULES = ("veto", "majority", "dawid_skene")


def decide(votes: pd.DataFrame, rule: str, wanted: int) -> pd.DataFrame:
    """A decision for each image that people voted for.

    Args:
        votes: as ``reading.Votes.table``.
        rule: ``veto``, the paper's: kept only if all see the object and all say that there is no adult or violent
            content, so one other answer rejects at once, an unsure one too; ``majority``: kept if more than half say
            the one and more than half the other; ``dawid_skene``: kept if both are likelier than not under the model
            of Dawid and Skene (1979), which weighs people by how well they agree with what it holds for true.
        wanted: votes that an image needs before it is accepted, or before the others than the veto are asked;
            ``dawid_skene`` also needs more than half of them to be sure.

    Returns:
        A row per sample, sorted: votes, present, safe, background_right (numbers of answers), probability (that the
        object is there and nothing is unsafe; empty but for ``dawid_skene``), rule, decision (``accepted``,
        ``rejected``, or ``undecided`` while votes are missing).
    """
    answers = pd.DataFrame(
        {
            "votes": 1,
            "present": votes["object"] == "yes",
            "safe": votes["unsafe"] == "no",
            "background_right": votes["background"] == "yes",
        }
    )
    counts = answers.groupby(votes["sample"]).sum().astype("int64")
    counts["probability"] = np.nan
    enough = counts["votes"] >= wanted
    if rule == "veto":
        good = (counts["present"] == counts["votes"]) & (counts["safe"] == counts["votes"])
        decided = np.where(~good, "rejected", np.where(enough, "accepted", "undecided"))
        return counts.assign(rule=rule, decision=decided).reset_index()
    if rule == "majority":
        good = (2 * counts["present"] > counts["votes"]) & (2 * counts["safe"] > counts["votes"])
    else:
        present = dawid_skene(votes, "object", "yes").reindex(counts.index, fill_value=0.0)
        safe = dawid_skene(votes, "unsafe", "no").reindex(counts.index, fill_value=0.0)
        counts["probability"] = (present * safe).round(6)
        good = (present > 0.5) & (safe > 0.5)
        sure = votes[["object", "unsafe"]].isin(["yes", "no"]).groupby(votes["sample"]).sum().min(axis=1)
        enough &= 2 * sure.reindex(counts.index) > counts["votes"]  # an opinion of few is none of all
    decided = np.where(~enough, "undecided", np.where(good, "accepted", "rejected"))
    return counts.assign(rule=rule, decision=decided).reset_index()


def dawid_skene(votes: pd.DataFrame, question: str, answer: str) -> pd.Series:
    """The probability of an answer for each image, people's confusion being estimated along with it.

    Those who are unsure abstain: "unsure" is no state of an image. An image on which all abstained is left out.

    Args:
        votes: sample, worker and the question's column.
        question: the column.
        answer: whose probability is asked for.

    Source:
        Dawid and Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", 1979.
    """
    from crowdkit.aggregation import DawidSkene

    sure = votes.loc[votes[question].isin(["yes", "no"]), ["sample", "worker", question]]
    if sure[question].nunique() < 2:  # nothing to weigh
        first = sure.drop_duplicates("sample").set_index("sample")[question]
        return (first == answer).astype("float64").sort_index()
    model = DawidSkene(n_iter=200, tol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the package's use of pandas, not ours
        found = model.fit_predict_proba(sure.set_axis(["task", "worker", "label"], axis=1))
    return found[answer].rename(question).sort_index()
