# Validation: what is wrong with an image, judged by machine and by people; one row per planned image, none lost.
# Needs images and guides, the screen's weights, files of votes; yields screens per shard, the manifest and its counts.

OPEN_ONLY = CONFIG["annotations"]["open_only"] and bool(ANNOTATIONS)
GOLD_SPLITS = [split for split in SPLITS if split not in CONFIG["annotations"]["splits"]] or SPLITS
CAMPAIGN = (
    *("campaign", "images", "doubt_below", "per_cell", "batch_size", "gold", "repeats", "examples", "side"),
    *("images_per_task", "votes"),
)
"""The settings of a campaign."""
CALIBRATION = ["results/tables/calibration.csv"] if ANNOTATIONS else []
"""The screens can be calibrated only where people voted."""
JUDGING_ROWS = slice_digest(TABLES.classes, ("class_id", "name", "imagenet_indices"))


rule screen_images:
    input:
        images="results/images/{split}/{shift}/{background}/{chunk}.digests.json",
        images_tar=ancient("results/images/{split}/{shift}/{background}/{chunk}.tar"),
        guides_tar=ancient("results/guides/{split}/{shift}/{background}/{chunk}.tar"),
        news=f"resources/models/{SCREEN}.json",
        weights=ancient(f"resources/models/{SCREEN}.safetensors"),
        classifiers=ancient(CONFIG["tables"]["classifiers"]),
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
        code=library_code("screen_images", SCREEN),
        rows=JUDGING_ROWS,
        classifier=SCREEN,
        entry=asked_slice(SCREEN),
        min_contrast=CONFIG["screens"]["min_contrast"],
        min_probability=CONFIG["screens"]["min_probability"],
    shell:
        'python "$SCRIPTS"/screen_images.py --images {input.images_tar} --guides {input.guides_tar}'
        " --classifiers {input.classifiers:q} --classifier {params.classifier} --classifier-digest {params.entry}"
        " --weights {input.weights} --classes {input.classes:q} --rows-digest {params.rows}"
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
        workers="results/tables/annotators.csv",
        agreement="results/tables/agreement.csv",
    log:
        "logs/aggregate_annotations.log",
    benchmark:
        "benchmarks/aggregate_annotations.tsv"
    conda:
        "../envs/annotation.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("aggregate_annotations"),
        campaign=CONFIG["annotations"]["campaign"],
        seed=CONFIG["seed"],
        rule=CONFIG["annotations"]["rule"],
        votes=CONFIG["annotations"]["votes"],
        min_gold_accuracy=CONFIG["annotations"]["min_gold_accuracy"],
        min_gold=CONFIG["annotations"]["min_gold"],
    shell:
        'python "$SCRIPTS"/aggregate_annotations.py --annotations {input.annotations:q} --images {input.images_tars}'
        " --campaign {params.campaign} --seed {params.seed} --rule {params.rule} --votes {params.votes}"
        " --min-gold-accuracy {params.min_gold_accuracy} --min-gold {params.min_gold} --output {output.decisions}"
        " --problems {output.problems} --workers {output.workers} --agreement {output.agreement} --log {log}"


rule build_annotation_batches:
    input:
        images=shards("images", *CONFIG["annotations"]["splits"]),
        images_tars=ancient(shards("images", *CONFIG["annotations"]["splits"], ending="tar")),
        screens=shards("validation/screens", *CONFIG["annotations"]["splits"], ending="parquet"),
        # gold is made of guides: of the other split, unless both are asked about
        guides=shards("guides", *GOLD_SPLITS),
        guides_tars=ancient(shards("guides", *GOLD_SPLITS, ending="tar")),
        foregrounds=expand("results/foregrounds/{chunk}.digests.json", chunk=FOREGROUND_CHUNKS),
        foregrounds_tars=ancient(expand("results/foregrounds/{chunk}.tar", chunk=FOREGROUND_CHUNKS)),
        decisions=["results/validation/decisions.parquet"] if OPEN_ONLY else [],
        classes=ancient(CONFIG["tables"]["classes"]),
        backgrounds=ancient(CONFIG["tables"]["backgrounds"]),
    output:
        directory("results/annotation"),
    log:
        "logs/build_annotation_batches.log",
    benchmark:
        "benchmarks/build_annotation_batches.tsv"
    conda:
        "../envs/annotation.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        **{name: CONFIG["annotations"][name] for name in CAMPAIGN},
        address=shlex.quote(CONFIG["annotations"]["address"]),
        code=code("build_annotation_batches"),
        seed=CONFIG["seed"],
        classes=slice_digest(TABLES.classes, ("class_id", "name", "label", "definition", "imagenet_indices")),
        backgrounds=slice_digest(TABLES.backgrounds, ("background", "phrase")),
        decisions="--decisions results/validation/decisions.parquet" if OPEN_ONLY else "",
    shell:
        'python "$SCRIPTS"/build_annotation_batches.py --images {input.images_tars} --screens {input.screens}'
        " --guides {input.guides_tars} --foregrounds {input.foregrounds_tars} {params.decisions}"
        " --classes {input.classes:q} --classes-digest {params.classes} --backgrounds {input.backgrounds:q}"
        " --backgrounds-digest {params.backgrounds} --campaign {params.campaign} --choice {params.images}"
        " --doubt-below {params.doubt_below} --per-cell {params.per_cell} --batch-size {params.batch_size}"
        " --gold {params.gold} --repeats {params.repeats} --examples {params.examples} --side {params.side}"
        " --images-per-task {params.images_per_task} --votes {params.votes} --address {params.address}"
        " --seed {params.seed} --output {output} --log {log}"


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


rule calibrate_screens:
    input:
        manifest="results/validation/manifest.parquet",
    output:
        "results/tables/calibration.csv",
    log:
        "logs/calibrate_screens.log",
    benchmark:
        "benchmarks/calibrate_screens.tsv"
    conda:
        "../envs/data.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        code=code("calibrate_screens"),
        threshold=CONFIG["screens"]["min_probability"],
        precision=CONFIG["annotations"]["precision"],
        bootstrap=CONFIG["classifiers"]["bootstrap"],
        seed=CONFIG["seed"],
    shell:
        'python "$SCRIPTS"/calibrate_screens.py --manifest {input.manifest} --threshold {params.threshold}'
        " --precision {params.precision} --bootstrap {params.bootstrap} --seed {params.seed} --output {output}"
        " --log {log}"
