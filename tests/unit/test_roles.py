"""Roles of classifiers: read from arguments, joined with tables, and used to choose who judges."""

import pandas as pd
import pytest

from d3s.errors import D3SError
from d3s.roles import judges_of, marks_of, parse_roles, with_roles

ROLES = {"a": "backbone", "z": "judge", "b": "judge", "c": "screen"}


def test_roles_keep_their_order() -> None:
    assert list(parse_roles(["z=judge", "a=backbone"]).items()) == [("z", "judge"), ("a", "backbone")]


@pytest.mark.parametrize("text", ["lite0", "=judge", "lite0="])
def test_a_role_without_a_name_is_refused(text: str) -> None:
    with pytest.raises(D3SError, match="NAME=ROLE"):
        parse_roles([text])


def test_the_first_judge_in_the_list_leads() -> None:
    table = with_roles(pd.DataFrame({"model": ["a", "b", "z", "z"]}), ROLES)
    assert judges_of(table) == ["z", "b"]


def test_a_judge_without_rows_does_not_lead() -> None:
    assert judges_of(with_roles(pd.DataFrame({"model": ["a", "b"]}), ROLES)) == ["b"]


def test_without_roles_the_last_by_name_leads() -> None:
    assert judges_of(pd.DataFrame({"model": ["b", "a"]})) == ["b"]
    assert judges_of(with_roles(pd.DataFrame({"model": ["b", "a"]}), {"a": "backbone"})) == ["b"]


def test_only_those_with_a_part_in_the_data_are_marked() -> None:
    table = with_roles(pd.DataFrame({"model": ["a", "b", "c", "d"]}), ROLES)
    assert marks_of(table) == {"a": "backbone", "c": "screen"}
    assert marks_of(pd.DataFrame({"model": ["a"]})) == {}


def test_names_may_be_numbers() -> None:
    table = with_roles(pd.DataFrame({"model": [50, 101]}), {"101": "judge"})
    assert judges_of(table) == ["101"]


def test_a_table_without_models_stays_as_it_is() -> None:
    table = pd.DataFrame({"first": ["a"]})
    assert with_roles(table, ROLES) is table
