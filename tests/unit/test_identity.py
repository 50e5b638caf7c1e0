import hashlib
from pathlib import Path

import pytest

from d3s.identity import bytes_digest, choose, digest, file_sha256, pixels_digest, seed, uniform


def test_a_digest_depends_on_values_and_on_their_structure() -> None:
    assert digest(0, "purpose", "a", 1) == digest(0, "purpose", "a", 1)
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    assert len({digest("ab", "c"), digest("a", "bc"), digest(["ab"], "c"), digest("1"), digest(1), digest("Å")}) == 6


def test_digests_are_the_same_on_every_machine() -> None:
    # Published images hang on these; a change here makes all of them anew.
    assert digest(0, "noise", 3, "train", 7) == "509816da29d9365e812c11c2c428489e"
    assert seed(0, "noise", 3, "train", 7) == 2903708422877518639


def test_a_value_without_a_stable_text_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        digest(float("nan"))


def test_seeds_fit_a_signed_64_bit_integer() -> None:
    assert all(0 <= seed(0, "noise", number) < 2**63 for number in range(100))


def test_uniform_numbers_are_spread_over_the_unit_interval() -> None:
    numbers = [uniform(0, "placement.x", index) for index in range(2000)]
    assert 0 <= min(numbers) < 0.01
    assert 0.99 < max(numbers) < 1
    assert sum(numbers) / len(numbers) == pytest.approx(0.5, abs=0.02)


def test_purposes_and_roots_draw_independently() -> None:
    assert len({uniform(0, "x", 1), uniform(0, "y", 1), uniform(1, "x", 1)}) == 3


def test_a_new_candidate_takes_over_only_what_it_wins() -> None:
    before = {index: choose(["oak", "elm", "ash"], 0, "template", index) for index in range(300)}
    after = {index: choose(["oak", "yew", "elm", "ash"], 0, "template", index) for index in range(300)}
    moved = [index for index in before if after[index] != before[index]]
    assert {after[index] for index in moved} == {"yew"}
    assert 45 < len(moved) < 105  # a quarter of them


def test_a_candidate_that_goes_gives_back_only_what_it_had() -> None:
    before = {index: choose(["oak", "elm", "ash"], 0, "template", index) for index in range(100)}
    after = {index: choose(["oak", "elm"], 0, "template", index) for index in range(100)}
    assert all(after[index] == name for index, name in before.items() if name != "ash")


def test_the_order_of_candidates_does_not_matter() -> None:
    assert choose(["a", "b", "c"], 0, "x") == choose(["c", "a", "b"], 0, "x")


def test_choosing_among_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        choose([], 0, "template")


def test_digests_of_files_bytes_and_pixels(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"abc")
    assert file_sha256(file) == hashlib.sha256(b"abc").hexdigest()
    assert bytes_digest(b"abc") != bytes_digest(b"abd")
    assert pixels_digest((1, 6, 1), b"abcdef") != pixels_digest((1, 2, 3), b"abcdef")
