"""Every kind of template, from real files made on the fly, and what becomes of files that can't be used."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from d3s.errors import BadInput
from d3s.imageio import encode_png
from d3s.shards import TarReader, write_shard
from d3s.tables import NAME, SCHEMAS, Row
from d3s.template_source import find_templates
from d3s.template_sources import archive
from d3s.templates import prepare_templates
from scenery import row, scene, settings, tarred, write_video, zipped

HOSTILE = ["../../escaped.png", "/etc/absolute.png", "train/./../odd name;$(x).png", "C:\\val\\win.png"]


def prepare(given: Row, **chosen: Any) -> tuple[pd.DataFrame, dict[str, bytes]]:
    table, members = prepare_templates([given], settings(**chosen))
    return table, dict(members)


def status(given: Row, **chosen: Any) -> str:
    """The one status of a source that can't be used at all."""
    table, members = prepare(given, **chosen)
    assert len(table) == 1
    assert not members
    assert table.loc[0, "reason"]
    return str(table.loc[0, "status"])


def save(folder: Path, name: str, number: int, **options: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    scene(number).save(path, **options)
    return path


def places(*names: str) -> dict[str, bytes]:
    return {name: encode_png(scene(number)) for number, name in enumerate(names)}


def test_the_table_s_kinds_are_the_modules() -> None:
    folder = Path(archive.__file__).parent
    assert tuple(sorted(path.stem for path in folder.glob("[a-z]*.py"))) == SCHEMAS["templates"].choices["kind"]


# ---------------------------------------------------------------- folders


def test_all_pictures_of_a_folder_become_templates_whatever_they_are_saved_as(tmp_path: Path) -> None:
    folder = tmp_path / "meadows"
    save(folder, "a.jpg", 1)
    save(folder, "deep/b c.png", 2)
    scene(3).convert("CMYK").save(folder / "cmyk.jpg")
    scene(4).convert("P").save(folder / "palette.gif")
    scene(5).convert("L").save(folder / "grey.webp")
    (folder / "notes.txt").write_text("no picture")
    table, members = prepare(row(folder, "folder", "train"))
    assert table["status"].tolist() == ["ok"] * 5
    assert sorted(table["picture"]) == ["a.jpg", "cmyk.jpg", "deep/b c.png", "grey.webp", "palette.gif"]
    assert table["template_group"].is_unique
    assert all(group.startswith("meadows:") for group in table["template_group"])
    for data in members.values():
        picture = Image.open(io.BytesIO(data))
        assert (picture.mode, picture.size) == ("RGB", (16, 16))


def test_pictures_are_turned_upright_by_their_tag(tmp_path: Path) -> None:
    upright = Image.new("RGB", (40, 40), (0, 0, 0))
    upright.paste((255, 255, 255), (0, 0, 40, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    (tmp_path / "turned").mkdir()
    upright.rotate(90).save(tmp_path / "turned/a.jpg", exif=exif)
    _, members = prepare(row(tmp_path / "turned", "folder", "train"))
    samples = np.asarray(Image.open(io.BytesIO(next(iter(members.values())))))
    assert samples[:6].mean() > 240
    assert samples[-6:].mean() < 15


def test_subfolders_give_the_splits(tmp_path: Path) -> None:
    for number, name in enumerate(("train/a.png", "train/b.png", "val/c.png")):
        save(tmp_path / "sorted", name, number)
    table, _ = prepare(row(tmp_path / "sorted", "folder"))
    assert dict(zip(table["picture"], table["split"], strict=True)) == {
        "train/a.png": "train",
        "train/b.png": "train",
        "val/c.png": "val",
    }


def test_names_and_splits_stay_when_pictures_are_added(tmp_path: Path) -> None:
    for number in range(12):
        save(tmp_path / "meadows", f"m{number}.png", number)
    columns = ["template", "split", "digest"]
    before, _ = prepare(row(tmp_path / "meadows", "folder"))
    save(tmp_path / "meadows", "another.png", 77)
    after, _ = prepare(row(tmp_path / "meadows", "folder"))
    assert set(before["split"]) == {"train", "val"}
    assert set(before[columns].itertuples(index=False)) < set(after[columns].itertuples(index=False))


def test_a_bad_picture_of_a_folder_is_a_row_of_its_own(tmp_path: Path) -> None:
    good = save(tmp_path / "mixed", "good.jpg", 1)
    (tmp_path / "mixed/cut.jpg").write_bytes(good.read_bytes()[:-300])
    (tmp_path / "mixed/page.png").write_text("<html>not found</html>")
    (tmp_path / "mixed/lost.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "mixed" / os.fsdecode(b"\xff\n.png")).write_bytes(b"")
    table, members = prepare(row(tmp_path / "mixed", "folder", "train"))
    found = dict(zip(table["picture"], table["status"], strict=True))
    assert found == {
        "good.jpg": "ok",
        "cut.jpg": "truncated",
        "page.png": "not_an_image",
        "lost.jpg": "missing",
        "\\udcff\\n.png": "not_an_image",
    }
    assert len(members) == 1
    write_shard(tmp_path / "shard.tar", table, members.items())  # odd bytes of names are no trouble to the formats


@pytest.mark.parametrize("kind", ["folder", "video"])
def test_an_empty_folder_is_a_row_with_a_reason(tmp_path: Path, kind: str) -> None:
    (tmp_path / "empty").mkdir()
    assert status(row(tmp_path / "empty", kind)) == "empty"


@pytest.mark.parametrize("kind", ["folder", "video", "archive", "panorama"])
def test_what_is_not_there_is_a_row_with_a_reason(tmp_path: Path, kind: str) -> None:
    assert status(row(tmp_path / "gone.mp4", kind)) == "missing"


# ---------------------------------------------------------------- archives


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_the_pictures_of_an_archive_become_templates(
    tmp_path: Path, pack: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    members = places("beach/train/a.png", "beach/val/b.png") | {"beach/readme.txt": b"hello"}
    table, made = prepare(row(pack(tmp_path / "beach.bin", members), "archive"))
    assert table[["picture", "split", "status"]].to_numpy().tolist() == [
        ["beach/train/a.png", "train", "ok"],
        ["beach/val/b.png", "val", "ok"],
    ]
    assert len(made) == 2


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_of_members_lead_nowhere(tmp_path: Path, pack: Callable[[Path, dict[str, bytes]], Path]) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    given = row(pack(inside / "hostile.bin", places(*HOSTILE)), "archive", "train")
    table, members = prepare(given)
    assert table["status"].tolist() == ["ok"] * len(HOSTILE)
    assert all(NAME.fullmatch(name) for name in table["template"])
    write_shard(inside / "shard.tar", table, members.items())
    with TarReader(inside / "shard.tar") as tar:
        assert all(NAME.fullmatch(name) for name in tar.names())
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert not Path("/etc/absolute.png").exists()


def test_links_and_devices_of_a_tar_are_no_pictures(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "links.tar", "w") as file:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)):
            info = tarfile.TarInfo(f"{number}.png")
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
    assert status(row(tmp_path / "links.tar", "archive")) == "empty"


def test_a_member_that_is_damaged_encrypted_or_too_large_is_a_row_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MOST_BYTES", 100_000)
    path = zipped(
        tmp_path / "mixed.zip",
        places("good.png", "secret.png", "torn.png") | {"bomb.png": bytes(10_000_000)},
        compression=zipfile.ZIP_DEFLATED,
    )
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        torn = file.getinfo("torn.png").header_offset
    data[torn + 60 : torn + 90] = bytes(30)
    central = data.index(b"secret.png", data.index(b"PK\x01\x02")) - 46
    data[central + 8] |= 1  # the flag of an encrypted member
    path.write_bytes(data)
    table, _ = prepare(row(path, "archive", "train"))
    assert dict(zip(table["picture"], table["status"], strict=True)) == {
        "good.png": "ok",
        "secret.png": "encrypted",
        "torn.png": "truncated",
        "bomb.png": "too_large",
    }


def test_a_tar_that_is_cut_short_gives_what_stands_before_the_cut(tmp_path: Path) -> None:
    path = tarred(tmp_path / "cut.tar", places("a.png", "b.png", "c.png"))
    with tarfile.open(path) as file:
        end = file.getmember("c.png").offset_data + 10
    path.write_bytes(path.read_bytes()[:end])
    table, members = prepare(row(path, "archive", "train"))
    assert table["status"].value_counts().to_dict()["ok"] == 2
    assert len(members) == 2
    assert "cut short" in " ".join(table["reason"])


def test_an_archive_of_another_kind_says_what_to_do(tmp_path: Path) -> None:
    packed = tarred(tmp_path / "a.tar.gz", places("a.png"), "w:gz")
    (tmp_path / "page.zip").write_text("<html>not found</html>")
    for path in (packed, tmp_path / "page.zip"):
        with pytest.raises(BadInput, match="gunzip") as caught:
            list(find_templates(row(path, "archive"), [], settings()))
        assert caught.value.status == "not_an_archive"


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_of_too_many_members_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[Path, dict[str, bytes]], Path]
) -> None:
    monkeypatch.setattr(archive, "MOST_MEMBERS", 2)
    assert status(row(pack(tmp_path / "many.bin", places("a.png", "b.png", "c.png")), "archive")) == "too_many"


# ---------------------------------------------------------------- videos


def test_frames_of_a_video_are_those_of_their_times(tmp_path: Path) -> None:
    given = row(write_video(tmp_path / "walk.mp4", 20), "video")
    table, members = prepare(given)
    assert table["status"].tolist() == ["ok"] * 6
    assert table["split"].tolist() == ["train"] * 4 + ["val"] * 2
    assert table["template"].str.fullmatch(r"walk-\d{6}").all()
    assert table["template_group"].str.match(r"walk:(train|val):\d+$").all()
    shown = [np.asarray(scene(n, 64, 48).crop((8, 0, 56, 48)).resize((16, 16)), dtype=float) for n in range(100)]
    for name, data in members.items():
        found = np.asarray(Image.open(io.BytesIO(data)), dtype=float)
        assert np.argmin([np.abs(found - frame).mean() for frame in shown]) == int(name[5:11])
    assert table["picture"].iloc[0] == f"{int(table['template'].iloc[0][5:]) / 5:.3f} s"


def test_a_video_may_belong_to_a_split_and_have_an_interval(tmp_path: Path) -> None:
    path = write_video(tmp_path / "short.mkv", 4)
    table, _ = prepare(row(path, "video", "val", interval="0.5"))
    assert table["split"].tolist() == ["val"] * 7
    assert status(row(path, "video")) == "too_short"


def test_a_video_filmed_upright_stands_upright(tmp_path: Path) -> None:
    path = write_video(tmp_path / "phone.mp4", 2, rotation=90, still=True)
    _, members = prepare(row(path, "video", "train", interval="5"))
    found = np.asarray(Image.open(io.BytesIO(next(iter(members.values())))), dtype=float)
    upright = np.asarray(scene(0, 64, 48).rotate(90, expand=True).crop((0, 8, 48, 56)).resize((16, 16)), dtype=float)
    assert np.abs(found - upright).mean() < 0.3 * np.abs(found - np.rot90(upright, 2)).mean()


def test_val_frames_of_a_still_video_leak(tmp_path: Path) -> None:
    table, members = prepare(row(write_video(tmp_path / "still.mp4", 20, still=True), "video"))
    assert set(table.loc[table["split"] == "val", "status"]) <= {"leaks_across_splits", "duplicate"}
    assert all(table.set_index("template").at[name.removesuffix(".png"), "split"] == "train" for name in members)


def test_a_folder_of_frames_is_a_video_in_the_order_of_its_names(tmp_path: Path) -> None:
    for number in range(30):
        save(tmp_path / "frames", f"f{number}.png", number)
    table, _ = prepare(row(tmp_path / "frames", "video"))
    assert table["picture"].tolist() == ["f1.png", "f5.png", "f9.png", "f13.png", "f22.png", "f26.png"]
    assert table["split"].tolist() == ["train"] * 4 + ["val"] * 2


def test_a_video_that_is_cut_short_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mkv", 40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    table, _ = prepare(row(path, "video"))
    assert table["status"].tolist() == ["ok"] * 6
    assert float(table["picture"].iloc[-1].removesuffix(" s")) < 24


def test_what_is_no_video_is_a_row_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    assert status(row(tmp_path / "noise.mp4", "video")) == "not_a_video"
    whole = write_video(tmp_path / "headless.mp4", 3).read_bytes()
    (tmp_path / "headless.mp4").write_bytes(whole[: len(whole) // 2])  # its index stands at its end
    assert status(row(tmp_path / "headless.mp4", "video")) == "not_a_video"


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    video = write_video(tmp_path / "private.mp4", 3)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{video}\n#EXT-X-ENDLIST\n"
    for name, text in (
        ("list.m3u8", playlist),
        ("list.mp4", playlist),
        ("a.txt", f"ffconcat version 1.0\nfile {video}\n"),
    ):
        (tmp_path / name).write_text(text)
        assert status(row(tmp_path / name, "video", "train")) == "not_a_video"


# ---------------------------------------------------------------- panoramas


def test_a_panorama_may_be_an_ordinary_picture(tmp_path: Path) -> None:
    scene(3, 128, 64).save(tmp_path / "round.jpg", quality=95)
    table, _ = prepare(row(tmp_path / "round.jpg", "panorama"))
    assert table["status"].tolist() == ["ok"] * 6
    assert "picture" not in table
    assert table["template"].tolist()[0] == "round-train-000"


def test_a_picture_that_is_not_twice_as_wide_as_high_is_no_panorama(tmp_path: Path) -> None:
    scene(3, 100, 64).save(tmp_path / "photo.png")
    assert status(row(tmp_path / "photo.png", "panorama")) == "not_a_panorama"
