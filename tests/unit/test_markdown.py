"""Texts and names in Markdown: shown as what they are, never as what they could be taken for."""

import pytest

from d3s.markdown import code, escape, licence_of, one_line
from markdown_pages import HOSTILE, WORSE, rendered


@pytest.mark.parametrize("label", [HOSTILE, WORSE, "ball\u202egnp.exe", "\u0000\u001b[31mred", "www.evil.example"])
def test_a_hostile_text_is_shown_as_text(label: str) -> None:
    page = rendered(f"| a | b |\n| --- | --- |\n| {escape(label)} | x |\n")
    assert set(page.tags) == {"table", "thead", "tbody", "tr", "th", "td"}
    assert page.tags.count("td") == 2
    assert one_line(label) in page.text


def test_names_are_code_unless_they_would_break_it() -> None:
    assert code("water_bird") == "`water_bird`"
    assert code("a`b") == "a\\`b"
    assert escape(1234567) == "1,234,567"
    assert escape(True) == "True"


def test_licences_that_are_not_known_by_name_are_written_out() -> None:
    assert licence_of("Apache-2.0") == {"license": "apache-2.0"}
    assert licence_of("") == {"license": "unknown"}
    assert licence_of("ours\nlicense: mit") == {"license": "other", "license_name": "ours license: mit"}
