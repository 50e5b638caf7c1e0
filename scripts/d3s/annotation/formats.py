"""The forms in which votes come: this project's own, Label Studio's JSON export and Mechanical Turk's results.

Each reader gives votes in the one form of ``RawVote``; what can't be one is a problem of its row, and a file of another
form is refused whole. All of it is foreign input: sizes are limited, values checked against closed sets.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema
import yaml

from d3s.annotation.items import ANSWERS, QUESTIONS
from d3s.errors import BadInput

SCHEMA_FILE = Path(__file__).with_name("schema.yaml")
MOST_BYTES = 50_000_000
"""Of one file: a person's votes on some hundred thousand images."""
CSV_LIMIT = 100_000
"""Characters of a cell."""


@dataclass(frozen=True)
class RawVote:
    """A vote as it stands in its file; what it is about is looked up later.

    Attributes:
        row: the place in the file, from 1.
        worker: as the file names the person.
        about: either (item, key), or (sample, recipe).
        named: whether ``about`` is (sample, recipe).
        answers: by question; a question that was not asked is missing.
        seconds: spent on it, if known.
        problem: what keeps it from counting (status and reason), if anything does.
    """

    row: int
    worker: str
    about: tuple[str, str]
    named: bool
    answers: dict[str, str]
    seconds: float | None = None
    problem: tuple[str, str] | None = None


def read_file(path: Path, campaign: str) -> list[RawVote]:
    """The votes of one file.

    Args:
        path: ``.json`` (own, or Label Studio's) or ``.csv`` (Mechanical Turk's).
        campaign: the name of the campaign whose votes are wanted.

    Raises:
        BadInput: the file can't be used; the reason says what to mend.
    """
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise BadInput("too_large", f"it has {size} bytes and {MOST_BYTES} are the most: split it")
        text = path.read_text(encoding="utf-8-sig")
        text.encode()
    except OSError as error:
        raise BadInput("unreadable", f"it can't be read ({error.strerror})") from None
    except UnicodeError as error:
        raise BadInput("no_text", f"it is not UTF-8 text ({error}): export it again") from None
    if path.suffix.lower() == ".csv":
        return list(_mechanical_turk(text))
    try:
        content = json.loads(text, object_pairs_hook=_only_once, parse_constant=_refuse)
        json.dumps(content, ensure_ascii=False).encode()  # half a character can't be written anywhere
    except (ValueError, RecursionError) as error:  # a broken character or number is a ValueError too
        raise BadInput("no_json", f"it is not whole, valid JSON ({str(error)[:200]}): export it again") from None
    if isinstance(content, list):
        return list(_label_studio(content))
    return list(_own(content, campaign))


def _only_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


@cache
def _validate() -> Callable[[Any], Any]:
    return fastjsonschema.compile(yaml.safe_load(SCHEMA_FILE.read_text(encoding="utf-8")))


def _own(content: dict[str, Any], campaign: str) -> Iterator[RawVote]:
    try:
        _validate()(content)
    except fastjsonschema.JsonSchemaValueException as error:
        where, said = _explain(error)
        form = f"the form is in scripts/d3s/annotation/{SCHEMA_FILE.name}"
        raise BadInput("other_form", f"{where}: {said}; {form}") from None
    if content["campaign"] != campaign:
        told = f"its votes are for the campaign {content['campaign']!r}; the config names {campaign!r}"
        raise BadInput("other_campaign", f"{told} under annotations: campaign:")
    for row, vote in enumerate(content["votes"], start=1):
        named = "sample" in vote
        about = (vote["sample"], vote["recipe"]) if named else (vote["item"], vote["key"])
        answers = {question: vote[question] for question in QUESTIONS if question in vote}
        yield RawVote(row, content["worker"], about, named, answers, vote.get("seconds"))


def _explain(error: fastjsonschema.JsonSchemaValueException) -> tuple[str, str]:
    """Where a file leaves the schema and how, for people; the name of a person is not repeated."""
    path = error.path[1:]
    where = ": ".join(f"vote {int(part) + 1}" if part.isdigit() else part for part in path) or "its top level"
    if "worker" in path:
        return where, "it needs 1 to 200 characters"
    if error.rule == "anyOf":
        return where, "it needs item and key, or sample and recipe"
    if error.rule == "const":
        return where, f"it must be {error.rule_definition!r}"
    said = re.sub(r"^data\S* ", "it ", error.message)
    return where, f"{said} and is {str(error.value)[:100]!r}" if error.rule == "enum" else said[:300]


