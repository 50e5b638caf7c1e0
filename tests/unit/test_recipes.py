"""Recipes: everything that determines an image is in its key."""

from dataclasses import fields, replace
from typing import Any

from d3s.recipes import Recipe

RECIPE = Recipe("g", "a tench", "", 7, "m", "DDIMScheduler", 50, 0.9, 5.0, 512, "float16")


def test_the_key_is_stable() -> None:
    assert RECIPE.key == replace(RECIPE).key
    assert len(RECIPE.key) == 32


def test_the_key_is_the_one_of_images_made_before_there_were_modes_and_options() -> None:
    """Or every image in every store would be made again."""
    assert RECIPE.key == "488bea2ba870cd790ae64d3547722fea"


def test_every_field_changes_the_key() -> None:
    for field in fields(Recipe):
        value = getattr(RECIPE, field.name)
        other_value = {int: 1, float: 1.0, str: "x", tuple: (("use_karras_sigmas", True),)}[type(value)]
        changed: dict[str, Any] = {field.name: value + other_value}
        other = replace(RECIPE, **changed)
        assert other.key != RECIPE.key, field.name
