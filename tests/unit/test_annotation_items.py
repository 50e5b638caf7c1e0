"""Items say of which image they are, and their keys what is known of them, to those who know the secret alone."""

import pytest

from d3s.annotation.items import gold_item, gold_key, image_item, parse_item, plain_key, read_key


def test_a_name_tells_the_sample_and_the_recipe_apart() -> None:
    one, again, other = image_item("a", "r1"), image_item("a", "r2"), image_item("b", "r1")
    assert one.sample == again.sample != other.sample
    assert one.recipe == other.recipe != again.recipe
    assert parse_item(str(one)) == one


@pytest.mark.parametrize("text", ["", "abc", "0" * 33, "g" * 16 + "-" + "0" * 16, "0" * 16 + "-" + "0" * 16 + "-"])
def test_other_text_is_no_name(text: str) -> None:
    assert parse_item(text) is None


def test_a_key_gives_the_known_answers_back_and_nothing_to_others() -> None:
    item = gold_item("train-a", "d", 1, "grass")
    answers = {"object": "no", "unsafe": "no", "background": "yes"}
    key = gold_key("secret", item, answers)
    assert read_key("secret", item, key) == answers
    assert read_key("other secret", item, key) is None
    assert read_key("secret", image_item("a", "r"), key) is None
    assert read_key("secret", item, plain_key("secret", item)) is None
    assert len(key) == len(plain_key("secret", item))
