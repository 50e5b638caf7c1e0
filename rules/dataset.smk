# Dataset: the data set in the formats that other software opens, with its card and checksums.
# Needs the manifest, images and the tables of what they show; yields results/dataset/.

EXPORT_SLICES = {
    "classes": ("class_id", "name", "label", "definition"),
    "backgrounds": ("background", "phrase"),
    "exemplars": ("exemplar", "source"),
    "templates": ("template_source", "kind", "source"),
    "sources": ("source", "package", "version", "licence", "attribution"),
}
"""What the export says of the tables, in the order in which export_dataset.py takes their digests."""
EXPORT_TABLES = [kind for kind in EXPORT_SLICES if getattr(TABLES, kind)]
EXPORT_SETTINGS = {
    "seed": CONFIG["seed"],
    "prompts": CONFIG["prompts"],
    "guides": {name: CONFIG["guides"][name] for name in ("scale", "flip")},
    "screens": {name: CONFIG["screens"][name] for name in ("min_contrast", "min_probability", "duplicate_distance")},
    "annotations": {name: CONFIG["annotations"][name] for name in ("rule", "votes")},
    "foregrounds": {"licence_source": CONFIG["foregrounds"]["source"]["licence_source"]},
    "export": CONFIG["export"],
}
"""What the card tells of the config; a setting of encoders or probes exports nothing again."""


rule export_dataset:
    input:
        manifest="results/validation/manifest.parquet",
        images=shards("images", *SPLITS),
        images_tars=ancient(shards("images", *SPLITS, ending="tar")),
        tables=ancient([CONFIG["tables"][kind] for kind in EXPORT_TABLES]),
        # small, so that it is compared by its contents: it may state the model's licence
        model_card=[card for card in [f"{MODEL}/README.md"] if MODEL and Path(card).exists()],
    output:
        directory("results/dataset"),
    log:
        "logs/export_dataset.log",
    benchmark:
        "benchmarks/export_dataset.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        code=code("export_dataset"),
        rows=[slice_digest(getattr(TABLES, kind), columns) for kind, columns in EXPORT_SLICES.items()],
        settings=lambda wildcards: json.dumps(EXPORT_SETTINGS, sort_keys=True),  # a function, since its braces are no wildcards
        tables=lambda wildcards, input: [f"--{kind}={path}" for kind, path in zip(EXPORT_TABLES, input.tables)],
        model_card=lambda wildcards, input: [f"--model-card={card}" for card in input.model_card],
    shell:
        'python "$SCRIPTS"/export_dataset.py --manifest {input.manifest} --images {input.images_tars}'
        " {params.tables:q} {params.model_card:q} --rows-digests {params.rows} --settings {params.settings:q}"
        " --output {output} --log {log}"
