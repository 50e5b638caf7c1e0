from collections.abc import Callable
from pathlib import Path

import pytest

from d3s.errors import D3SError
from d3s.tables import SCHEMAS, check_slice, parse_indices, read_table, slice_digest

Write = Callable[[str], Path]

BACKGROUNDS = "background,phrase,revision,note\ngrass,on grass,0,\nwater,in water,1,\n"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(text: str) -> Path:
        file = tmp_path / "table.csv"
        file.write_text(text, encoding="utf-8")
        return file

    return make


def refused(file: Path, kind: str) -> str:
    """The whole message about a table that is not accepted; it names the file and a remedy."""
    with pytest.raises(D3SError) as caught:
        read_table(file, kind)
    assert file.name in caught.value.problem
    assert caught.value.remedy
    return str(caught.value)


def test_a_table_comes_back_as_rows_of_text(write: Write) -> None:
    assert read_table(write(BACKGROUNDS), "backgrounds") == [
        {"background": "grass", "phrase": "on grass", "revision": "0", "shift": "background", "templates": "grass"}
        | {"note": ""},
        {"background": "water", "phrase": "in water", "revision": "1", "shift": "background", "templates": "water"}
        | {"note": ""},
    ]


def test_optional_columns_may_be_left_out(write: Write) -> None:
    rows = read_table(write("exemplar,class_id,image\ndrake,0,drake.png\n"), "exemplars")
    assert rows[0]["mask"] == rows[0]["split"] == ""


def test_spreadsheets_write_a_mark_blanks_and_empty_lines(write: Write) -> None:
    text = "\ufeffbackground, phrase ,revision\r\n grass , on grass ,0\r\n\r\n,,\r\n"
    assert [row["phrase"] for row in read_table(write(text), "backgrounds")] == ["on grass"]


def test_a_quoted_cell_may_hold_a_comma_and_odd_characters(write: Write) -> None:
    rows = read_table(
        write('background,phrase,revision\ncafé,"in a café, « à côté »",0\n'.replace("café,", "cafe,", 1)),
        "backgrounds",
    )
    assert rows[0]["phrase"] == "in a café, « à côté »"


def test_an_unknown_column_suggests_the_one_that_was_meant(write: Write) -> None:
    message = refused(write("background,phrse,revision\ngrass,on grass,0\n"), "backgrounds")
    assert "unknown column 'phrse'" in message
    assert "did you mean 'phrase'?" in message


def test_an_unknown_column_that_resembles_none_lists_them_all(write: Write) -> None:
    assert "the columns are: background, phrase" in refused(write("background,zzz\ngrass,1\n"), "backgrounds")


def test_a_column_missing_or_given_twice_is_named(write: Write) -> None:
    assert "'revision' is missing" in refused(write("background,phrase\ngrass,on grass\n"), "backgrounds")
    assert "'phrase' stands twice" in refused(write("background,phrase,phrase,revision\n"), "backgrounds")


@pytest.mark.parametrize(
    ("kind", "text", "line", "key"),
    [
        ("exemplars", "exemplar,class_id,image\na,0,1.png\nb,0,2.png\na,1,3.png\n", 4, "'a' stands in line 2"),
        ("classes", "class_id,name,label\n0,bird,bird\n0,cat,cat\n", 3, "'0' stands in line 2"),
    ],
)
def test_duplicate_ids_are_named_with_both_lines(write: Write, kind: str, text: str, line: int, key: str) -> None:
    message = refused(write(text), kind)
    assert f"line {line}" in message
    assert key in message


@pytest.mark.parametrize("row", ["grass,on grass", "grass,on grass, by day,0,"])
def test_a_wrong_number_of_cells_is_named_with_its_line(write: Write, row: str) -> None:
    message = refused(write(f"background,phrase,revision,note\nwater,in water,0,\n{row}\n"), "backgrounds")
    assert f"line 3: {row.count(',') + 1} cells where the header has 4" in message
    assert "quote cells" in message


@pytest.mark.parametrize("name", ["on grass", "a/b", "../up", ".hidden", "-flag", "é", "a;b", "$(x)", "a\tb"])
def test_a_name_that_could_not_be_a_file_name_is_refused(write: Write, name: str) -> None:
    assert "background is" in refused(write(f'background,phrase,revision\n"{name}",p,0\n'), "backgrounds")


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("backgrounds", "background,phrase,revision\ngrass,on grass,\n", "revision is ''"),
        ("backgrounds", "background,phrase,revision\ngrass,on grass,one\n", "revision is 'one'"),
        ("backgrounds", "background,phrase,revision\ngrass,on grass,-1\n", "revision is '-1'"),
        ("classes", "class_id,name,label,imagenet_indices\n0,bird,bird,7..9\n", "imagenet_indices is '7..9'"),
        ("exemplars", "exemplar,class_id,split,image\na,0,vall,a.png\n", "did you mean 'val'?"),
        (
            "templates",
            "template_source,background,kind,file\nt,grass,film,f\n",
            "it is one of: archive, folder, panorama, photo, video",
        ),
    ],
)
def test_a_cell_that_cannot_be_used_is_named(write: Write, kind: str, text: str, expected: str) -> None:
    message = refused(write(text), kind)
    assert expected in message
    assert "line 2" in message


def test_empty_missing_and_binary_tables_are_refused(write: Write, tmp_path: Path) -> None:
    assert "has no rows" in refused(write("background,phrase,revision\n"), "backgrounds")
    assert "is missing" in refused(write(""), "backgrounds")
    assert "does not exist" in refused(tmp_path / "gone.csv", "backgrounds")
    (tmp_path / "latin.csv").write_bytes("background,phrase,revision\ncafe,im Café,0\n".encode("latin-1"))
    assert "UTF-8" in refused(tmp_path / "latin.csv", "backgrounds")


def test_keys_and_optional_columns_are_columns() -> None:
    for kind, schema in SCHEMAS.items():
        assert set(schema.key) | schema.optional | set(schema.choices) <= set(schema.columns), kind


def test_indices_are_single_numbers_and_ranges() -> None:
    assert parse_indices("7-9 80") == [7, 8, 9, 80]
    assert parse_indices("0") == [0]
    assert parse_indices("") == []


def test_a_range_that_runs_backwards_is_refused() -> None:
    with pytest.raises(D3SError, match="9-7"):
        parse_indices("9-7")


def test_a_slice_sees_its_own_rows_and_columns_alone(write: Write) -> None:
    rows = read_table(write(BACKGROUNDS), "backgrounds")
    grass = slice_digest(rows[:1], ("background", "phrase"))
    noted = [row | {"note": "two panoramas"} for row in rows]
    assert slice_digest(noted[:1], ("background", "phrase")) == grass
    assert slice_digest([rows[0] | {"phrase": "on a lawn"}], ("background", "phrase")) != grass


def test_a_table_edited_during_a_run_is_noticed(write: Write) -> None:
    rows = read_table(write(BACKGROUNDS), "backgrounds")
    check_slice(rows, ("phrase",), slice_digest(rows, ("phrase",)), "table.csv")
    check_slice(rows, ("phrase",), None, "table.csv")  # run by hand, without a plan
    with pytest.raises(D3SError, match=r"table\.csv changed while the workflow was running"):
        check_slice(rows[:1], ("phrase",), slice_digest(rows, ("phrase",)), "table.csv")
