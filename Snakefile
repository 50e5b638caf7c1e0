# The D3S workflow: data sets whose foregrounds and backgrounds are uncorrelated, and what can be learnt from them.
#
# One file per stage in rules/, the functions that rules call in rules/common/; a rule, its script, its log and its
# benchmark share one name. Settings come from the config (config/config.yaml unless --configfile says otherwise) and
# reach scripts as arguments only.

from snakemake.utils import min_version

min_version("9.0")


# A config that is given stands alone: Snakemake would merge it into the default one, and the demo's settings would
# slip into it unnoticed.
if not workflow.config_settings.configfiles:

    configfile: "config/config.yaml"


report: "report/workflow.rst"


include: "rules/common/settings.smk"
include: "rules/common/code.smk"
include: "rules/common/shards.smk"
include: "rules/common/assets.smk"
include: "rules/common/foregrounds.smk"
include: "rules/common/backgrounds.smk"
include: "rules/common/benchmarks.smk"
include: "rules/common/evaluation.smk"
include: "rules/common/classifiers.smk"
include: "rules/common/encoders.smk"
include: "rules/common/correlation.smk"
include: "rules/assets.smk"


if RELEASED:

    include: "rules/released.smk"

else:

    include: "rules/generator.smk"
    include: "rules/backgrounds.smk"
    include: "rules/guides.smk"
    include: "rules/images.smk"


if FOREGROUND_CHUNKS:

    include: "rules/foregrounds.smk"


if BENCHMARKS:

    include: "rules/benchmarks.smk"


include: "rules/validation.smk"


if not RELEASED:

    include: "rules/inspection.smk"


include: "rules/classifiers.smk"
include: "rules/encoders.smk"
include: "rules/probes.smk"
include: "rules/encoder_tables.smk"
include: "rules/encoder_export.smk"
include: "rules/correlation.smk"
include: "rules/dataset.smk"
include: "rules/report.smk"


remember(PARSES)


localrules:
    demo,
    foregrounds,
    guides,
    images,
    validation,
    annotation,
    subjects,
    classifiers,
    encoders,
    encoder_exports,
    probes,
    study,
    dataset,
    report,


rule demo:
    default_target: True
    input:
        "results/report/index.html",


rule foregrounds:
    input:
        expand("results/foregrounds/{chunk}.digests.json", chunk=FOREGROUND_CHUNKS),


rule guides:
    input:
        shards("guides", *SPLITS, *CROSSED_SPLITS),


rule images:
    input:
        shards("images", *SPLITS, *CROSSED_SPLITS),


rule validation:
    input:
        "results/validation/manifest.parquet",
        "results/tables/counts.csv",
        [] if RELEASED else "results/tables/templates.csv",


rule annotation:
    input:
        "results/annotation",


rule subjects:
    input:
        evaluation_paths(),


rule classifiers:
    input:
        "results/tables/classifiers.csv",
        "results/tables/diversity.csv",


rule encoders:
    input:
        ENCODERS,


rule encoder_exports:
    input:
        [path.replace("encoder.safetensors", "export/README.md") for path in ENCODERS],


rule probes:
    input:
        "results/tables/probes.csv",
        "results/tables/spurious.csv",
        expand("results/tables/spurious_{benchmark}.csv", benchmark=CORRELATION["benchmarks"]),


rule study:
    input:
        "results/config.json",
        expand(
            "results/tables/{table}.csv",
            table=["probes", "probes_paired", "leakage", "usefulness", "spurious", "training", "feature_map"],
        ),


rule dataset:
    input:
        "results/dataset",


rule report:
    input:
        "results/report/index.html",
