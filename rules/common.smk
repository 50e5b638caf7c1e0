# What all stages share: the checked config and tables, the slices of them that each job needs, digests of code.

import json
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from d3s.benchmark_kind import build_benchmark
from d3s.classifier_table import PREDICTIONS, WEIGHTS, entry_digest, pick
from d3s.codedigest import code_digest, recall, remember
from d3s.config import check_config, find_annotations, load_tables
from d3s.errors import D3SError
from d3s.models import PINS, planned_digest
from d3s.source import build_source
from d3s.subject_names import CROSSED, CROSSED_GUIDES, OWN_DATASETS
from d3s.tables import FETCHED_KINDS, slice_digest

try:
    CONFIG = check_config(config)
    TABLES = load_tables(CONFIG)
    SOURCE = build_source(CONFIG["foregrounds"]["source"], TABLES.exemplars)
    ANNOTATIONS = [str(path) for path in find_annotations(CONFIG)]
    BENCHMARKS = {given["name"]: build_benchmark(given) for given in CONFIG["benchmarks"]}
    RELEASED = CONFIG["released"]["folder"]
    MODEL = CONFIG["generator"]["model"]
    MODEL_DIGEST = "" if RELEASED else planned_digest(CONFIG["generator"])
    TOKENIZER_DIGEST = "" if RELEASED else planned_digest(CONFIG["generator"], "tokenizer")
except D3SError as error:
    raise WorkflowError(str(error)) from None

