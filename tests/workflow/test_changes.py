"""What each kind of change makes again: exact counts of jobs and of images, on the tiny project.

The images that had to be made are told by an oracle that knows no recipes and no store: it makes the data set from
nothing before and after the change, and calls those samples new or changed whose decoded pixels are.
"""

import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from d3s.composition import PlacementRanges
from d3s.config import check_config, load_tables
from d3s.exemplars import ExemplarSettings, prepare_exemplars
from d3s.generator import Generator
from d3s.guides import Material, PromptSettings, ShardPlan, compose_shard, mask_member
from d3s.imageio import decode_png, image_digest
from d3s.models import PINS, pin_model
from d3s.prompts import load_token_counter
from d3s.sampling import Request, Sampling
from d3s.shards import TarReader, write_json, write_shard
from d3s.source import build_source
from d3s.template_source import TemplateSettings
from d3s.templates import prepare_templates
from running import jobs_of, script, snakemake
from tiny import ROOT, draw_ground, draw_object

AFTER_MANIFEST = {
    "build_manifest": 1,
    "score_classifiers": 1,
    "measure_diversity": 1,
    "cache_activations": 1,
    "train_encoder": 4,
    "extract_features": 4,
    "fit_probes": 1,
    "spurious_correlation": 1,
    "draw_contact_sheet": 1,
    "draw_fragile_sets": 1,
    "draw_figures": 1,
    "build_report": 1,
}
"""What depends on the manifest, as all but the prediction of single networks does."""
AFTER_VAL = AFTER_MANIFEST | {"list_shards": 2, "predict_classifier": 6}
"""What depends on the guides and the images of val: three networks look at each."""
TEMPLATES_TOO = AFTER_VAL | {"list_shards": 3, "predict_classifier": 9}
"""The same where templates changed, which networks look at alone too."""
CUTOUTS_TOO = AFTER_VAL | {"compose_cutouts": 1, "list_shards": 3, "predict_classifier": 9}
"""The same where what is pasted or its place changed, which networks look at on grey too."""
AFTER_IMAGES = AFTER_MANIFEST | {"list_shards": 1, "predict_classifier": 3}
"""The same where the guides stay as they are: so do the predictions on them."""


def shards(images: int, guides: int | None = None) -> dict[str, int]:
    """The jobs of so many shards of images, and of their guides."""
    guides = images if guides is None else guides
    made = {"compose_guides": guides, "generate_images": images, "screen_images": images}
    return {rule: count for rule, count in made.items() if count}


@dataclass(frozen=True)
class Change:
    """A change of a finished run, and what follows from it.

    Attributes:
        apply: changes files of the run's folder.
        jobs: the jobs of a full run, by rule.
        made: images that are made; where it is open, the oracle alone decides.
    """

    apply: Callable[[Path], None]
    jobs: dict[str, int] = field(default_factory=dict)
    made: int | None = 0


def edit_config(**settings: object) -> Callable[[Path], None]:
    """Set keys of the config; ``section__key`` for a nested one."""

    def apply(folder: Path) -> None:
        path = folder / "project" / "config.yaml"
        config = yaml.safe_load(path.read_text())
        for name, value in settings.items():
            section, _, key = name.rpartition("__")
            (config.setdefault(section, {}) if section else config)[key] = value
        path.write_text(yaml.safe_dump(config))

    return apply


