# Foregrounds: exemplars chosen, cut out of their pictures, trimmed, near-duplicates kept from crossing splits.
# Needs what the source of exemplars offers; yields one shard per chunk of classes.

FOREGROUNDS = CONFIG["foregrounds"]
SOURCE_CODE = f"d3s.sources.{FOREGROUNDS['source']['kind']}"
EXEMPLAR_TABLE = [CONFIG["tables"]["exemplars"]] if TABLES.exemplars else []
MASKS = ["results/segmentation/{chunk}.tar"] if SOURCE.without_mask == "segment" else []


rule prepare_foregrounds:
    input:
        files=watched,
        table=ancient(EXEMPLAR_TABLE),
        classes=ancient(CONFIG["tables"]["classes"]),
        masks=[path.replace(".tar", ".digests.json") for path in MASKS],
        masks_tar=ancient(MASKS),
    output:
        tar="results/foregrounds/{chunk}.tar",
        manifest="results/foregrounds/{chunk}.parquet",
        digests="results/foregrounds/{chunk}.digests.json",
        listed=["results/foregrounds/{chunk}.csv"] if SOURCE.chooses else [],
    log:
        "logs/prepare_foregrounds/{chunk}.log",
    benchmark:
        "benchmarks/prepare_foregrounds/{chunk}.tsv"
    conda:
        "../envs/data.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=SOURCE.memory,
        runtime=30,
    params:
        code=code("prepare_foregrounds", SOURCE_CODE),
        source=lambda wildcards: json.dumps(SOURCE.own, sort_keys=True),  # a function, since its braces are no wildcards
        table=lambda wildcards, input: [f"--exemplars={shlex.quote(path)}" for path in input.table],
        classes=class_ids,
        rows=source_slice,
        pictures=pictures,
        per_class=[FOREGROUNDS["exemplars_per_class"][split] for split in SPLITS],
        max_side=FOREGROUNDS["max_side"],
        min_side=FOREGROUNDS["min_side"],
        duplicate_distance=FOREGROUNDS["duplicate_distance"],
        val_fraction=FOREGROUNDS["val_fraction"],
        seed=CONFIG["seed"],
        on_bad_input=CONFIG["on_bad_input"],
        listed=lambda wildcards, output: [f"--list={path}" for path in output.listed],
        masks=lambda wildcards, input: [f"--masks={path}" for path in input.masks_tar],
    shell:
        'python "$SCRIPTS"/prepare_foregrounds.py --on-bad-input {params.on_bad_input} {params.listed} {params.masks}'
        " --source {params.source:q} --classes-table {input.classes:q} {params.table} --classes {params.classes}"
        " --rows-digest {params.rows} --per-class {params.per_class} --max-side {params.max_side}"
        " --min-side {params.min_side} --duplicate-distance {params.duplicate_distance}"
        " --val-fraction {params.val_fraction} --seed {params.seed} --output {output.tar} --log {log}"


if MASKS:

    rule segment_foregrounds:
        input:
            files=watched,
            classes=ancient(CONFIG["tables"]["classes"]),
            model=ancient(fetched([FOREGROUNDS["segmentation"]["file"]])),
        output:
            tar="results/segmentation/{chunk}.tar",
            manifest="results/segmentation/{chunk}.parquet",
            digests="results/segmentation/{chunk}.digests.json",
        log:
            "logs/segment_foregrounds/{chunk}.log",
        benchmark:
            "benchmarks/segment_foregrounds/{chunk}.tsv"
        conda:
            "../envs/segmentation.yaml"
        container:
            CONTAINERS["cpu"]
        threads: 1
        resources:
            mem_mb=8000,
            runtime=240,
        params:
            code=code("segment_foregrounds", SOURCE_CODE),
            source=lambda wildcards: json.dumps(SOURCE.own, sort_keys=True),
            classes=class_ids,
            rows=source_slice,
            pictures=pictures,
            per_class=[FOREGROUNDS["exemplars_per_class"][split] for split in SPLITS],
            max_side=FOREGROUNDS["max_side"],
            min_side=FOREGROUNDS["min_side"],
            duplicate_distance=FOREGROUNDS["duplicate_distance"],
            val_fraction=FOREGROUNDS["val_fraction"],
            seed=CONFIG["seed"],
            model=FOREGROUNDS["segmentation"]["model"],
            file=FOREGROUNDS["segmentation"]["file"],
            sha256=FOREGROUNDS["segmentation"]["sha256"],
        shell:
            'python "$SCRIPTS"/segment_foregrounds.py --model {params.model:q} --file={params.file:q}'
            " --sha256 {params.sha256}"
            " --source {params.source:q} --classes-table {input.classes:q} --classes {params.classes}"
            " --rows-digest {params.rows} --per-class {params.per_class} --max-side {params.max_side}"
            " --min-side {params.min_side} --duplicate-distance {params.duplicate_distance}"
            " --val-fraction {params.val_fraction} --seed {params.seed} --output {output.tar} --log {log}"
