# Foregrounds: exemplars cut out of their pictures, trimmed, near-duplicates kept from crossing splits.
# Needs the pictures that the exemplar table names; yields one shard per chunk of classes.


rule prepare_foregrounds:
    input:
        files=lambda wildcards: fetched(
            [path for row in exemplars_of(wildcards) for path in (row["image"], row["mask"])]
        ),
        table=ancient(CONFIG["tables"]["exemplars"]),
    output:
        tar="results/foregrounds/{chunk}.tar",
        manifest="results/foregrounds/{chunk}.parquet",
        digests="results/foregrounds/{chunk}.digests.json",
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
        mem_mb=2000,
        runtime=30,
    params:
        code=code("prepare_foregrounds"),
        classes=class_ids,
        rows=lambda wildcards: slice_digest(
            exemplars_of(wildcards), ("exemplar", "class_id", "split_group", "split", "image", "mask")
        ),
        max_side=CONFIG["foregrounds"]["max_side"],
        min_side=CONFIG["foregrounds"]["min_side"],
        duplicate_distance=CONFIG["foregrounds"]["duplicate_distance"],
        val_fraction=CONFIG["foregrounds"]["val_fraction"],
        seed=CONFIG["seed"],
        on_bad_input=CONFIG["on_bad_input"],
    shell:
        'python "$SCRIPTS"/prepare_foregrounds.py --exemplars {input.table:q} --classes {params.classes}'
        " --rows-digest {params.rows} --max-side {params.max_side} --min-side {params.min_side}"
        " --duplicate-distance {params.duplicate_distance} --val-fraction {params.val_fraction} --seed {params.seed}"
        " --on-bad-input {params.on_bad_input} --output {output.tar} --log {log}"
