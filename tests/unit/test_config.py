"""The config: closed, with defaults, and checked against its tables before any job starts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from d3s.config import (
    check_config,
    find_annotations,
    load_schema,
    load_tables,
    objective_of,
    read_config,
    with_defaults,
)
from d3s.errors import D3SError
from released import make_released_project
from tiny import ROOT, make_tiny_project


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = make_tiny_project(tmp_path_factory.mktemp("tiny") / "project")
    return yaml.safe_load(path.read_text())


def demo() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def test_the_demo_config_and_its_tables_are_valid() -> None:
    tables = load_tables(check_config(demo()))
    assert len(tables.classes) >= 8
    assert len(tables.backgrounds) >= 6
    for row in tables.classes:
        own = [other for other in tables.exemplars if other["class_id"] == row["class_id"]]
        assert len({other["split_group"] for other in own}) >= 9, row["name"]
        assert {other["split"] for other in own} == {"train", "val"}


def test_split_groups_of_the_demo_do_not_cross_splits() -> None:
    splits: dict[tuple[str, str], set[str]] = {}
    for row in load_tables(check_config(demo())).exemplars:
        splits.setdefault((row["class_id"], row["split_group"]), set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())


def test_every_optional_key_has_a_default() -> None:
    def walk(schema: dict[str, Any], where: str) -> list[str]:
        missing = []
        for name, rule in schema.get("properties", {}).items():
            optional = name not in schema.get("required", [])
            if optional and "default" not in rule:
                missing.append(f"{where}{name}")
            missing += walk(rule, f"{where}{name}.")
        return missing

    assert walk(load_schema(), "") == []


def test_defaults_are_valid_values() -> None:
    smallest = {"tables": demo()["tables"], "generator": {"model": "m"}}
    filled = with_defaults(smallest, load_schema())
    assert check_config(filled) == filled


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("generator", "strenght", 0.5, "did you mean 'strength'"),
        ("generator", "strength", 1.5, "1.5 is greater than the maximum"),
        ("guides", "size", 100, "not a multiple of 8"),
        ("guides", "scale", [0.8, 0.2], "runs backwards"),
        ("backgrounds", "field_of_view", 120, "120 is greater"),
        ("images_per_cell", "train", 0, "less than the minimum"),
        ("generator", "dtype", "float8", "is not one of"),
        ("generator", "batch_size", "many", "auto finds it by trial"),
        ("generator", "batch_size", 0, "less than the minimum"),
        ("generator", "offload", "disk", "is not one of"),
        ("generator", "hub", "no-owner", "OWNER/NAME"),
        ("generator", "hub", "owner/name", "go together"),
        ("generator", "revision", "main", "40 digits"),
        ("generator", "variant", "fp16", "go together"),
        ("generator", "steps", 1, "leaves no step to run"),
    ],
)
def test_mistakes_are_named_with_a_remedy(section: str, key: str, value: object, message: str) -> None:
    config = demo()
    config[section][key] = value
    with pytest.raises(D3SError, match=message):
        check_config(config)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": "auto", "compile": "inductor", "offload": "model", "guidance": 0.0},
        {"hub": "stabilityai/sdxl-turbo", "revision": "0" * 40, "variant": "fp16"},
        yaml.safe_load("safety: off"),  # which YAML takes for false
        {"safety": "off"},
    ],
)
def test_settings_of_the_generator(settings: dict) -> None:
    config = demo()
    config["generator"] |= settings
    assert {name: check_config(config)["generator"][name] for name in settings} == settings


def test_shards_of_too_many_images_are_refused_with_the_number_that_fits() -> None:
    given = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    given |= {"classes_per_chunk": 100, "images_per_cell": {"train": 50, "val": 10}}
    with pytest.raises(D3SError, match="shards of 5000 images") as caught:
        check_config(given)
    assert "set it to 68 or less" in caught.value.remedy


def test_the_crossed_design_counts_for_the_size_of_shards() -> None:
    given = demo() | {"crossed": {"exemplars": 10, "placements": 10, "noises": 5}}
    with pytest.raises(D3SError, match="shards of 4000 images") as caught:
        check_config(given)
    assert "set it to 6 or less" in caught.value.remedy
    with pytest.raises(D3SError, match="100 x 10 x 5 are 5000 images of each class"):
        check_config(given | {"crossed": {"exemplars": 100, "placements": 10, "noises": 5}})
    with pytest.raises(D3SError, match="did you mean 'placements'"):
        check_config(given | {"crossed": {"exemplars": 1, "placement": 10}})


def test_there_is_no_crossed_design_by_default_nor_of_imported_images(tmp_path: Path) -> None:
    without = {name: value for name, value in demo().items() if name != "crossed"}
    assert check_config(without)["crossed"]["exemplars"] == 0
    config = yaml.safe_load(make_released_project(tmp_path).read_text())
    with pytest.raises(D3SError, match="a crossed design is generated"):
        check_config(config | {"crossed": {"exemplars": 2}})


def test_usual_backgrounds_are_the_data_sets_own(project: dict[str, Any], tmp_path: Path) -> None:
    config = check_config(project)
    table = tmp_path / "classes.csv"
    rows = Path(config["tables"]["classes"]).read_text().splitlines()

    def usual(*cells: str) -> dict[str, Any]:
        lines = [f"{row},{cell}" for row, cell in zip(rows, ("usual_backgrounds", *cells), strict=True)]
        table.write_text("\n".join(lines))
        return config | {"tables": config["tables"] | {"classes": str(table)}}

    assert load_tables(usual("grass sand", "")).classes[0]["usual_backgrounds"] == "grass sand"
    with pytest.raises(
        D3SError, match=r"(?s)classes.csv, box: usual_backgrounds 'gras' is not in .*did you mean 'grass'"
    ):
        load_tables(usual("grass", "sand gras"))
    with pytest.raises(D3SError, match="line 2: usual_backgrounds is 'grass,sand'"):
        load_tables(usual('"grass,sand"', ""))


def test_the_demos_classes_have_usual_backgrounds() -> None:
    assert all(row["usual_backgrounds"] for row in load_tables(check_config(demo())).classes)


@pytest.mark.parametrize(("text", "problem"), [(None, "can't be read"), ("a: [1", "not valid YAML")])
def test_a_config_that_is_no_config_is_a_clear_error(tmp_path: Path, text: str | None, problem: str) -> None:
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(D3SError, match=problem):
        read_config(path)


@pytest.mark.parametrize(("section", "key"), [("tables", "templates"), ("generator", "model")])
def test_what_generating_takes_is_needed_unless_a_data_set_is_imported(section: str, key: str) -> None:
    config = demo()
    del config[section][key]
    with pytest.raises(D3SError, match=f"{section}: '{key}' is a required property"):
        check_config(config)


def test_a_released_data_set_needs_neither_generator_nor_what_guides_are_made_of(tmp_path: Path) -> None:
    config = check_config(yaml.safe_load(make_released_project(tmp_path).read_text()))
    assert load_tables(config).exemplars == []
    with pytest.raises(D3SError, match="both released: folder: and generator: model:"):
        check_config(demo() | {"released": {"folder": str(tmp_path)}})
    config["tables"]["classes"] = demo()["tables"]["classes"]
    table = tmp_path / "weather.csv"
    table.write_text("background,shift,phrase,revision\nfog,weather,in fog,0\n")
    config["tables"]["backgrounds"] = str(table)
    with pytest.raises(D3SError, match="of the shift 'weather'"):
        load_tables(config)


def test_an_unknown_section_is_named() -> None:
    with pytest.raises(D3SError, match="did you mean 'guides'"):
        check_config(demo() | {"guide": {}})


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("exemplars.csv", "ball0,0,", "ball0,9,", "class_id '9' is not in"),
        ("templates.csv", "grass0,grass,", "grass0,gras,", "did you mean 'grass'"),
        ("classes.csv", "1,box,box", "1,ball,box", "two classes are named 'ball'"),
        ("classes.csv", "class_id,name", "class_id,nam", "did you mean 'name'"),
        ("exemplars.csv", "ball1,", "ball0,", "stands in line"),
    ],
)
def test_tables_are_checked_against_each_other(
    project: dict[str, Any], tmp_path: Path, table: str, old: str, new: str, message: str
) -> None:
    config = check_config(project)
    name = table.removesuffix(".csv")
    text = Path(config["tables"][name]).read_text().replace(old, new, 1)
    (tmp_path / table).write_text(text)
    config["tables"] = config["tables"] | {name: str(tmp_path / table)}
    with pytest.raises(D3SError, match=message):
        load_tables(config)


@pytest.mark.parametrize(
    ("table", "keep", "message"),
    [
        ("exemplars", lambda line: not line.startswith("box"), "the class 'box' .* has no exemplars"),
        ("templates", lambda line: not line.startswith("sand"), "the background 'sand' has no templates"),
    ],
)
def test_classes_and_backgrounds_without_pictures_are_named(
    project: dict[str, Any], tmp_path: Path, table: str, keep: Any, message: str
) -> None:
    config = check_config(project)
    lines = Path(config["tables"][table]).read_text().splitlines()
    (tmp_path / "table.csv").write_text("\n".join(filter(keep, lines)))
    config["tables"] = config["tables"] | {table: str(tmp_path / "table.csv")}
    with pytest.raises(D3SError, match=message):
        load_tables(config)


def test_files_are_fetched_from_no_source_that_the_user_has(project: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "sources.csv").write_text(
        "source,kind,package,version,licence,attribution\nmine,local,my photographs,2024,CC0-1.0,me\n"
    )
    (tmp_path / "assets.csv").write_text(f"source,member,sha256,file\nmine,a.png,{'0' * 64},resources/a.png\n")
    tables = {name: str(tmp_path / f"{name}.csv") for name in ("sources", "assets")}
    load_tables(check_config(project | {"tables": project["tables"] | {"sources": tables["sources"]}}))
    with pytest.raises(D3SError, match="source 'mine' is not in the fetched ones of"):
        load_tables(check_config(project | {"tables": project["tables"] | tables}))


def test_exemplars_are_named_by_a_table_or_chosen_from_elsewhere(project: dict[str, Any], tmp_path: Path) -> None:
    without = {name: path for name, path in project["tables"].items() if name != "exemplars"}
    with pytest.raises(D3SError, match="there is no table of exemplars"):
        check_config(project | {"tables": without})
    for name in ("ball", "box"):
        (tmp_path / name).mkdir()
    chosen = {"foregrounds": {"source": {"kind": "folder", "folder": str(tmp_path)}}}
    with pytest.raises(D3SError, match="would not be read"):
        check_config(project | chosen)
    assert load_tables(check_config(project | chosen | {"tables": without})).exemplars == []
    (tmp_path / "ball").rmdir()
    (tmp_path / "box").rmdir()
    with pytest.raises(D3SError, match="has no folder of any class"):
        load_tables(check_config(project | chosen | {"tables": without}))


def test_annotations_are_the_json_and_csv_files_of_the_folder(tmp_path: Path) -> None:
    for name in ("b's.json", "a.JSON", "mturk.csv", "notes.txt", ".hidden.json"):
        (tmp_path / name).touch()
    (tmp_path / "folder.json").mkdir()
    found = find_annotations({"annotations": {"folder": str(tmp_path)}})
    assert [path.name for path in found] == ["a.JSON", "b's.json", "mturk.csv"]


def test_only_the_usual_folder_of_annotations_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_annotations({"annotations": {"folder": "annotations"}}) == []
    with pytest.raises(D3SError, match="votes can't be read"):
        find_annotations({"annotations": {"folder": "votes"}})


def test_an_annotation_file_with_a_brace_in_its_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "{x}.json").touch()
    with pytest.raises(D3SError, match="holds a brace"):
        find_annotations({"annotations": {"folder": str(tmp_path)}})


@pytest.mark.parametrize(
    ("encoders", "told"),
    [
        ({"objectives": ["erm"], "leace": ["hsic"]}, "leace: names hsic"),
        ({"second": {"benchmark": "imagenet"}}, "'imagenet' is not one of benchmarks"),
        ({"second": {"share": 1.0}}, "share"),
        ({"objectives": ["hsik"]}, "no objective 'hsik'"),
        ({"objectives": ["erm"], "settings": {"erm": {"weight_decay": -1}}}, "weight_decay: is -1"),
        (
            {"objectives": ["mild"], "settings": {"mild": {"objective": "softly"}}},
            "mild: there is no objective 'softly'",
        ),
    ],
)
def test_what_encoders_name_is_in_the_config(encoders: dict, told: str) -> None:
    config = demo()
    config["encoders"] = {key: value for key, value in config["encoders"].items() if key != "leace"} | encoders
    with pytest.raises(D3SError, match=told):
        check_config(config)


def test_one_objective_may_be_trained_with_several_settings() -> None:
    config = demo()
    config["encoders"] |= {
        "objectives": ["erm", "hsic", "hsic_mild"],
        "settings": {"hsic_mild": {"objective": "hsic", "foreground_weight": 1.0}},
    }
    encoders = check_config(config)["encoders"]
    assert [objective_of(encoders, name) for name in encoders["objectives"]] == ["erm", "hsic", "hsic"]
