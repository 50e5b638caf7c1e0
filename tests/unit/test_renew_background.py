"""Raising the revision of one background in a table that people edit by hand."""

import renew_background

TABLE = """background,phrase,revision,note
grass,"on grass, in the sun",0,
street,on a street,4,"its ""city"" panorama"
"""


def test_one_cell_changes_and_all_else_stays() -> None:
    text, revision = renew_background.raise_revision(TABLE, "street")
    assert revision == 5
    assert text == TABLE.replace("street,4", "street,5")
