# Validation: what is wrong with an image, judged by machine and by people; one row per planned image, none lost.
# Needs images and guides, the screen's weights, files of votes; yields screens per shard, the manifest and its counts.

JUDGING_ROWS = slice_digest(TABLES.classes, ("class_id", "name", "imagenet_indices"))


rule screen_images:
    input:
        images="results/images/{split}/{shift}/{background}/{chunk}.digests.json",
        images_tar=ancient("results/images/{split}/{shift}/{background}/{chunk}.tar"),
        guides_tar=ancient("results/guides/{split}/{shift}/{background}/{chunk}.tar"),
        weights=ancient(f"resources/models/{SCREEN}.safetensors"),
        classes=ancient(CONFIG["tables"]["classes"]),
    output:
        "results/validation/screens/{split}/{shift}/{background}/{chunk}.parquet",
    log:
        "logs/screen_images/{split}/{shift}/{background}/{chunk}.log",
    benchmark:
        "benchmarks/screen_images/{split}/{shift}/{background}/{chunk}.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        code=code("screen_images"),
        rows=JUDGING_ROWS,
        classifier=SCREEN,
        timm_name=classifier_cell("timm_name", SCREEN),
        sha256=classifier_cell("sha256", SCREEN),
        conversion=CONVERSION,
        input_size=classifier_cell("input_size", SCREEN),
        min_contrast=CONFIG["screens"]["min_contrast"],
        min_probability=CONFIG["screens"]["min_probability"],
    shell:
        'python "$SCRIPTS"/screen_images.py --images {input.images_tar} --guides {input.guides_tar}'
        " --classifier {params.classifier} --timm-name {params.timm_name} --weights {input.weights}"
        " --input-size {params.input_size} --classes {input.classes:q} --rows-digest {params.rows}"
        " --min-contrast {params.min_contrast} --min-probability {params.min_probability}"
        f" --batch-size {CONFIG['screens']['batch_size']} --device {CONFIG['screens']['device']}"
        f" --store {STORE}"
        " --output {output} --log {log}"


rule aggregate_annotations:
    input:
        # one input each, so that another file of votes makes again what follows from it and nothing else
        annotations=ANNOTATIONS,
        images=shards("images", *SPLITS),
        images_tars=ancient(shards("images", *SPLITS, ending="tar")),
    output:
        decisions="results/validation/decisions.parquet",
        problems="results/validation/annotation_problems.csv",
    log:
        "logs/aggregate_annotations.log",
    benchmark:
        "benchmarks/aggregate_annotations.tsv"
    conda:
        "../envs/data.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("aggregate_annotations"),
        rule=CONFIG["annotations"]["rule"],
        votes=CONFIG["annotations"]["votes"],
    shell:
        'python "$SCRIPTS"/aggregate_annotations.py --annotations {input.annotations:q} --images {input.images_tars}'
        " --rule {params.rule} --votes {params.votes} --output {output.decisions} --problems {output.problems}"
        " --log {log}"


rule build_manifest:
    input:
        decisions=["results/validation/decisions.parquet"] if ANNOTATIONS else [],
        images=shards("images", *SPLITS),
        images_tars=ancient(shards("images", *SPLITS, ending="tar")),
        screens=shards("validation/screens", *SPLITS, ending="parquet"),
    output:
        manifest="results/validation/manifest.parquet",
        csv="results/validation/manifest.csv",
        counts="results/tables/counts.csv",
    log:
        "logs/build_manifest.log",
    benchmark:
        "benchmarks/build_manifest.tsv"
    conda:
        "../envs/data.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("build_manifest"),
        duplicate_distance=CONFIG["screens"]["duplicate_distance"],
        decisions=lambda wildcards, input: f"--decisions {input.decisions}" if ANNOTATIONS else "",
    shell:
        'python "$SCRIPTS"/build_manifest.py --images {input.images_tars} --screens {input.screens}'
        " {params.decisions} --duplicate-distance {params.duplicate_distance} --output {output.manifest} --csv {output.csv}"
        " --counts {output.counts} --log {log}"
