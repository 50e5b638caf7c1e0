"""The list of classifiers: what is checked before any job starts, and how a mistake is named."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from d3s.classifier_table import (
    DEFAULTS,
    LIBRARIES,
    PREDICTIONS,
    WEIGHTS,
    entry_digest,
    load_schema,
    read_classifiers,
    read_entry,
)
from d3s.config import read_config
from d3s.errors import D3SError
from tiny import ROOT

SHA256 = "0" * 63 + "a"


def network(name: str, role: str, **given: Any) -> dict[str, Any]:
    weights = {"package": "a_package", "file": "w.pth", "sha256": SHA256}
    usual = {"name": name, "family": "resnet", "role": role, "architecture": "resnet18", "weights": weights}
    return usual | {"licence": "MIT"} | given


def listing(folder: Path, *judges: dict[str, Any]) -> Path:
    path = folder / "classifiers.yaml"
    judged = judges or (network("c", "judge"),)
    path.write_text(yaml.safe_dump([network("a", "backbone"), network("b", "screen"), *judged]))
    return path


def refused(path: Path) -> str:
    """The whole message about a list that is not accepted; it names the file and a remedy."""
    with pytest.raises(D3SError) as caught:
        read_classifiers(path)
    assert path.name in caught.value.problem
    assert caught.value.remedy
    return str(caught.value)


def test_entries_come_back_in_order_with_their_defaults(tmp_path: Path) -> None:
    entries = read_classifiers(listing(tmp_path))
    assert [entry["name"] for entry in entries] == ["a", "b", "c"]
    assert entries[2]["library"] == "timm"
    assert entries[2]["input"] == {}
    assert entries[2]["label_space"] == "imagenet-1k"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"familly": "x"}, "entry 3 (c): unknown key 'familly'\n  what to do: did you mean 'family'?"),
        ({"input": {"sice": 3}}, "entry 3 (c), input: unknown key 'sice'\n  what to do: did you mean 'size'?"),
        ({"input": {"crop": 1.5}}, "input: crop: 1.5 is greater than the maximum of 1"),
        ({"input": {"mean": [0.5]}}, "input: mean: [0.5] is too short"),
        ({"role": "jugde"}, "role: 'jugde' is not one of ['backbone', 'screen', 'judge']"),
        ({"library": "tim"}, "library is 'tim'\n  what to do: did you mean 'timm'?"),
        ({"library": "tensorflow"}, "it is one of: keras, open_clip, timm"),
        ({"name": "b"}, "entries 2 and 3 are both named 'b'"),
        ({"name": "../c"}, "name: '../c' does not match"),
        ({"weights": {}}, "weights name no source"),
        ({"weights": {"published": True, "hub": "a/b"}}, "weights name hub and published"),
        ({"weights": {"package": "p", "file": "f"}}, "the kind package need sha256:"),
        ({"weights": {"hub": "a/b", "sha256": SHA256}}, "the kind hub need revision:"),
        ({"weights": {"hub": "a/b", "revision": "main"}}, "40 digits"),
        ({"weights": {"published": True, "file": "f"}}, "the kind published have no file:"),
        ({"weights": {"file": "f", "sha256_prefix": "aaaaaa"}}, "the kind file have no sha256_prefix:"),
        ({"weights": {"file": "../f.safetensors"}}, "'../f.safetensors' leads out of the project"),
        ({"weights": {"file": "/etc/f"}}, "leads out of the project"),
        ({"weights": {"package": "p", "file": "../../f", "sha256": SHA256}}, "leads out of the package"),
        ({"weights": {"file": "{f}.safetensors"}}, "a character that stands for others"),
        ({"weights": {"published": True, "sha256": 123}}, "in quotes if they are decimal"),
        ({"prompts": ["a photo"]}, "prompts: 0: 'a photo' does not match"),
        ({"prompts": ["a {class}"]}, "c has prompts, and timm has no networks that read texts"),
        ({"role": "screen"}, "names 2 classifiers for the role 'screen'"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    assert expected in refused(listing(tmp_path, network("c", "judge") | change))


def test_each_role_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "classifiers.yaml"
    path.write_text(yaml.safe_dump([network("a", "backbone"), network("b", "screen")]))
    assert "no classifier for the role 'judge'" in refused(path)
    path.write_text(yaml.safe_dump([network("b", "screen"), network("c", "judge")]))
    assert "0 classifiers for the role 'backbone'" in refused(path)
    path.write_text(yaml.safe_dump([network("a", "backbone", library="torchvision"), network("b", "screen")] * 1))
    assert "no classifier for the role 'judge'" in refused(path)


def test_encoders_are_built_on_timm_alone(tmp_path: Path) -> None:
    path = tmp_path / "classifiers.yaml"
    rows = [network("a", "backbone", library="torchvision"), network("b", "screen"), network("c", "judge")]
    path.write_text(yaml.safe_dump(rows))
    assert "the backbone a is of torchvision" in refused(path)


@pytest.mark.parametrize("text", ["", "name: a\n", "- a\n- b\n", "[]"])
def test_what_is_no_list_of_entries_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "classifiers.yaml").write_text(text)
    assert "is not a list of classifiers" in refused(tmp_path / "classifiers.yaml")


def test_a_missing_file_a_table_of_old_and_broken_yaml_are_refused(tmp_path: Path) -> None:
    assert "can't be read" in refused(tmp_path / "gone.yaml")
    (tmp_path / "classifiers.csv").write_text("name,timm_name,role\nlite0,tf_efficientnet_lite0,backbone\n")
    assert "is not a list of classifiers" in refused(tmp_path / "classifiers.csv")
    (tmp_path / "broken.yaml").write_text("- name: [\n")
    assert "not valid YAML" in refused(tmp_path / "broken.yaml")


def test_a_job_sees_what_it_depends_on_and_no_more(tmp_path: Path) -> None:
    entry = read_classifiers(listing(tmp_path))[2]
    for keys in (WEIGHTS, PREDICTIONS):
        assert entry_digest(entry | {"licence": "GPL", "note": "x"}, keys) == entry_digest(entry, keys)
    assert entry_digest(entry | {"input": {"size": 64}}, WEIGHTS) == entry_digest(entry, WEIGHTS)
    assert entry_digest(entry | {"input": {"size": 64}}, PREDICTIONS) != entry_digest(entry, PREDICTIONS)


def test_a_list_edited_during_a_run_is_noticed(tmp_path: Path) -> None:
    path = listing(tmp_path)
    planned = entry_digest(read_entry(path, "c"), PREDICTIONS)
    assert read_entry(path, "c", PREDICTIONS, planned)["name"] == "c"
    listing(tmp_path, network("c", "judge", input={"size": 64}))
    with pytest.raises(D3SError, match="changed while the workflow was running"):
        read_entry(path, "c", PREDICTIONS, planned)


def test_every_library_is_a_module_and_every_default_a_key() -> None:
    modules = (ROOT / "scripts/d3s/classifier_libraries").glob("[a-z]*.py")
    assert {path.stem for path in modules} == set(LIBRARIES)
    assert set(DEFAULTS) | set(load_schema()["required"]) == set(load_schema()["properties"])


def test_the_shipped_lists_are_valid() -> None:
    for config in ("config.yaml", "paper.yaml"):
        path = ROOT / read_config(ROOT / "config" / config)["tables"]["classifiers"]
        assert read_classifiers(path)


def test_the_paper_s_list_has_its_families_each_pinned_as_far_as_anybody_knows() -> None:
    entries = read_classifiers(ROOT / "config/paper/classifiers.yaml")
    families = {entry["family"] for entry in entries}
    wanted = "resnet resnext densenet efficientnet vit beit deit bit ssl swsl adversarial dino clip flava robust"
    assert set(wanted.split()) <= families
    assert 35 <= len(entries) <= 60
    for entry in entries:
        if "file" in entry["weights"] and set(entry["weights"]) <= {"file", "sha256"}:
            assert entry["note"], f"{entry['name']}: where its file can be had"
