"""Items: what a person is shown once, by names that tell the person nothing and the project everything.

An item's name holds two digests, of the sample and of its recipe, so votes that come back say by themselves of which
image they are, and whether it was made again since; no list of earlier campaigns has to be kept. Its key tells those
who know the campaign's secret whether the item is gold (an item whose answers are known) and what the answers are, so
an item's page, task or table can be handed to anybody.
"""

from collections.abc import Mapping
from typing import NamedTuple

from d3s.identity import digest

ANSWERS = ("yes", "no", "unsure")
QUESTIONS = ("object", "unsafe", "background")
_HALF = 16
"""Hexadecimal digits of each half of a name, and of a key."""


class ItemName(NamedTuple):
    """The two halves of an item's name: digests of what is shown and of how it was made."""

    sample: str
    recipe: str

    def __str__(self) -> str:
        return f"{self.sample}-{self.recipe}"


def sample_half(sample: str) -> str:
    """The half of a name that stands for a sample."""
    return digest("sample", sample)[:_HALF]


def image_item(sample: str, recipe: str) -> ItemName:
    """The name of an image of the data set as an item."""
    return ItemName(sample_half(sample), digest("recipe", recipe)[:_HALF])


def gold_item(guide: str, guide_digest: str, class_id: int, background: str) -> ItemName:
    """The name of a guide as an item that is shown as this class on this background, truly or not."""
    shown = digest("gold", guide, class_id, background)[:_HALF]
    return ItemName(shown, digest("guide", guide_digest)[:_HALF])


def parse_item(text: str) -> ItemName | None:
    """The halves of a name; nothing if it is none."""
    halves = text.split("-")
    whole = len(halves) == 2 and all(len(half) == _HALF and set(half) <= set("0123456789abcdef") for half in halves)
    return ItemName(*halves) if whole else None


def plain_key(secret: str, item: ItemName) -> str:
    """The key of an item whose answers nobody knows yet."""
    return digest("plain", secret, str(item))[:_HALF]


def gold_key(secret: str, item: ItemName, answers: Mapping[str, str]) -> str:
    """The key of an item of known answers."""
    return digest("gold", secret, str(item), *(answers[question] for question in QUESTIONS))[:_HALF]


def read_key(secret: str, item: ItemName, key: str) -> dict[str, str] | None:
    """The known answers of a gold item; nothing for any other one.

    Args:
        secret: as the key was made with.
        item: the item's name.
        key: the item's key.
    """
    for shown in ("yes", "no"):
        for place in ("yes", "no"):
            answers = {"object": shown, "unsafe": "no", "background": place}
            if key == gold_key(secret, item, answers):
                return answers
    return None
