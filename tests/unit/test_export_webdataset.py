"""The names of samples in tars."""

import itertools

from d3s.export.webdataset import key_of


def test_a_usual_name_is_kept() -> None:
    assert key_of("val-background-grass-00003-00001") == "val-background-grass-00003-00001"


def test_keys_have_no_dot_and_stay_different() -> None:
    names = ["".join(letters) for letters in itertools.product("a.%2E_", repeat=3)]
    keys = [key_of(name) for name in names]
    assert len(set(keys)) == len(set(names))
    assert not any("." in key for key in keys)