def edit_table(name: str, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "project" / f"{name}.csv"
        edit(pd.read_csv(path, dtype=str, keep_default_na=False)).to_csv(path, index=False)

    return apply


def set_cell(row: int, column: str, value: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[row, column] = value
        return table

    return edit


def touch_files(folder: Path) -> None:
    for path in (folder / "project").rglob("*"):
        if path.is_file():
            os.utime(path)


def replace_template(folder: Path) -> None:
    draw_ground((20, 90, 160), 77).save(folder / "project/assets/grass5.jpg")


def add_template(folder: Path) -> None:
    draw_ground((30, 120, 30), 78).save(folder / "project/assets/grass8.jpg")
    row = {"template_source": "grass8", "background": "grass", "kind": "photo", "split": "val"}
    row["file"] = "project/assets/grass8.jpg"
    edit_table("templates", lambda table: pd.concat([table, pd.DataFrame([row])]))(folder)


def replace_exemplar(folder: Path) -> None:
    draw_object(1, 3).rotate(90).save(folder / "project/assets/box0.png")


def edit_mask(folder: Path) -> None:
    path = folder / "project/assets/ball3-mask.png"
    mask = Image.open(path)
    mask.paste(0, (0, 0, 20, 20))
    mask.save(path)


def add_class(folder: Path) -> None:
    row = {"class_id": "2", "name": "bar", "label": "bar", "definition": "a long thing", "imagenet_indices": "1"}
    edit_table("classes", lambda table: pd.concat([table, pd.DataFrame([row])]))(folder)
    rows = []
    for number in range(4):
        image = Path("project/assets") / f"bar{number}.png"
        draw_object(1, number).resize((40, 14 + number)).save(folder / image)
        split = "train" if number < 2 else "val"
        rows.append({"exemplar": image.stem, "class_id": "2", "split_group": image.stem, "split": split})
        rows[-1] |= {"image": str(image), "mask": ""}
    edit_table("exemplars", lambda table: pd.concat([table, pd.DataFrame(rows)]))(folder)


def add_background(folder: Path) -> None:
    row = {"background": "sea", "phrase": "at sea", "revision": "0"}
    edit_table("backgrounds", lambda table: pd.concat([table, pd.DataFrame([row])]))(folder)
    rows = []
    for number in range(8):
        file = Path("project/assets") / f"sea{number}.jpg"
        draw_ground((40, 80, 190), number).save(folder / file)
        split = "train" if number < 4 else "val"
        rows.append({"template_source": file.stem, "background": "sea", "kind": "photo", "split": split})
        rows[-1]["file"] = str(file)
    edit_table("templates", lambda table: pd.concat([table, pd.DataFrame(rows)]))(folder)


def add_country(folder: Path) -> None:
    """Another prompt family, on the pictures of a background that is there already."""
    row = {"background": "chile", "shift": "geography", "templates": "grass", "phrase": "in Chile", "revision": "0"}
    edit_table("backgrounds", lambda table: pd.concat([table, pd.DataFrame([row])]).fillna(""))(folder)


def change_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    model = folder / "project/generator"
    weights = model / "unet/diffusion_pytorch_model.safetensors"
    save_file({name: 1.02 * value for name, value in load_file(weights).items()}, weights)
    write_json(model / PINS, pin_model(model))


def add_annotations(folder: Path) -> None:
    """A person's votes: the object is in one image and not in another."""
    manifest = pd.read_parquet(folder / "results/validation/manifest.parquet")
    votes = [
        {"sample": row.sample, "recipe": row.recipe, "object": answer, "unsafe": "no"}
        for row, answer in zip(manifest[manifest["split"] == "val"].itertuples(), ("yes", "no"), strict=False)
    ]
    content = {"format": "d3s-annotations", "version": 2, "campaign": "d3s", "worker": "ann", "votes": votes}
    write_json(folder / "annotations" / "ann's first.json", content)


PREPARED = {"prepare_backgrounds": 1, "inspect_templates": 1, "review_templates": 1}
"""What follows from another template, before its guides and beside them."""
CONFIG_FILE = {"write_config": 1, "build_report": 1}
CHANGES = {
    "nothing": Change(lambda folder: None),
    "files touched": Change(touch_files),
    "one template replaced": Change(replace_template, PREPARED | shards(2) | TEMPLATES_TOO, None),
    "one template added": Change(add_template, PREPARED | shards(2) | TEMPLATES_TOO, None),
    "one exemplar replaced": Change(replace_exemplar, {"prepare_foregrounds": 1} | shards(4) | CUTOUTS_TOO, None),
    "one mask edited": Change(edit_mask, {"prepare_foregrounds": 1} | shards(4) | CUTOUTS_TOO, None),
    "a background's phrase": Change(
        edit_table("backgrounds", set_cell(0, "phrase", "on a lawn")), shards(2) | AFTER_VAL, 16
    ),
    "the revision of one background": Change(
        edit_table("backgrounds", set_cell(1, "revision", "1")), shards(2) | CUTOUTS_TOO, 16
    ),
    "a class added": Change(
        add_class,
        {"prepare_foregrounds": 1, "inspect_templates": 2, "review_templates": 1}
        | shards(4)
        | CUTOUTS_TOO
        | {"screen_images": 8},
        16,
    ),
    "a background added": Change(add_background, PREPARED | shards(2) | TEMPLATES_TOO, 16),
    "a country added": Change(add_country, shards(2) | CUTOUTS_TOO, 16),
    "more images per class": Change(
        edit_config(images_per_cell={"train": 4, "val": 6}), shards(2) | CUTOUTS_TOO | CONFIG_FILE, 8
    ),
    "fewer images per class": Change(
        edit_config(images_per_cell={"train": 4, "val": 3}), shards(2) | CUTOUTS_TOO | CONFIG_FILE, 0
    ),
    "the chunk size": Change(
        edit_config(classes_per_chunk=1),
        {"prepare_foregrounds": 2} | shards(8) | CUTOUTS_TOO | {"compose_cutouts": 2} | CONFIG_FILE,
        0,
    ),
    "the seed": Change(edit_config(seed=2), {"prepare_foregrounds": 1} | shards(4) | CUTOUTS_TOO | CONFIG_FILE, 32),
    "the strength": Change(edit_config(generator__strength=0.75), shards(4, 0) | AFTER_IMAGES | CONFIG_FILE, 32),
    "from the prompt alone": Change(
        edit_config(generator__mode="text2image"), shards(4, 0) | AFTER_IMAGES | CONFIG_FILE, 32
    ),
    "the foreground keeps its pixels": Change(
        edit_config(generator__mode="inpainting"), shards(4) | AFTER_VAL | CONFIG_FILE, 32
    ),
    "one annotation file added": Change(
        add_annotations, {"aggregate_annotations": 1, "calibrate_screens": 1} | AFTER_MANIFEST
    ),
    "the model's weights": Change(change_weights, shards(4, 0) | AFTER_IMAGES, 32),
}


def copy_of(run: Path, folder: Path) -> Path:
    """A copy of a finished run with all times of its files."""
    shutil.copytree(run, folder, symlinks=True)
    return folder


def images_made(output: str) -> int:
    return sum(int(count) for count in re.findall(r"generate_images: (\d+) images to make", output))


def from_nothing(folder: Path, scratch: Path) -> dict[str, str]:
    """The digest of every sample's decoded pixels, made from the project alone."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        config = check_config(yaml.safe_load(Path("project/config.yaml").read_text()))
        tables = load_tables(config)
        settings, guides = config["generator"], config["guides"]
        numbers = settings["steps"], settings["strength"], settings["guidance"]
        sampling = Sampling(settings["scheduler"], *numbers, mode=settings["mode"])
        masks = settings["mode"] == "inpainting"
        generator = Generator(settings["model"], sampling, guides["size"], "float32", settings["batch_size"], "cpu")
        counter = load_token_counter(settings["model"])
        ranges = PlacementRanges(tuple(guides["scale"]), guides["flip"], tuple(guides["x"]), tuple(guides["y"]))
        source = build_source(config["foregrounds"]["source"], tables.exemplars)
        exemplars = prepare_exemplars(source, tables.classes, ExemplarSettings.of(config))
        write_shard(scratch / "exemplars.tar", *exemplars)
        found: dict[str, str] = {}
        for background in tables.backgrounds:
            name = background["background"]
            rows = [row for row in tables.templates if row["background"] == background["templates"]]
            family = config["prompts"][background["shift"]]
            prompts = PromptSettings(tuple(family["templates"]), family["negative"], *counter)
            templates = prepare_templates(rows, TemplateSettings.of(config))
            write_shard(scratch / f"{name}.tar", *templates)
            for split, count in config["images_per_cell"].items():
                plan = ShardPlan.of(background, split, count, config["seed"])
                with TarReader(scratch / "exemplars.tar") as ours, TarReader(scratch / f"{name}.tar") as theirs:
                    material = Material(exemplars[0], ours, templates[0], theirs)
                    table, members = compose_shard(
                        plan, tables.classes, material, ranges, prompts, guides["size"], masks
                    )
                pictures = {member: decode_png(data) for member, data in members}
                requests = [
                    Request(pictures[row.member], row.prompt, "", int(row.seed), pictures.get(mask_member(row.sample)))
                    for row in table.itertuples()
                ]
                for start in range(0, len(requests), settings["batch_size"]):
                    made = generator.generate(requests[start : start + settings["batch_size"]])
                    names = table["sample"].iloc[start : start + len(made)]
                    found |= {sample: image_digest(picture) for sample, picture in zip(names, made, strict=True)}
        return found
    finally:
        os.chdir(before)


def oracle(folder: Path, scratch: Path) -> dict[str, str]:
    """``from_nothing`` in a process of its own, as jobs are: what other tests left in torch can't change a bit."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(from_nothing, folder, scratch).result()


def in_shards(folder: Path, samples: set[str]) -> dict[str, str]:
    """The digest of every sample's pixels, decoded from the shards of a run."""
    found = {}
    for manifest in sorted((folder / "results/images").glob("*/*/*/*.parquet")):
        with TarReader(manifest.with_suffix(".tar")) as tar:
            for row in pd.read_parquet(manifest).to_dict("records"):
                if row["sample"] in samples:
                    found[row["sample"]] = image_digest(decode_png(tar.read(row["member"])))
    return found


@pytest.fixture(scope="session")
def before(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The oracle's data set of the finished run."""
    return oracle(run, tmp_path_factory.mktemp("oracle"))


QUICK = {"nothing", "files touched", "one template replaced", "the chunk size"}


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CHANGES]
)
def test_a_change_makes_what_it_touches_and_nothing_else(
    run: Path, before: dict[str, str], tmp_path: Path, name: str
) -> None:
    change, folder = CHANGES[name], copy_of(run, tmp_path / "run")
    change.apply(folder)
    config = folder / "project" / "config.yaml"
    planned = snakemake(folder, config, "--dry-run", "--quiet", "rules")
    assert planned.returncode == 0, planned.stderr[-3000:]
    assert jobs_of(planned.stdout + planned.stderr) == change.jobs

    told = script(folder, "plan", "--configfile", str(config)).stdout
    done = snakemake(folder, config, "images")
    assert done.returncode == 0, done.stderr[-3000:]
    after = oracle(folder, tmp_path / "oracle")
    must = [sample for sample, digest in after.items() if before.get(sample) != digest]
    assert images_made(done.stdout + done.stderr) == len(must)
    assert re.search(rf"^all +\d+ +\d+ +{len(must)} ", told, re.MULTILINE), told  # keep, reuse, make
    assert in_shards(folder, set(after)) == after
    if change.made is None:
        assert 0 < len(must) < len(after)
    else:
        assert len(must) == change.made


def test_a_plan_names_the_pictures_that_changed(run: Path, tmp_path: Path) -> None:
    folder = copy_of(run, tmp_path / "run")
    touch_files(folder)
    replace_exemplar(folder)
    edit_mask(folder)
    told = script(folder, "plan", "--configfile", "project/config.yaml", "--why").stdout
    pictures = "project/assets/ball3-mask.png, project/assets/box0.png"
    assert f"prepare_foregrounds: 1 job: pictures changed or new: {pictures}\n" in told
    assert re.search(r"to make because of the picture of the exemplar (ball3|box0): ", told), told


def test_votes_decide_until_they_are_withdrawn(run: Path, tmp_path: Path) -> None:
    folder = copy_of(run, tmp_path / "run")
    add_annotations(folder)
    config, manifest = folder / "project/config.yaml", "results/validation/manifest.parquet"

    def made() -> pd.DataFrame:
        done = snakemake(folder, config, manifest)
        assert done.returncode == 0, done.stderr[-3000:]
        return pd.read_parquet(folder / manifest)

    before = pd.read_parquet(folder / manifest)
    voted = made()
    assert voted["votes"].sum() == 2
    assert voted["status"].tolist().count("rejected_by_people") == 1, "one other answer is a veto; the other waits"
    assert voted["verified_by"].tolist().count("human") == 1
    (folder / "annotations/ann's first.json").unlink()
    pd.testing.assert_frame_equal(made(), before)


def clone(folder: Path) -> Path:
    """The code alone, as a fresh clone has it: other place, other times."""
    folder.mkdir()
    shutil.copy(ROOT / "Snakefile", folder)
    for name in ("rules", "scripts", "config", "profiles", "envs", "report"):
        ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
        shutil.copytree(ROOT / name, folder / name, copy_function=shutil.copyfile, ignore=ignored)
    return folder


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize(
    ("edit", "jobs"),
    [
        pytest.param(lambda code: None, {}, id="a fresh clone"),
        pytest.param(lambda code: append(code / "scripts/d3s/recipes.py", "\n# why\n"), {}, id="a comment"),
        pytest.param(
            lambda code: append(code / "scripts/d3s/screening.py", "\n\ndef added() -> None:\n    pass\n"),
            {"screen_images": 4} | AFTER_MANIFEST,
            id="a function of the screening module",
        ),
        pytest.param(
            lambda code: append(code / "scripts/d3s/objectives/erm.py", "\n\ndef added() -> None:\n    pass\n"),
            {"train_encoder": 2, "extract_features": 2}
            | dict.fromkeys(("fit_probes", "spurious_correlation", "draw_figures", "build_report"), 1),
            id="a function of one objective",
        ),
    ],
)
def test_an_edit_of_the_code_runs_what_imports_it(
    run: Path, config: Path, tmp_path: Path, edit: Callable[[Path], None], jobs: dict[str, int]
) -> None:
    code = clone(tmp_path / "clone")
    edit(code)
    planned = snakemake(run, config, "--dry-run", "--quiet", "rules", code=code)
    assert planned.returncode == 0, planned.stderr[-3000:]
    assert jobs_of(planned.stdout + planned.stderr) == jobs


@pytest.mark.slow
def test_an_edit_of_the_generating_code_runs_its_jobs_and_makes_no_image(
    run: Path, before: dict[str, str], tmp_path: Path
) -> None:
    """As long as it does not raise ``GENERATION_VERSION``, which a test guards."""
    folder, code = copy_of(run, tmp_path / "run"), clone(tmp_path / "clone")
    append(code / "scripts/d3s/generation.py", "\n\ndef added() -> None:\n    pass\n")
    done = snakemake(folder, folder / "project/config.yaml", "images", code=code)
    assert done.returncode == 0, done.stderr[-3000:]
    said = done.stdout + done.stderr
    assert (jobs_of(said), images_made(said)) == ({"generate_images": 4}, 0)
    assert in_shards(folder, set(before)) == before


@pytest.mark.slow
def test_a_change_that_is_taken_back_makes_no_image(run: Path, before: dict[str, str], tmp_path: Path) -> None:
    folder = copy_of(run, tmp_path / "run")
    config, template = folder / "project/config.yaml", folder / "project/assets/grass5.jpg"
    was = template.read_bytes()
    replace_template(folder)
    assert snakemake(folder, config, "images").returncode == 0
    template.write_bytes(was)
    told = script(folder, "plan", "--configfile", str(config)).stdout
    assert re.search(r"^all +\d+ +[1-9]\d* +0 ", told, re.MULTILINE), told  # keep, reuse, make
    done = snakemake(folder, config, "images")
    assert images_made(done.stdout + done.stderr) == 0
    assert in_shards(folder, set(before)) == before


@pytest.mark.slow
def test_an_added_objective_trains_its_encoders_alone(run: Path, tmp_path: Path) -> None:
    folder = copy_of(run, tmp_path / "run")
    config = folder / "project/config.yaml"
    shutil.rmtree(folder / "results/encoders/wasserstein")
    edit_config(encoders__objectives=["erm"])(folder)
    assert snakemake(folder, config).returncode == 0
    edit_config(encoders__objectives=["erm", "wasserstein"])(folder)
    done = snakemake(folder, config)
    assert done.returncode == 0, done.stderr[-3000:]
    after = ("fit_probes", "spurious_correlation", "draw_figures", "build_report", "write_config")
    own = {"train_encoder": 2, "extract_features": 2}  # one for each of two seeds
    assert jobs_of(done.stdout + done.stderr) == own | dict.fromkeys(after, 1)
