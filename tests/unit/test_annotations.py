"""Votes of people: what counts, what is refused and why, and how decisions are made of them."""

import json
from pathlib import Path

import pandas as pd
import pytest

import aggregate_annotations as script
from d3s import annotations
from d3s.annotations import decide, read_votes

RECIPES = {"val-a": "r1", "val-b": "r2", "val-c": None}


def vote(sample: str = "val-a", recipe: str = "r1", **answers: object) -> dict[str, object]:
    return {"sample": sample, "recipe": recipe, "object": "yes", "unsafe": "no"} | answers


def write(folder: Path, name: str, *votes: dict[str, object], worker: str = "", **other: object) -> Path:
    content = {"format": "d3s-annotations", "version": 1, "worker": worker or name, "votes": list(votes)} | other
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return path


def test_votes_are_gathered_from_all_files_and_workers_are_hashed(tmp_path: Path) -> None:
    files = [
        write(tmp_path, "ann", vote(seconds=2.5)),
        write(tmp_path, "bob", vote(background="yes"), vote("val-b", "r2")),
    ]
    read = read_votes(files, RECIPES)
    assert read.table["sample"].tolist() == ["val-a", "val-a", "val-b"]
    assert read.table["worker"].nunique() == 2
    assert not set(read.table["worker"]) & {"ann", "bob"}
    assert read.problems.empty


def test_a_bad_vote_is_reported_with_its_place_and_the_rest_counts(tmp_path: Path) -> None:
    file = write(tmp_path, "ann", vote(recipe="r0"), vote("val-z"), vote(), vote(object="no"), vote("val-c"))
    again = write(tmp_path, "later", vote(), worker="ann")
    read = read_votes([again, file], RECIPES)
    assert read.table["object"].tolist() == ["yes"]
    found = [(p.file, p.row, p.sample, p.problem) for p in read.problems.itertuples()]
    assert found == [
        ("ann.json", 1, "val-a", "stale"),
        ("ann.json", 2, "val-z", "unknown_image"),
        ("ann.json", 4, "val-a", "voted_before"),
        ("ann.json", 5, "val-c", "no_image"),
        ("later.json", 1, "val-a", "voted_before"),
    ]


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
        ("\xff\xfe", "no_json", "valid JSON"),
        ("[]", "other_form", "its top level"),
        (json.dumps({"format": "d3s-annotations", "version": 2, "worker": "w", "votes": []}), "other_form", "version"),
        (
            json.dumps({"format": "d3s-annotations", "version": 1, "worker": "w", "votes": [vote(object="maybe")]}),
            "other_form",
            "votes: vote 1: object: 'maybe'",
        ),
    ],
)
def test_a_bad_file_is_refused_whole_and_the_others_are_used(
    tmp_path: Path, text: str, problem: str, reason: str
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_bytes(text.encode("latin-1"))
    read = read_votes([bad, write(tmp_path, "good", vote())], RECIPES)
    assert len(read.table) == 1
    assert read.problems[["file", "row", "problem"]].values.tolist() == [["bad.json", 0, problem]]
    assert reason in read.problems.at[0, "reason"]


def test_a_byte_order_mark_is_no_fault_and_a_folder_is_no_file(tmp_path: Path) -> None:
    marked = write(tmp_path, "marked", vote())
    marked.write_bytes(b"\xef\xbb\xbf" + marked.read_bytes())
    (tmp_path / "a.json").mkdir()
    read = read_votes([marked, tmp_path / "a.json"], RECIPES)
    assert len(read.table) == 1
    assert read.problems[["file", "problem"]].values.tolist() == [["a.json", "unreadable"]]


def test_a_person_is_never_named(tmp_path: Path) -> None:
    read = read_votes([write(tmp_path, "long", vote(), worker="Ann Example " * 50)], RECIPES)
    assert "Ann" not in read.problems.to_csv()
    assert "1 to 200 characters" in read.problems.at[0, "reason"]


def test_a_huge_file_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotations, "MOST_BYTES", 10)
    assert read_votes([write(tmp_path, "ann", vote())], RECIPES).problems["problem"].tolist() == ["too_large"]


def ballot(answers: str, unsafe: str = "") -> pd.DataFrame:
    """A vote per letter, y(es), n(o) or u(nsure): is the object there; ``unsafe`` is "no" where it isn't given."""
    words = {"y": "yes", "n": "no", "u": "unsure"}
    rows = [
        {"sample": "val-a", "object": words[o], "unsafe": words[x], "background": None}
        for o, x in zip(answers, unsafe.ljust(len(answers), "n"), strict=True)
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


def test_the_script_writes_decisions_and_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = tmp_path / "0.tar"
    rows = {"sample": ["val-a", "val-b", "val-c"], "recipe": ["r1", "r2", ""], "status": ["ok", "ok", "no_exemplar"]}
    pd.DataFrame(rows).to_parquet(tmp_path / "0.parquet")
    files = [write(tmp_path, f"w{n}", vote(), vote("val-c", "r3")) for n in range(2)]
    outputs = tmp_path / "decisions.parquet", tmp_path / "problems.csv"
    arguments = ["--annotations", *files, "--images", shard, "--rule", "veto", "--votes", 2]
    arguments += ["--output", outputs[0], "--problems", outputs[1], "--log", tmp_path / "log"]
    monkeypatch.setattr("sys.argv", ["aggregate_annotations.py", *map(str, arguments)])
    script.main(script.parse())
    assert pd.read_parquet(outputs[0])[["sample", "decision"]].values.tolist() == [["val-a", "accepted"]]
    assert pd.read_csv(outputs[1])["problem"].tolist() == ["no_image"] * 2