MODEL_PINS = ancient(str(Path(MODEL) / PINS)) if CONFIG["generator"]["hub"] else []
"""What the rule fetch_model makes, before any rule that needs the model; nothing for a model that is there."""
SCRIPTS = Path(workflow.basedir) / "scripts"
STORE = shlex.quote(CONFIG["store"])
SPLITS = ("train", "val")
# The crossed design is made as the splits are, and looked at by classifiers alone.
CROSSED_SPLITS = (CROSSED,) if CONFIG["crossed"]["exemplars"] else ()
SHIFTS = sorted({row["shift"] for row in TABLES.backgrounds})
BACKGROUNDS = [row["background"] for row in TABLES.backgrounds]
TEMPLATE_SETS = sorted({row["templates"] for row in TABLES.backgrounds})
CHUNKS = sorted({int(row["class_id"]) // CONFIG["classes_per_chunk"] for row in TABLES.classes})
# Exemplars are listed or chosen; a released data set may come without any.
FOREGROUND_CHUNKS = CHUNKS if TABLES.exemplars or SOURCE.chooses else []
OBJECTIVES = CONFIG["encoders"]["objectives"]
SEEDS = CONFIG["encoders"]["seeds"]
ERASED = [f"{objective}+leace" for objective in CONFIG["encoders"]["leace"]]
ENCODERS = expand("results/encoders/{objective}/{seed}/encoder.safetensors", objective=OBJECTIVES + ERASED, seed=SEEDS)
BACKBONE = next(row["name"] for row in TABLES.classifiers if row["role"] == "backbone")
BACKBONE_NETWORK = pick(TABLES.classifiers, BACKBONE)["architecture"].partition(".")[0]
SCREEN = next(row["name"] for row in TABLES.classifiers if row["role"] == "screen")
CLASSIFIERS = [row["name"] for row in TABLES.classifiers]

# Commands name "$SCRIPTS", so that they are the same commands in a clone elsewhere. Libraries would take all processors
# for themselves; how many threads a job computes with is a setting, because it changes the last bits of results. And the
# C library would give each large array back to the system and ask for it again: half the time of a classifier on a CPU.
shell.prefix(
    f"export SCRIPTS={shlex.quote(str(SCRIPTS))} OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1"
    " MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824; "
)


wildcard_constraints:
    split="|".join((*SPLITS, *CROSSED_SPLITS)),
    shift="|".join(SHIFTS),
    background="|".join(sorted({*BACKGROUNDS, *TEMPLATE_SETS})),
    chunk=r"\d+",
    objective="|".join(OBJECTIVES),
    encoder="|".join(re.escape(name) for name in OBJECTIVES + ERASED),
    seed=r"\d+",
    classifier="|".join(CLASSIFIERS),
    dataset=r"[A-Za-z0-9][\w.-]*",
    benchmark="|".join(BENCHMARKS) or "no benchmark",


PARSES = Path(".snakemake/d3s_parses.json")
"""What the last run found in the scripts: parsing them all again would take a tenth of the time of a plan."""
recall(PARSES)


def code(script, *plugins):
    """The digest of a script and of what it imports: a parameter, so that editing either reruns the rule."""
    try:
        return code_digest(SCRIPTS / f"{script}.py", plugins)
    except D3SError as error:
        raise WorkflowError(str(error)) from None


def shards(stage, *splits, ending="digests.json"):
    """The paths of all shards of a stage; rules depend on the small digest files and take the tars as ancient."""
    return [
        f"results/{stage}/{split}/{row['shift']}/{row['background']}/{chunk}.{ending}"
        for split in splits
        for row in TABLES.backgrounds
        for chunk in CHUNKS
    ]


def evaluation_datasets():
    """The data sets that classifiers look at, by name: what the config makes, and the benchmarks that it names."""
    left_out = {"cutouts", "templates"} if RELEASED else set()
    left_out |= set() if CROSSED_SPLITS else {CROSSED, CROSSED_GUIDES}
    return [name for name in OWN_DATASETS if name not in left_out] + list(BENCHMARKS)


def evaluation_inputs(dataset):
    """What a job needs that looks at a data set: a benchmark's index, or digests of shards and the tars themselves."""
    if dataset in BENCHMARKS:
        return {"index": [f"results/benchmarks/{dataset}.parquet"]}
    if dataset == "templates":
        stems = [f"results/backgrounds/{name}" for name in TEMPLATE_SETS]
    elif dataset == "cutouts":
        stems = cutouts_shards()
    else:
        stage = "images" if dataset in ("images", CROSSED) else "guides"
        split = CROSSED if dataset in (CROSSED, CROSSED_GUIDES) else "val"
        stems = [path.removesuffix(".tar") for path in shards(stage, split, ending="tar")]
    return {
        "shards": [f"{stem}.digests.json" for stem in stems],
        "shards_tars": ancient([f"{stem}.tar" for stem in stems]),
    }


def dataset_inputs(wildcards):
    """The same, of the wildcard's data set."""
    return evaluation_inputs(wildcards.dataset)


def evaluation_paths():
    """All that classifiers look at."""
    return [path for name in evaluation_datasets() for paths in evaluation_inputs(name).values() for path in paths]


def dataset_arguments(wildcards, input):
    """The arguments that name them."""
    return f"--index {input.index}" if wildcards.dataset in BENCHMARKS else f"--shards {input.shards_tars}"


def scored_inputs(wildcards):
    """The manifests of the data sets that are judged: of the shards that the manifest does not know, and of benchmarks."""
    found = {f"subjects_{name}": _manifests(name) for name in evaluation_datasets() if name not in KNOWN_DATASETS}
    return found | {f"labels_{name}": f"results/benchmarks/{name}.labels.csv" for name in BENCHMARKS}


def scored_arguments(wildcards, input):
    """The arguments that name them."""
    own = [name for name in evaluation_datasets() if name not in (*KNOWN_DATASETS, *BENCHMARKS)]
    shown = [f"--subjects {name} {' '.join(_manifests(name))}" for name in own]
    shown += [f"--benchmark {name} {_manifests(name)[0]} {input[f'labels_{name}']}" for name in BENCHMARKS]
    return " ".join(shown)


def _manifests(name):
    inputs = evaluation_inputs(name)
    if "index" in inputs:
        return inputs["index"]
    return [path.replace(".digests.json", ".parquet") for path in inputs["shards"]]


KNOWN_DATASETS = ("guides", "images")
"""Data sets whose pictures are in the manifest of the data set."""


def cutouts_shards():
    """The shards of cut-outs on grey, without an ending: of each shift, since they have no background."""
    return [f"results/cutouts/val/{shift}/{chunk}" for shift in SHIFTS for chunk in CHUNKS]


def revisions_of(wildcards):
    """The revisions of a shift's backgrounds, each of which has matched sets of its own."""
    return sorted({int(row["revision"]) for row in TABLES.backgrounds if row["shift"] == wildcards.shift})


def images_per_class(wildcards):
    """How many images of each class a shard has; of the crossed design, what it multiplies."""
    if wildcards.split == CROSSED:
        return [CONFIG["crossed"][name] for name in ("exemplars", "placements", "noises")]
    return CONFIG["images_per_cell"][wildcards.split]


def benchmark_inputs(wildcards):
    """What tells that a benchmark changed: its folder and the tables that list it, never all of its files."""
    labels = BENCHMARKS[wildcards.benchmark].given["labels"]
    return BENCHMARKS[wildcards.benchmark].watched() + ([labels] if labels else [])


def benchmark_entry(wildcards):
    """The benchmark's entry in the config, as JSON."""
    return json.dumps(BENCHMARKS[wildcards.benchmark].own, sort_keys=True)


def benchmark_code(wildcards):
    """The digest of the code that indexes a benchmark: with its kind, and no other."""
    return code("index_benchmark", f"d3s.benchmark_kinds.{BENCHMARKS[wildcards.benchmark].given['kind']}")


def classes_of(chunk):
    """The rows of a chunk's classes."""
    return [row for row in TABLES.classes if int(row["class_id"]) // CONFIG["classes_per_chunk"] == int(chunk)]


def class_ids(wildcards):
    return [int(row["class_id"]) for row in classes_of(wildcards.chunk)]


def class_rows(wildcards):
    return slice_digest(classes_of(wildcards.chunk), ("class_id", "name", "label", "definition"))


def templates_of(wildcards):
    """The rows of the templates of a set: a background's own, or one that several share."""
    return [row for row in TABLES.templates if row["background"] == wildcards.background]


def background_row(wildcards):
    """A background's row."""
    return next(row for row in TABLES.backgrounds if row["background"] == wildcards.background)


def background_cell(column):
    """A function that gives a cell of it."""
    return lambda wildcards: background_row(wildcards)[column]


def classifier_slice(*keys, name=None):
    """A function that gives the digest of what a job depends on of a classifier's entry."""
    return lambda wildcards: entry_digest(pick(TABLES.classifiers, name or wildcards.classifier), keys)


def asked_slice(name=None, *more):
    """As ``classifier_slice``, for jobs that ask it."""
    return classifier_slice(*PREDICTIONS, *more, name=name)


def library_code(script, name=None):
    """A function that gives the digest of the code of a job that asks a classifier: with its library, and no other."""

    def digest(wildcards):
        library = pick(TABLES.classifiers, name or wildcards.classifier)["library"]
        return code(script, f"d3s.classifier_libraries.{library}")

    return digest


def classifier_outputs(wildcards):
    """How many classes a classifier tells apart: ImageNet's, or those of the table of classes."""
    own = pick(TABLES.classifiers, wildcards.classifier)["label_space"] == "classes"
    return len(TABLES.classes) if own else 1000


def local_weights(wildcards):
    """A classifier's file of weights, if it has one that is there or fetched; a missing one is left to the script."""
    weights = pick(TABLES.classifiers, wildcards.classifier)["weights"]
    return fetched([weights["file"]]) if set(weights) <= {"file", "sha256"} else []


def fetched(paths):
    """Inputs that exist or that the workflow fetches; a missing file is left to the script, which makes it a row."""
    assets = {row["file"] for row in TABLES.assets}
    return [path for path in paths if path and (path in assets or Path(path).exists())]


def watched(wildcards):
    """What tells that a chunk's candidates changed: a table's pictures, else folders and lists, never all files."""
    return fetched(SOURCE.watched(classes_of(wildcards.chunk)))


HASHED_KINDS = {"archive", "folder"}
"""Kinds whose pictures are chosen by hashes; what no hash enters, another seed does not make again."""


def template_inputs(wildcards):
    """The files and folders that a background's rows name: a folder stands for all that is in it."""
    files = [row["file"] for row in templates_of(wildcards)]
    return fetched(files + [f"{file}/{split}" for file in files if Path(file).is_dir() for split in SPLITS])


def template_code(wildcards):
    """The digest of the code that prepares a background: with the kinds that its rows have, and no others."""
    kinds = sorted({row["kind"] for row in templates_of(wildcards)})
    return code("prepare_backgrounds", *[f"d3s.template_sources.{kind}" for kind in kinds])


def templates_path(wildcards):
    """Where a background's templates lie, without an ending: its own, or those that it shares."""
    return f"results/backgrounds/{background_row(wildcards)['templates']}"


def source_slice(wildcards):
    return SOURCE.slice(classes_of(wildcards.chunk))


CONTAINERS = CONFIG["containers"]


def assets_of(source):
    return [row for row in TABLES.assets if row["source"] == source]


ENCODER = CONFIG["encoders"]
FROZEN = ENCODER["frozen_stages"] > 0


def encoder_pictures(*splits):
    """What encoders are trained and tested on: activations of the frozen layers where there are any, else pictures."""
    if FROZEN:
        return {"activations": "results/encoders/activations.safetensors"}
    return {
        "images": shards("images", *splits),
        "images_tars": ancient(shards("images", *splits, ending="tar")),
        "guides_tars": ancient(shards("guides", "val", ending="tar")),
    }


def picture_arguments(wildcards, input):
    """The arguments that name them."""
    if FROZEN:
        return f"--activations {input.activations}"
    return f"--images {input.images_tars}"


def second_stream(wildcards):
    """The index of the pictures without background labels that encoders are trained on too, if there are any."""
    name = ENCODER["second"]["benchmark"]
    return (
        {"second": f"results/benchmarks/{name}.parquet", "labels": f"results/benchmarks/{name}.labels.csv"}
        if name
        else {}
    )


def second_arguments(wildcards, input):
    """The arguments that name it."""
    if not ENCODER["second"]["benchmark"]:
        return ""
    return f"--second {input.second} --second-labels {input.labels} --second-share {ENCODER['second']['share']}"


def class_indices(wildcards):
    """ImageNet's indices of the classes, where a training asks for them: for first weights, or for a second stream."""
    if ENCODER["heads"] == "random" and not ENCODER["second"]["benchmark"]:
        return ""
    rows = [row for row in TABLES.classes if row["imagenet_indices"]]
    shown = [f"{row['class_id']}={','.join(row['imagenet_indices'].split())}" for row in rows]
    return f"--class-indices {' '.join(shown)}" if shown else ""


def training_command(wildcards):
    """What starts a training: on several GPUs, a process for each."""
    if ENCODER["gpus"] < 2:
        return "python"
    return f"accelerate launch --multi_gpu --num_machines 1 --mixed_precision no --num_processes {ENCODER['gpus']}"


CORRELATION = CONFIG["correlation"]


def pairings_of(what):
    """How many pairings: from as many as there are backgrounds on, they are the same again."""
    wanted = CORRELATION["pairings"] if what == "splits" else CORRELATION["networks"]["pairings"]
    return min(wanted, CORRELATION["pairings"], max(len(BACKGROUNDS), 1))


def locked_splits(what="splits"):
    """Names of the splits that classifiers on features are fitted on, or networks trained on; as build_splits has them."""
    given = CORRELATION if what == "splits" else CORRELATION["networks"]
    return [
        f"k{each}-p{number}-rho{rho:g}"
        for each in CORRELATION["backgrounds_per_class"]
        for number in range(pairings_of(what))
        for rho in given["rhos"]
        if rho in CORRELATION["rhos"]
    ]


def answer_names(wildcards, input):
    """Whose answers each table has: objective and seed; networks trained end to end stand under a name of their own."""
    places = [Path(path).parts for path in input.answers]
    return [
        f"end_to_end:{parts[-2]}" if "networks" in parts else f"{parts[-2]}:{Path(parts[-1]).stem}" for parts in places
    ]


def benchmark_splits(benchmark, ending):
    """The splits of a benchmark: the one that it came with, and those over rho of its own pairing."""
    names = [benchmark, *[f"{benchmark}-rho{rho:g}" for rho in CORRELATION["rhos"]]]
    return [f"results/correlation/benchmarks/{benchmark}/splits/{name}.{ending}" for name in names]


def answers_of(features, folder="answers"):
    """Where the answers of classifiers on an encoder's features lie."""
    return f"results/correlation/{folder}/{Path(features).parent.relative_to('results/encoders')}.parquet"
