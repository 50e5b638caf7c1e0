"""Prompts from templates with closed placeholders, always inside the text encoder's token limit (paper, section 3).

Templates come in families, one for each shift: on backgrounds, by country, by year ... (paper, section 3 and appendix).

CLIP text encoders keep 77 tokens and drop the rest without a word. A WordNet gloss can push the background phrase
out of them, so the definition is what gets trimmed, never the class or the phrase.
"""

import difflib
import json
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from d3s.errors import BadInput, D3SError
from d3s.tables import Row

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


def check_template(template: str) -> set[str]:
    """Refuse a template with unknown placeholders, or without the class.

    Returns:
        The placeholders that it has.

    Raises:
        D3SError: with the placeholders that there are.
    """
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise D3SError(f"the prompt template {template!r} is malformed ({error})", "close every brace") from None
    for name in sorted(names - set(PLACEHOLDERS)):
        raise D3SError(f"the prompt template has an unknown placeholder {{{name}}}", f"use {_listed()}")
    if "class" not in names:
        raise D3SError(f"the prompt template {template!r} lacks {{class}}", f"use {_listed()}")
    return names


def check_families(families: Mapping[str, Mapping[str, Any]], backgrounds: Iterable[Row], table: str) -> None:
    """Check the templates of all families, and that each background's family can say its phrase.

    Args:
        families: ``templates`` and ``negative`` of each, by shift.
        backgrounds: rows of the background table.
        table: its path, for messages.

    Raises:
        D3SError: a template is malformed, a background's family is unknown, its phrase would go unsaid or is missing.
    """
    placeholders = {
        shift: [check_template(template) for template in family["templates"]] for shift, family in families.items()
    }
    for row in backgrounds:
        shift, name = row["shift"], row["background"]
        if shift not in placeholders:
            near = difflib.get_close_matches(shift, placeholders, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"add a family {shift}: with its templates under prompts:"
            raise D3SError(f"{table}: the shift {shift!r} of the background {name!r} is no prompt family", hint)
        for template, names in zip(families[shift]["templates"], placeholders[shift], strict=True):
            if "background" in names and not row["phrase"]:
                raise D3SError(
                    f"{table}: the background {name!r} has no phrase, which the template {template!r} asks for",
                    f"give it one, or leave {{background}} out of the templates of prompts: {shift}:",
                )
            if "background" not in names and row["phrase"]:
                raise D3SError(
                    f"the prompt template {template!r} lacks {{background}}, so the phrase of {name!r} would go unsaid",
                    f"add it to the templates of prompts: {shift}:, or empty the phrase in {table}",
                )


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


TEXT_ENCODERS = ("tokenizer", "tokenizer_2", "tokenizer_3")
"""Folders of the tokenizers of a model, as far as it has them: SDXL has two, Stable Diffusion 3 three, FLUX two."""
T5_LIMITS = {"StableDiffusion3": 256, "Flux": 512}
"""Tokens that T5 is given, by the beginning of the pipeline's class: T5 itself has no limit, pipelines have."""


def prompt_limit(model: str | Path) -> int:
    """Tokens that the pipeline of a model gives to its T5 encoder; for families without one it means nothing."""
    try:
        index = json.loads((Path(model) / "model_index.json").read_text(encoding="utf-8"))
        name = str(index["_class_name"])
    except (OSError, ValueError, KeyError, TypeError):
        name = ""
    return next((limit for start, limit in T5_LIMITS.items() if name.startswith(start)), 256)


def load_token_counter(model: str | Path) -> tuple[Callable[[str], int], int]:
    """The token counter and limit of a diffusers model.

    A model may read a prompt through several encoders, each with a limit of its own. Counts are given for the one that
    leaves the fewest tokens, on the scale of the first encoder's limit: a prompt that fits it fits all of them.

    Raises:
        D3SError: the model has no tokenizer.
    """
    from transformers import AutoTokenizer

    folders = [Path(model) / name for name in TEXT_ENCODERS if (Path(model) / name).is_dir()]
    if not folders:
        raise D3SError(f"{model} has no tokenizer/ folder", "point generator: model: at a model in diffusers layout")
    encoders = []
    for folder in folders:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        ours = prompt_limit(model) if "T5" in type(tokenizer).__name__ else int(tokenizer.model_max_length)
        encoders.append((tokenizer, ours))
    limit = encoders[0][1]

    def count(text: str) -> int:
        lengths = (
            len(tokenizer(text, truncation=False, verbose=False)["input_ids"]) - ours for tokenizer, ours in encoders
        )
        return limit + max(lengths)

    return count, limit
