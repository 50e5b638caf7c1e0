import pytest

from d3s.sampling import read_batch_size, read_options


def test_sizes_from_a_command_line() -> None:
    assert (read_batch_size("auto"), read_batch_size("12")) == ("auto", 12)
    for wrong in ("many", "0"):
        with pytest.raises(ValueError, match=r"invalid literal|0"):
            read_batch_size(wrong)


def test_options_are_sorted_pairs() -> None:
    """Or the order in which somebody wrote them would make every image again."""
    assert read_options('{"b": true, "a": 1}') == read_options('{"a": 1, "b": true}') == (("a", 1), ("b", True))
