from pathlib import Path

import pandas as pd
import pytest

import build_manifest as script
from d3s.annotation.deciding import decide
from d3s.annotation.reading import read_votes
from d3s.errors import D3SError
from d3s.manifest import GROUPS, IDENTITY, SCREENS, build_manifest, count_statuses, with_own_groups
from d3s.screening import DTYPES
from d3s.shards import write_table

BACKGROUNDS = ("forest", "grass")
FAR_APART = ["00000000ffffffff", "ffffffff00000000", "0f0f0f0f0f0f0f0f", "f0f0f0f0f0f0f0f0"]


def images(indices: int = 2, revision: int = 0) -> pd.DataFrame:
    """One class, two backgrounds, so many images of each; all were generated."""
    rows = []
    for background in BACKGROUNDS:
        for index in range(indices):
            sample = f"val-{background}-0-{index}-r{revision}"
            row = dict.fromkeys(IDENTITY, "x") | {
                "sample": sample,
                "split": "val",
                "class_id": 0,
                "class_name": "bird",
                "background": background,
                "index": index,
                "revision": revision,
                "matched_set": f"val-0-{index}-r{revision}",
                "seed": index,
                "image_digest": f"digest of {sample}",
            }
            rows.append(row)
    return pd.DataFrame(rows)


def screens(table: pd.DataFrame) -> pd.DataFrame:
    """Screens that accept everything, with hashes that are alike across backgrounds and never within one."""
    found = pd.DataFrame(
        {
            "sample": table["sample"],
            "image_digest": table["image_digest"],
            "status": "ok",
            "reason": "",
            "brightness": 0.5,
            "contrast": 0.2,
            "dhash": [FAR_APART[index] for index in table["index"]],
            "guide_distance": 0.1,
            "classifier": "lite1",
            "super_top1": 0,
            "super_probability": 0.9,
        }
    )
    return found.astype(DTYPES)


def test_an_untroubled_manifest_accepts_all() -> None:
    manifest = build_manifest(images(), screens(images()), duplicate_distance=2)
    assert len(manifest) == 4
    assert manifest["accepted"].all()
    assert manifest["set_complete"].all()
    assert set(manifest["verified_by"]) == {"model"}
    assert set(IDENTITY + SCREENS) < set(manifest)


def test_a_rejected_image_breaks_its_matched_set_and_no_other() -> None:
    found = screens(images())
    found.loc[0, ["status", "reason"]] = ["off_class", "it looks like fruit"]
    manifest = build_manifest(images(), found, 2).set_index("sample")
    assert manifest["accepted"].tolist() == [False, True, True, True]
    assert manifest["set_complete"].to_dict() == {
        "val-forest-0-0-r0": False,
        "val-grass-0-0-r0": False,
        "val-forest-0-1-r0": True,
        "val-grass-0-1-r0": True,
    }
    assert manifest.loc["val-forest-0-0-r0", "reason"] == "it looks like fruit"


def test_a_set_that_lacks_a_background_is_not_complete() -> None:
    planned = images().iloc[1:]
    manifest = build_manifest(planned, screens(planned), 2)
    assert manifest["set_complete"].tolist() == [False, True, True]


def test_revisions_form_sets_of_their_own() -> None:
    both = pd.concat([images(revision=0), images(revision=1).iloc[:2]], ignore_index=True)
    found = screens(both)
    found["dhash"] = [f"{number:x}" * 16 for number in (1, 2, 4, 8, 14, 7)]
    manifest = build_manifest(both, found, 2)
    assert manifest["set_complete"].all(), "revision 1 has a single background, and its sets have it"


def test_samples_that_are_sets_of_their_own_complete_none() -> None:
    """As imported images, of which nobody knows what they share."""
    table = images().assign(matched_set=lambda rows: rows["sample"])
    manifest = build_manifest(table, screens(table), 2)
    assert manifest["accepted"].all()
    assert not manifest["set_complete"].any()


def test_an_image_of_unknown_origin_stands_for_itself() -> None:
    table = images().assign(exemplar=["", "a", None, "a"], template_group="")
    found = with_own_groups(table)
    assert found["exemplar"].tolist() == [table["sample"][0], "a", table["sample"][2], "a"]
    assert found["template_group"].tolist() == found["sample"].tolist()
    assert found.drop(columns=GROUPS).equals(table.drop(columns=GROUPS))


def test_the_later_of_two_near_duplicates_goes_and_names_the_other() -> None:
    found = screens(images())
    found.loc[1, "dhash"] = "00000000fffffffc"
    manifest = build_manifest(images(), found, 2).set_index("sample")
    late = manifest.loc["val-forest-0-1-r0"]
    assert late["status"] == "near_duplicate"
    assert late["reason"] == "its hash is within 2 of 64 bits of that of val-forest-0-0-r0"
    assert manifest["accepted"].sum() == 3
    assert build_manifest(images(), found, 1)["accepted"].all()


def test_images_of_other_backgrounds_may_be_alike() -> None:
    found = screens(images(indices=1))
    assert found["dhash"].nunique() == 1
    assert build_manifest(images(indices=1), found, 2)["accepted"].all()


