"""Gathering votes from files: each file is used whole or refused, each vote counts or is a problem with a reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from d3s.annotation.formats import RawVote, read_file
from d3s.annotation.items import image_item, parse_item, read_key, sample_half
from d3s.errors import BadInput
from d3s.identity import digest

LONGEST_NAME = 200
"""Characters of what a vote is about that a table of problems repeats."""
PROBLEM_COLUMNS = ["file", "row", "sample", "problem", "reason"]
VOTE_COLUMNS = ["sample", "worker", "object", "unsafe", "background", "seconds", "file"]
GOLD_COLUMNS = [*VOTE_COLUMNS, "known_object", "known_unsafe", "known_background"]


@dataclass(frozen=True)
class Votes:
    """What people said, sorted by what it can be used for.

    Attributes:
        table: a row per vote that counts: sample, worker (a hash), object, unsafe, background, seconds, file.
        gold: the same for items of known answers, with these in ``known_object`` and so on; sample is the item.
        repeats: the same for what a person was shown again.
        problems: a row per refused file (``row`` is 0) or vote (from 1), with the columns of ``PROBLEM_COLUMNS``.
    """

    table: pd.DataFrame
    gold: pd.DataFrame
    repeats: pd.DataFrame
    problems: pd.DataFrame


def read_votes(paths: Sequence[Path], recipes: Mapping[str, str | None], campaign: str, secret: str) -> Votes:
    """Read files of votes; a bad file or vote becomes a problem, the rest is used.

    Of a person's votes on one image the first one counts, in the order of the files' names. A second one in the same
    file is an answer to an image that was shown twice; in another file it is a problem.

    Args:
        paths: the files.
        recipes: of each planned sample, the recipe of its image as it is now; nothing where there is no image.
        campaign: the campaign's name.
        secret: what the keys of its items were made with.
    """
    samples = {sample_half(sample): sample for sample in recipes}
    counted: list[dict[str, Any]] = []
    gold: list[dict[str, Any]] = []
    repeats: list[dict[str, Any]] = []
    problems: list[tuple[str, int, str, str, str]] = []
    seen: dict[tuple[str, str], str] = {}
    for path in sorted(paths):
        try:
            votes = read_file(path, campaign)
        except BadInput as bad:
            problems.append((path.name, 0, "", bad.status, bad.reason))
            continue
        # Salted, and the same however a person writes the name on another day.
        names = {vote.worker for vote in votes}
        hashed = {name: digest("worker", secret, " ".join(name.casefold().split()))[:12] for name in names}
        for vote in votes:
            sample, truth, problem = _look_up(vote, recipes, samples, secret)
            worker = hashed[vote.worker]
            first = seen.get((worker, sample))
            if problem is None and first not in (None, path.name):
                told = f"the same person voted for it in {first}, the first file by name; that counts"
                problem = "voted_before", told
            if problem:
                problems.append((path.name, vote.row, sample, *problem))
                continue
            seen[worker, sample] = path.name
            row = {"sample": sample, "worker": worker, "background": None, "seconds": vote.seconds, "file": path.name}
            row |= vote.answers
            if first:
                repeats.append(row)
            elif truth:
                gold.append(row | {f"known_{question}": answer for question, answer in truth.items()})
            else:
                counted.append(row)
    return Votes(
        _table(counted, VOTE_COLUMNS),
        _table(gold, GOLD_COLUMNS),
        _table(repeats, VOTE_COLUMNS),
        pd.DataFrame(problems, columns=PROBLEM_COLUMNS),
    )


def _table(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"seconds": "float64"})


def _look_up(
    vote: RawVote, recipes: Mapping[str, str | None], samples: Mapping[str, str], secret: str
) -> tuple[str, dict[str, str] | None, tuple[str, str] | None]:
    """What a vote is about: a sample's name or a gold item's, what is known of it, and what keeps it from counting."""
    name, given = vote.about
    name = name[:LONGEST_NAME]
    if vote.problem:
        return name, None, vote.problem
    item = None if vote.named else parse_item(name)
    if item and (truth := read_key(secret, item, given)):
        return name, truth, None
    sample = name if vote.named else samples.get(item.sample, name) if item else name
    if sample not in recipes:
        return name, None, ("unknown_image", "the data set has no image of this name")
    recipe = recipes[sample]
    if recipe is None:
        return sample, None, ("no_image", "this sample's image was not made")
    if (given != recipe) if vote.named else (item != image_item(sample, recipe)):
        return sample, None, ("stale", "the image was made anew since; have it looked at again")
    return sample, None, None