def _label_studio(tasks: list[Any]) -> Iterator[RawVote]:
    """Label Studio's JSON export: a list of tasks with their data and annotations."""
    if not all(isinstance(task, dict) and "data" in task and "annotations" in task for task in tasks):
        raise BadInput(
            "other_form", "it is a list, but not of Label Studio's tasks: use its export as JSON, not JSON_MIN"
        )
    for row, task in enumerate(tasks, start=1):
        data = task["data"]
        about = _pair(data.get("item"), data.get("key")) if isinstance(data, dict) else None
        given = task["annotations"] if isinstance(task["annotations"], list) else [None]
        for found in given:
            annotation: dict[str, Any] = found if isinstance(found, dict) else {}
            worker = _completed_by(annotation)
            if about is None or worker is None:
                told = "its data hold no item and key" if about is None else "nobody is named under completed_by"
                yield RawVote(row, "", ("", ""), False, {}, problem=("other_form", f"task {row}: {told}"))
            elif annotation.get("was_cancelled"):
                yield RawVote(row, worker, about, False, {}, problem=("skipped", "the person skipped this task"))
            else:
                answers = _choices(annotation.get("result"))
                seconds = annotation.get("lead_time")
                known = float(seconds) if isinstance(seconds, int | float) and 0 <= seconds <= 86400 else None
                yield RawVote(row, worker, about, False, answers, known, _incomplete(answers))


def _completed_by(annotation: dict[str, Any]) -> str | None:
    """Who made an annotation: the number of an account, whether or not its address stands beside it."""
    who = annotation.get("completed_by")
    if isinstance(who, dict):
        who = who.get("id") or who.get("email")  # exports name an account by its number alone, or by both
    return f"label studio {who}" if isinstance(who, int | str) and str(who) and not isinstance(who, bool) else None


def _choices(result: Any) -> dict[str, str]:
    answers = {}
    for part in result if isinstance(result, list) else []:
        value = part.get("value") if isinstance(part, dict) else None
        chosen = value.get("choices") if isinstance(value, dict) else None
        if isinstance(chosen, list) and len(chosen) == 1 and part.get("from_name") in QUESTIONS:
            answers[part["from_name"]] = str(chosen[0])
    return answers


def _pair(item: Any, key: Any) -> tuple[str, str] | None:
    return (item, key) if isinstance(item, str) and isinstance(key, str) and item else None


def _incomplete(answers: dict[str, str]) -> tuple[str, str] | None:
    for question in ("object", "unsafe"):
        if question not in answers:
            return "no_answer", f"the question {question!r} has no answer"
    for question, answer in answers.items():
        if answer not in ANSWERS:
            return "no_answer", f"the answer to {question!r} is none of {', '.join(ANSWERS)}"
    return None


def _mechanical_turk(text: str) -> Iterator[RawVote]:
    """Mechanical Turk's results: a row per assignment, which holds some images, numbered from 1."""
    csv.field_size_limit(CSV_LIMIT)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise BadInput("no_csv", f"it is not whole, valid CSV ({error}): download it again") from None
    head = rows[0] if rows else []
    numbers = [int(name[11:]) for name in head if re.fullmatch(r"Input\.item_[1-9][0-9]{0,2}", name)]
    if "WorkerId" not in head or not numbers or len(set(head)) < len(head):
        raise BadInput(
            "other_form",
            "its first line names no WorkerId and Input.item_1, each once: use Mechanical Turk's batch results of the "
            "batch made from hits.csv and layout.html",
        )
    for row, cells in enumerate(rows[1:], start=1):
        if not any(cells):
            continue
        # Mechanical Turk's rows end before the two columns that it leaves for the requester to fill in.
        cells += [""] * (
            len(head) - len(cells) if head[-2:] == ["Approve", "Reject"] and len(cells) >= len(head) - 2 else 0
        )
        if len(cells) != len(head):
            told = f"row {row} has {len(cells)} cells and the first line {len(head)}"
            yield RawVote(row, "", ("", ""), False, {}, problem=("other_form", told))
            continue
        found = dict(zip(head, cells, strict=True))
        spent = found.get("WorkTimeInSeconds", "")
        shown = [number for number in numbers if found[f"Input.item_{number}"]]
        seconds = int(spent) / len(shown) if re.fullmatch(r"[0-9]{1,5}", spent) and shown else None
        for number in shown:
            about = found[f"Input.item_{number}"], found.get(f"Input.key_{number}", "")
            cells_of = {question: _radio(found, f"{question}_{number}") for question in QUESTIONS}
            answers = {question: answer for question, answer in cells_of.items() if answer}
            problem = _incomplete(answers)
            if found.get("AssignmentStatus") == "Rejected":
                problem = "rejected", "the assignment was rejected at Mechanical Turk"
            if not found["WorkerId"]:
                problem = "other_form", f"row {row} names no WorkerId"
            yield RawVote(row, f"mturk {found['WorkerId']}", about, False, answers, seconds, problem)


def _radio(row: dict[str, str], name: str) -> str:
    """The choice of a group of radio buttons, which stands in one of three ways.

    As a cell of its own for a plain form; as a cell of true or false for each choice for Mechanical Turk's own form
    elements; and for these, when results come through its programming interface, as JSON under taskAnswers.
    """
    if answer := row.get(f"Answer.{name}"):
        return answer
    chosen = [answer for answer in ANSWERS if row.get(f"Answer.{name}.{answer}", "").lower() == "true"]
    try:
        given = json.loads(row.get("Answer.taskAnswers") or "null")
    except (ValueError, RecursionError):
        given = None
    group = given[0].get(name) if isinstance(given, list) and given and isinstance(given[0], dict) else None
    if isinstance(group, dict):
        chosen += [answer for answer in ANSWERS if group.get(answer) is True]
    return chosen[0] if len(chosen) == 1 else ""
