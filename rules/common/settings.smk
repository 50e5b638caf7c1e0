# Settings: the checked config and tables, and the names that all stages share. First, since the others use its imports.

import json
import re
import shlex
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "scripts"))

from d3s.benchmark_kind import build_benchmark
from d3s.classifier_table import pick
from d3s.config import TRAINING_SETTINGS, check_config, find_annotations, load_tables, objective_of
from d3s.errors import D3SError
from d3s.models import PINS, planned_digest
from d3s.source import build_source
from d3s.subject_names import CROSSED
from d3s.tables import slice_digest

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
CONTAINERS = CONFIG["containers"]
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