def test_only_images_that_stay_reject_others() -> None:
    planned = images(indices=3).iloc[:3]
    found = screens(planned)
    found["dhash"] = ["0000000000000000", "0000000000000003", "000000000000000f"]
    assert build_manifest(planned, found, 2)["status"].tolist() == ["ok", "near_duplicate", "ok"]
    found.loc[0, "status"] = "off_class"
    assert build_manifest(planned, found, 2)["status"].tolist() == ["off_class", "ok", "near_duplicate"]


def test_an_image_that_nothing_judged_is_verified_by_none() -> None:
    found = screens(images())
    found.loc[0, "classifier"] = None
    assert build_manifest(images(), found, 2)["verified_by"].tolist() == ["none", "model", "model", "model"]


def decision(sample: str, word: str, present: int) -> dict[str, object]:
    counts = {"votes": 5, "present": present, "safe": 5, "background_right": 5}
    return {"sample": sample, **counts, "rule": "veto", "decision": word}


def test_people_overrule_the_classifier_and_nothing_else() -> None:
    names = images()["sample"].tolist()
    found = screens(images())
    found["status"] = ["ok", "off_class", "blank", "ok"]
    voted = pd.DataFrame(
        [decision(names[0], "rejected", 3), decision(names[1], "accepted", 5), decision(names[2], "accepted", 5)]
    )
    manifest = build_manifest(images(), found, 2, voted).set_index("sample").loc[names]
    assert manifest["status"].tolist() == ["rejected_by_people", "ok", "blank", "ok"]
    assert manifest["verified_by"].tolist() == ["human", "human", "model", "model"]
    assert manifest["votes"].tolist() == [5, 5, 5, 0]
    assert manifest["reason"].iloc[0].startswith("of 5 people 3 see the object")


def test_what_people_accepted_is_no_near_duplicate_of_what_they_did_not_see() -> None:
    found = screens(images())
    found.loc[1, "dhash"] = found.loc[0, "dhash"]
    voted = pd.DataFrame([decision(images()["sample"][1], "accepted", 5)])
    manifest = build_manifest(images(), found, 2, voted).set_index("sample").loc[images()["sample"]]
    assert manifest["status"].tolist() == ["near_duplicate", "ok", "ok", "ok"]


def test_a_table_without_decisions_changes_nothing(tmp_path: Path) -> None:
    write_table(tmp_path / "decisions.parquet", decide(read_votes([], {}, "d3s", "").table, "veto", 5))
    nothing = pd.read_parquet(tmp_path / "decisions.parquet")
    alone = build_manifest(images(), screens(images()), 2)
    pd.testing.assert_frame_equal(build_manifest(images(), screens(images()), 2, nothing), alone)


def test_an_undecided_image_stays_as_the_model_left_it() -> None:
    voted = pd.DataFrame([decision(images()["sample"][0], "undecided", 3)])
    manifest = build_manifest(images(), screens(images()), 2, voted)
    assert manifest["accepted"].all()
    assert set(manifest["verified_by"]) == {"model"}
    assert manifest["decision"].tolist().count("undecided") == 1


def test_an_image_without_screens_is_an_error() -> None:
    with pytest.raises(D3SError, match="1 images have no screens, such as val-grass-0-1-r0"):
        build_manifest(images(), screens(images()).iloc[:3], 2)


def test_screens_without_an_image_are_an_error() -> None:
    with pytest.raises(D3SError, match="1 screens belong to no image"):
        build_manifest(images().iloc[:3], screens(images()), 2)


def test_a_sample_stands_once() -> None:
    twice = pd.concat([images(), images().iloc[:1]])
    with pytest.raises(D3SError, match="1 samples stand twice in the image shards"):
        build_manifest(twice, screens(images()), 2)


def test_screens_of_earlier_pixels_are_an_error() -> None:
    planned = images()
    planned.loc[2, "image_digest"] = "made again"
    with pytest.raises(D3SError, match="of other pixels, such as val-grass-0-0-r0"):
        build_manifest(planned, screens(images()), 2)


def test_counts_are_long() -> None:
    found = screens(images())
    found.loc[0, "status"] = "blank"
    counts = count_statuses(build_manifest(images(), found, 2))
    assert counts.to_csv(index=False, lineterminator="\n") == (
        "split,background,class_id,class_name,status,n\n"
        "val,forest,0,bird,blank,1\n"
        "val,forest,0,bird,ok,1\n"
        "val,grass,0,bird,ok,2\n"
    )


def test_the_script_writes_the_same_bytes_whatever_the_order_of_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tars, tables = [], []
    for background, rows in images().groupby("background"):
        tars.append(str(tmp_path / f"{background}.tar"))
        tables.append(str(tmp_path / f"{background}.screens.parquet"))
        rows.to_parquet(Path(tars[-1]).with_suffix(".parquet"))
        screens(rows).to_parquet(tables[-1])
    outputs = [tmp_path / name for name in ("manifest.parquet", "manifest.csv", "counts.csv")]
    seen = set()
    for step in (1, -1):
        line = ["--images", *tars[::step], "--screens", *tables[::step], "--output", str(outputs[0])]
        line += ["--csv", str(outputs[1]), "--counts", str(outputs[2])]
        monkeypatch.setattr("sys.argv", ["build_manifest.py", *line])
        script.main(script.parse())
        seen.add(tuple(path.read_bytes() for path in outputs))
    assert len(seen) == 1
    manifest = pd.read_parquet(outputs[0])
    assert manifest["shard"].tolist() == [tars[0], tars[1], tars[0], tars[1]]
    assert manifest["accepted"].dtype == bool
