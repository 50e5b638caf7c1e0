"""Prompts: the class and the background phrase always survive the token limit."""

from pathlib import Path

import pytest

from d3s.errors import BadInput, D3SError
from d3s.prompts import T5_LIMITS, check_families, check_template, load_token_counter, write_prompt
from d3s.shards import write_json
from tiny_models import make_tokenizer

TEMPLATE = "a photo of a {class}, {definition}, {background}"


def words(text: str) -> int:
    return len(text.split()) + 2


def test_a_prompt_that_fits_is_whole() -> None:
    prompt = write_prompt(TEMPLATE, "tench", "a freshwater fish", "on grass", words, 77)
    assert prompt.text == "a photo of a tench, a freshwater fish, on grass"
    assert (prompt.tokens, prompt.trimmed) == (12, False)


@pytest.mark.parametrize("limit", [9, 10, 12, 20])
def test_a_long_definition_is_trimmed_and_nothing_else(limit: int) -> None:
    prompt = write_prompt(TEMPLATE, "tench", "word " * 50, "on grass", words, limit)
    assert prompt.tokens <= limit
    assert prompt.trimmed
    assert prompt.text.startswith("a photo of a tench")
    assert prompt.text.endswith("on grass")


def test_a_trimmed_definition_leaves_no_stray_comma() -> None:
    assert write_prompt(TEMPLATE, "tench", "long gloss", "on grass", words, 9).text == "a photo of a tench, on grass"


def test_a_class_that_can_not_fit_is_a_row_with_a_reason() -> None:
    with pytest.raises(BadInput) as refused:
        write_prompt(TEMPLATE, "tench " * 90, "", "on grass", words, 77)
    assert refused.value.status == "prompt_too_long"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a {klass}, {background}", "unknown placeholder {klass}"),
        ("on {background}", "lacks {class}"),
        ("{class} {background", "malformed"),
    ],
)
def test_templates_are_checked(template: str, message: str) -> None:
    with pytest.raises(D3SError, match=message.replace("{", r"\{")):
        check_template(template)


@pytest.mark.parametrize(
    ("template", "shift", "phrase", "message"),
    [
        ("a {class}, {background}", "geografy", "in Chile", "did you mean 'geography'"),
        ("a {class}, {background}", "geography", "", "'chile' has no phrase"),
        ("a {class}", "geography", "in Chile", "would go unsaid"),
    ],
)
def test_a_family_must_suit_its_backgrounds(template: str, shift: str, phrase: str, message: str) -> None:
    families = {"geography": {"templates": [template], "negative": ""}}
    row = {"background": "chile", "shift": shift, "phrase": phrase}
    with pytest.raises(D3SError) as refused:
        check_families(families, [row], "backgrounds.csv")
    assert message in str(refused.value)


def test_a_family_without_a_place_needs_no_phrase() -> None:
    families = {"photo": {"templates": ["a photo of a {class}"], "negative": ""}}
    check_families(families, [{"background": "photo", "shift": "photo", "phrase": ""}], "backgrounds.csv")


@pytest.mark.parametrize(
    ("kind", "pipeline", "limit"),
    [
        ("clip", "StableDiffusionPipeline", 77),
        ("t5", "StableDiffusion3Pipeline", T5_LIMITS["StableDiffusion3"]),
        ("t5", "FluxPipeline", T5_LIMITS["Flux"]),
    ],
)
def test_two_hundred_words_leave_class_and_phrase_inside_the_limit(
    tmp_path: Path, kind: str, pipeline: str, limit: int
) -> None:
    make_tokenizer(kind, tmp_path / "tokenizer", 77)
    write_json(tmp_path / "model_index.json", {"_class_name": pipeline})
    count, known = load_token_counter(tmp_path)
    assert known == limit
    prompt = write_prompt(TEMPLATE, "round ball", "a round thing or a box " * 40, "on grass", count, known)
    assert prompt.trimmed
    assert prompt.text.startswith("a photo of a round ball, a round thing")
    assert prompt.text.endswith(", on grass")
    assert limit - 20 < prompt.tokens <= limit, "as much of the definition is kept as fits"
