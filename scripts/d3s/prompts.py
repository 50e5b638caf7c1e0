"""Prompts from templates with closed placeholders, always inside the text encoder's token limit (paper, section 3).

CLIP text encoders keep 77 tokens and drop the rest without a word. A WordNet gloss can push the background phrase
out of them, so the definition is what gets trimmed, never the class or the phrase.
"""

import string
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from d3s.errors import BadInput, D3SError

PLACEHOLDERS = ("class", "definition", "background")


@dataclass(frozen=True)
class Prompt:
    """A prompt and what it took to fit.

    Attributes:
        text: what the text encoder is given.
        tokens: its length, start and end marks included.
        trimmed: whether words of the definition were left out.
    """

    text: str
    tokens: int
    trimmed: bool


def check_template(template: str) -> None:
    """Refuse a template with unknown placeholders, or without the class or the background.

    Raises:
        D3SError: with the placeholders that there are.
    """
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise D3SError(f"the prompt template {template!r} is malformed ({error})", "close every brace") from None
    for name in names:
        if name not in PLACEHOLDERS:
            raise D3SError(f"the prompt template has an unknown placeholder {{{name}}}", f"use {_listed()}")
    for name in ("class", "background"):
        if name not in names:
            raise D3SError(f"the prompt template {template!r} lacks {{{name}}}", f"use {_listed()}")


def _listed() -> str:
    return ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)


def write_prompt(
    template: str, label: str, definition: str, phrase: str, count: Callable[[str], int], limit: int
) -> Prompt:
    """Fill a template, leaving out words of the definition from its end until the prompt fits.

    Args:
        template: with ``{class}``, ``{definition}``, ``{background}``.
        label, definition, phrase: what they stand for.
        count: tokens of a text, start and end marks included.
        limit: tokens that the text encoder keeps.

    Raises:
        BadInput: ``prompt_too_long`` when it does not fit even without a definition.
    """
    words = definition.split()
    for kept in range(len(words), -1, -1):
        text = _fill(template, label, " ".join(words[:kept]).rstrip(",;:"), phrase)
        tokens = count(text)
        if tokens <= limit:
            return Prompt(text, tokens, kept < len(words))
    raise BadInput("prompt_too_long", f"{text!r} is {tokens} tokens even without its definition; {limit} are kept")


def _fill(template: str, label: str, definition: str, phrase: str) -> str:
    text = template.format(**{"class": label, "definition": definition, "background": phrase})
    parts = [" ".join(part.split()) for part in text.split(",")]
    return ", ".join(part for part in parts if part)  # an empty definition leaves no stray comma


def load_token_counter(model: str | Path) -> tuple[Callable[[str], int], int]:
    """The token counter and limit of a diffusers model's first text encoder.

    Raises:
        D3SError: the model has no tokenizer.
    """
    from transformers import AutoTokenizer

    folder = Path(model) / "tokenizer"
    if not folder.is_dir():
        raise D3SError(f"{model} has no tokenizer/ folder", "point generator: model: at a model in diffusers layout")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    limit = int(tokenizer.model_max_length)

    def count(text: str) -> int:
        return len(tokenizer(text, truncation=False, verbose=False)["input_ids"])

    return count, limit
