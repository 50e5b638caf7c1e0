"""Votes of people: what counts, what is refused and why, in every form in which they come."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

import aggregate_annotations as script
from d3s.annotation import formats
from d3s.annotation.campaign import campaign_secret
from d3s.annotation.items import gold_item, gold_key, image_item, plain_key
from d3s.annotation.reading import Votes
from d3s.annotation.reading import read_votes as read_any

RECIPES = {"val-a": "r1", "val-b": "r2", "val-c": None}
SECRET = campaign_secret(1, "demo")


def read_votes(paths: list[Path]) -> Votes:
    return read_any(paths, RECIPES, "demo", SECRET)


def vote(sample: str = "val-a", recipe: str = "r1", **answers: object) -> dict[str, object]:
    return {"sample": sample, "recipe": recipe, "object": "yes", "unsafe": "no"} | answers


def shown(sample: str = "val-a", recipe: str = "r1", **answers: object) -> dict[str, object]:
    """A vote as a page exports it."""
    item = image_item(sample, recipe)
    return {"item": str(item), "key": plain_key(SECRET, item), "object": "yes", "unsafe": "no"} | answers


def gold(known: str, said: str) -> dict[str, object]:
    item = gold_item("train-x", "d1", 3, "grass")
    key = gold_key(SECRET, item, {"object": known, "unsafe": "no", "background": "yes"})
    return {"item": str(item), "key": key, "object": said, "unsafe": "no", "background": "yes"}


def write(folder: Path, name: str, *votes: dict[str, object], worker: str = "", **other: object) -> Path:
    content = {"format": "d3s-annotations", "version": 2, "campaign": "demo", "worker": worker or name}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content | {"votes": list(votes)} | other))
    return path


def test_votes_are_gathered_from_all_files_and_workers_are_hashed(tmp_path: Path) -> None:
    files = [
        write(tmp_path, "ann", vote(seconds=2.5)),
        write(tmp_path, "bob", shown(background="yes"), shown("val-b", "r2"), batch=3),
    ]
    read = read_votes(files)
    assert read.table["sample"].tolist() == ["val-a", "val-a", "val-b"]
    assert read.table["worker"].nunique() == 2
    assert not set(read.table["worker"]) & {"ann", "bob"}
    assert read.problems.empty


def test_a_bad_vote_is_reported_with_its_place_and_the_rest_counts(tmp_path: Path) -> None:
    file = write(tmp_path, "ann", vote(recipe="r0"), vote("val-z"), vote(), shown("val-b", "r0"), vote("val-c"))
    again = write(tmp_path, "later", vote(object="no"), shown("val-q", "r1"), worker="ann")
    read = read_votes([again, file])
    assert read.table["object"].tolist() == ["yes"]
    found = [(p.file, p.row, p.sample, p.problem) for p in read.problems.itertuples()]
    assert found == [
        ("ann.json", 1, "val-a", "stale"),
        ("ann.json", 2, "val-z", "unknown_image"),
        ("ann.json", 4, "val-b", "stale"),
        ("ann.json", 5, "val-c", "no_image"),
        ("later.json", 1, "val-a", "voted_before"),
        ("later.json", 2, str(image_item("val-q", "r1")), "unknown_image"),
    ]


def test_gold_is_known_by_its_key_and_a_second_look_is_a_repeat(tmp_path: Path) -> None:
    read = read_votes([write(tmp_path, "ann", gold("no", said="yes"), shown(), gold("no", "no"), shown(object="no"))])
    assert read.gold[["known_object", "object"]].values.tolist() == [["no", "yes"]]
    assert read.table["object"].tolist() == ["yes"]
    assert read.repeats["object"].tolist() == ["no", "no"]


@pytest.mark.parametrize(
    ("text", "problem", "reason"),
    [
        ('{"format": "d3s-annotations", "ver', "no_json", "export it again"),
        ("[" * 100_000, "no_json", "export it again"),
        ('{"worker": ' + "[" * 990 + "]" * 990 + "}", "no_json", "export it again"),
        ('{"version": ' + "9" * 5000 + "}", "no_json", "digits"),
        ('{"version": NaN}', "no_json", "NaN is no number"),
        ('{"version": 1, "version": 1}', "no_json", "a key stands twice"),
        ('{"worker": "\\ud800"}', "no_json", "surrogates not allowed"),
        ("\xff\xfe", "no_text", "export it again"),
        ("7", "other_form", "its top level: it must be object"),
        ('[{"id": 1}]', "other_form", "export as JSON"),
        ({"version": 1}, "other_form", "version: it must be 2"),
        ({"campaign": "other"}, "other_campaign", "the config names 'demo'"),
        ({"votes": [vote(object="maybe")]}, "other_form", "votes: vote 1: object: it must be one of"),
        (
            {"votes": [vote(), {"object": "yes", "unsafe": "no", "item": "i"}]},
            "other_form",
            "vote 2: it needs item and",
        ),
    ],
)
def test_a_bad_file_is_refused_whole_and_the_others_are_used(
    tmp_path: Path, text: str | dict, problem: str, reason: str
) -> None:
    bad = write(tmp_path, "bad", **text) if isinstance(text, dict) else tmp_path / "bad.json"
    if isinstance(text, str):
        bad.write_bytes(text.encode("latin-1"))
    read = read_votes([bad, write(tmp_path, "good", vote())])
    assert len(read.table) == 1
    assert read.problems[["file", "row", "problem"]].values.tolist() == [["bad.json", 0, problem]]
    assert reason in read.problems.at[0, "reason"]


def test_a_byte_order_mark_is_no_fault_and_a_folder_is_no_file(tmp_path: Path) -> None:
    marked = write(tmp_path, "marked", vote())
    marked.write_bytes(b"\xef\xbb\xbf" + marked.read_bytes())
    (tmp_path / "a.json").mkdir()
    read = read_votes([marked, tmp_path / "a.json"])
    assert len(read.table) == 1
    assert read.problems[["file", "problem"]].values.tolist() == [["a.json", "unreadable"]]


def test_a_person_is_never_named(tmp_path: Path) -> None:
    read = read_votes([write(tmp_path, "long", vote(), worker="Ann Example " * 50)])
    assert "Ann" not in read.problems.to_csv()
    assert "1 to 200 characters" in read.problems.at[0, "reason"]


def test_a_huge_file_is_not_even_read(tmp_path: Path) -> None:
    huge = tmp_path / "huge.json"
    with open(huge, "wb") as file:
        file.truncate(100_000_000)  # a hole: no such bytes are written
    read = read_votes([huge, write(tmp_path, "ann", vote())])
    assert read.problems["problem"].tolist() == ["too_large"]
    assert f"{formats.MOST_BYTES} are the most" in read.problems.at[0, "reason"]
    assert len(read.table) == 1


def task(about: dict[str, object], choices: dict[str, str], who: object = 7, **other: object) -> dict[str, object]:
    """A task as Label Studio exports it."""
    result = [
        {"from_name": question, "to_name": "image", "type": "choices", "value": {"choices": [answer]}}
        for question, answer in choices.items()
    ]
    data = {"item": about["item"], "key": about["key"], "image": "i.jpg", "label": "ball"}
    return {"id": 1, "data": data, "annotations": [{"completed_by": who, "result": result, "lead_time": 4.5} | other]}


def test_label_studios_export_is_read(tmp_path: Path) -> None:
    said = {"object": "yes", "unsafe": "no", "background": "unsure"}
    tasks = [
        task(shown(), said),
        task(shown("val-b", "r2"), said, who={"id": 7, "email": "ann@example.org"}),
        task(gold("yes", "yes"), said),
        task(shown("val-b", "r2"), {"object": "yes"}),
        task(shown("val-b", "r2"), said, was_cancelled=True),
        task(shown("val-b", "r2"), said, who=None),
        {"data": {"image": "i.jpg"}, "annotations": [{"completed_by": 1, "result": []}]},
    ]
    file = tmp_path / "export.json"
    file.write_text(json.dumps(tasks))
    read = read_votes([file])
    assert read.table[["sample", "object", "background", "seconds"]].values.tolist() == [
        ["val-a", "yes", "unsure", 4.5],
        ["val-b", "yes", "unsure", 4.5],
    ]
    assert read.table["worker"].nunique() == 1, "an account is the same with and without its address"
    assert len(read.gold) == 1
    assert read.problems["row"].tolist() == [4, 5, 6, 7]
    assert read.problems["problem"].tolist() == ["no_answer", "skipped", "other_form", "other_form"]
    assert "example.org" not in read.table.to_csv()


def results(folder: Path, *rows: dict[str, str]) -> Path:
    """A file of results as Mechanical Turk gives it."""
    path = folder / "batch_results.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def assignment(worker: str, *votes: dict[str, object], status: str = "Approved") -> dict[str, str]:
    row = {"HITId": "H", "WorkerId": worker, "AssignmentStatus": status, "WorkTimeInSeconds": "60"}
    for number, given in enumerate(votes, start=1):
        row |= {f"Input.item_{number}": str(given["item"]), f"Input.key_{number}": str(given["key"])}
        row |= {f"Answer.{question}_{number}": str(given.get(question, "")) for question in formats.QUESTIONS}
    return row


def test_mechanical_turks_results_are_read_and_formulas_are_only_text(tmp_path: Path) -> None:
    hostile = shown("val-b", "r2") | {"object": '=HYPERLINK("x")'}
    file = results(
        tmp_path,
        assignment("A1", shown(), shown("val-b", "r2")),
        assignment("=cmd|' /C calc'!A0", shown(background="no"), hostile),
        assignment("A2", shown(), shown("val-b", "r2"), status="Rejected"),
        assignment("A3", {"item": "=1+1", "key": "k", "object": "yes", "unsafe": "no"}, {"item": "", "key": ""}),
    )
    read = read_votes([file])
    assert read.table[["sample", "background", "seconds"]].fillna("").values.tolist() == [
        ["val-a", "", 30.0],
        ["val-b", "", 30.0],
        ["val-a", "no", 30.0],
    ]
    found = read.problems[["row", "problem"]].values.tolist()
    assert found == [[2, "no_answer"], [3, "rejected"], [3, "rejected"], [4, "unknown_image"]]


@pytest.mark.parametrize(
    "said",
    [
        {"Answer.object_1": "no", "Answer.unsafe_1": "no"},
        {"Answer.object_1.yes": "false", "Answer.object_1.no": "true", "Answer.unsafe_1.no": "true"},
        {"Answer.taskAnswers": json.dumps([{"object_1": {"yes": False, "no": True}, "unsafe_1": {"no": True}}])},
    ],
    ids=["plain form", "its form elements", "its programming interface"],
)
def test_mechanical_turks_three_ways_of_radio_buttons(tmp_path: Path, said: dict[str, str]) -> None:
    item = shown()
    about = {"WorkerId": "A1", "Input.item_1": str(item["item"]), "Input.key_1": str(item["key"])}
    read = read_votes([results(tmp_path, about | said)])
    assert read.table[["object", "unsafe"]].values.tolist() == [["no", "no"]]


def test_mechanical_turks_rows_end_before_the_columns_for_the_requester(tmp_path: Path) -> None:
    file = results(tmp_path, assignment("A1", shown()))
    head, row = file.read_text().splitlines()
    file.write_text(f"{head},Approve,Reject\n{row}\n")
    read = read_votes([file])
    assert len(read.table) == 1
    assert read.problems.empty


def test_a_person_is_the_same_however_the_name_is_written(tmp_path: Path) -> None:
    files = [write(tmp_path, "1", vote(), worker="Ann B"), write(tmp_path, "2", vote(), worker=" ann  b ")]
    assert read_votes(files).problems["problem"].tolist() == ["voted_before"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("WorkerId,Input.item_1\nA,b,c\n", "other_form"),
        ("a,b\n1,2\n", "other_form"),
        ("", "other_form"),
        ('WorkerId,Input.item_1\nA,"b\n', "no_csv"),
    ],
)
def test_another_csv_is_a_problem_with_a_remedy(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "x.csv"
    file.write_text(text)
    assert read_votes([file]).problems["problem"].tolist() == [problem]


def test_the_script_writes_decisions_people_agreement_and_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = tmp_path / "0.tar"
    rows = {"sample": ["val-a", "val-b", "val-c"], "recipe": ["r1", "r2", ""], "status": ["ok", "ok", "no_exemplar"]}
    pd.DataFrame(rows).to_parquet(tmp_path / "0.parquet")
    files = [write(tmp_path, f"w{n}", shown(), vote("=val", "r3"), gold("yes", "yes")) for n in range(2)]
    files.append(write(tmp_path, "spammer", shown(object="no"), gold("yes", "no")))
    outputs = {name: tmp_path / f"{name}.csv" for name in ("problems", "workers", "agreement")}
    outputs["output"] = tmp_path / "decisions.parquet"
    arguments = ["--annotations", *files, "--images", shard, "--rule", "veto", "--votes", 2, "--campaign", "demo"]
    arguments += ["--seed", 1, "--min-gold", 1, "--log", tmp_path / "log"]
    arguments += [part for name, path in outputs.items() for part in (f"--{name}", path)]
    monkeypatch.setattr("sys.argv", ["aggregate_annotations.py", *map(str, arguments)])
    script.main(script.parse())
    assert pd.read_parquet(outputs["output"])[["sample", "decision"]].values.tolist() == [["val-a", "accepted"]]
    assert pd.read_csv(outputs["problems"])["sample"].tolist() == ["'=val"] * 2, "no formula reaches a spreadsheet"
    assert pd.read_csv(outputs["workers"])["excluded"].tolist().count(True) == 1
    assert pd.read_csv(outputs["agreement"])["question"].tolist() == ["object", "unsafe", "background"]
