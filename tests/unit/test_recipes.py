"""Recipes: everything that determines an image is in its key."""

from dataclasses import fields, replace
from typing import Any

from d3s.recipes import Recipe

RECIPE = Recipe("g", "a tench", "", 7, "m", "DDIMScheduler", 50, 0.9, 5.0, 512, "float16")


def test_the_key_is_stable() -> None:
    assert RECIPE.key == replace(RECIPE).key
    assert len(RECIPE.key) == 32


def test_every_field_changes_the_key() -> None:
    for field in fields(Recipe):
        value = getattr(RECIPE, field.name)
        changed: dict[str, Any] = {field.name: value + 1 if isinstance(value, int | float) else value + "x"}
        other = replace(RECIPE, **changed)
        assert other.key != RECIPE.key, field.name
