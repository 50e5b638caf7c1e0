"""What people said of images: files of votes, each used whole or refused with a reason, and a decision for each image.

Two questions are asked, as in the paper (section 3, verification): is an object of the class in the image, and does it
hold adult or violent content. Whether the background is right may be asked beside them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jsonschema import Draft202012Validator

from d3s.errors import BadInput
from d3s.identity import digest

SCHEMA_FILE = Path(__file__).with_name("annotation_schema.yaml")
MOST_BYTES = 50_000_000
"""Of one file: a person's votes on some hundred thousand images."""
RULES = ("veto", "majority")
PROBLEM_COLUMNS = ["file", "row", "sample", "problem", "reason"]


@dataclass(frozen=True)
class Votes:
    """Votes that count, and why others don't.

    Attributes:
        table: a row per vote: sample, worker (a hash), object, unsafe, background, seconds, file.
        problems: a row per refused file (``row`` is 0) or vote (from 1), with the columns of ``PROBLEM_COLUMNS``.
    """

    table: pd.DataFrame
    problems: pd.DataFrame


def read_file(path: Path) -> dict[str, Any]:
    """One file of annotations, checked against the closed schema.

    Raises:
        BadInput: it can't be used; the reason says what to mend.
    """
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise BadInput("too_large", f"it has {size} bytes and {MOST_BYTES} are the most: split it")
        text = path.read_text(encoding="utf-8-sig")
        content = json.loads(text, object_pairs_hook=_only_once, parse_constant=_refuse)
        json.dumps(content, ensure_ascii=False).encode()  # half a character can't be written anywhere
        wrong = next(iter(_validator().iter_errors(content)), None)
    except OSError as error:
        raise BadInput("unreadable", f"it can't be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # a broken character or number is a ValueError too
        raise BadInput("no_json", f"it is not whole, valid JSON ({str(error)[:200]}): export it again") from None
    if wrong is not None:
        where = ": ".join(f"vote {part + 1}" if isinstance(part, int) else str(part) for part in wrong.absolute_path)
        said = wrong.message[:300] if "worker" not in where else "it needs 1 to 200 characters"
        form = f"the form is in scripts/d3s/{SCHEMA_FILE.name}"
        raise BadInput("other_form", f"{where or 'its top level'}: {said}; {form}")
    return dict(content)


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(yaml.safe_load(SCHEMA_FILE.read_text(encoding="utf-8")))


def read_votes(paths: Sequence[Path], recipes: Mapping[str, str | None]) -> Votes:
    """Read files of annotations; a bad file or vote becomes a problem, the rest is used.

    Args:
        paths: the files.
        recipes: of each planned sample, the recipe of its image as it is now; nothing where there is no image.
    """
    rows: list[dict[str, Any]] = []
    problems: list[tuple[str, int, str, str, str]] = []
    seen: dict[tuple[str, str], str] = {}
    for path in sorted(paths):
        try:
            content = read_file(path)
        except BadInput as bad:
            problems.append((path.name, 0, "", bad.status, bad.reason))
            continue
        worker = digest("worker", content["worker"])[:12]
        for number, vote in enumerate(content["votes"], start=1):
            sample = vote["sample"]
            if sample not in recipes:
                problem = ("unknown_image", "the data set has no image of this name")
            elif recipes[sample] is None:
                problem = ("no_image", "this sample's image was not made")
            elif vote["recipe"] != recipes[sample]:
                problem = ("stale", "the image was made anew since; have it looked at again")
            elif (worker, sample) in seen:
                first = seen[worker, sample]
                problem = (
                    "voted_before",
                    f"the same person voted for it in {first}, the first file by name; that counts",
                )
            else:
                seen[worker, sample] = path.name
                rows.append({"worker": worker, "background": None, "seconds": np.nan} | vote | {"file": path.name})
                continue
            problems.append((path.name, number, sample, *problem))
    columns = ["sample", "worker", "object", "unsafe", "background", "seconds", "file"]
    return Votes(pd.DataFrame(rows, columns=columns), pd.DataFrame(problems, columns=PROBLEM_COLUMNS))


def decide(votes: pd.DataFrame, rule: str, wanted: int) -> pd.DataFrame:
    """A decision for each image that people voted for.

    Args:
        votes: as ``Votes.table``.
        rule: ``veto``, the paper's: kept only if all see the object and all say that there is no adult or violent
            content, so one other answer rejects at once, an unsure one too; ``majority``: kept if more than half say
            the one and more than half the other.
        wanted: votes that an image needs before it is accepted, or before the majority is asked.

    Returns:
        A row per sample: votes, present, safe, background_right (numbers of answers), rule, decision
        (``accepted``, ``rejected``, or ``undecided`` while votes are missing).
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
    enough = counts["votes"] >= wanted
    if rule == "veto":
        good = (counts["present"] == counts["votes"]) & (counts["safe"] == counts["votes"])
        decided = np.where(~good, "rejected", np.where(enough, "accepted", "undecided"))
    else:
        good = (2 * counts["present"] > counts["votes"]) & (2 * counts["safe"] > counts["votes"])
        decided = np.where(~enough, "undecided", np.where(good, "accepted", "rejected"))
    return counts.assign(rule=rule, decision=decided).reset_index()
