# Classifiers: what pretrained networks make of the guides and the images, and how much the background costs them.
# Needs val images and guides, weights and the manifest; yields predictions per network and long tables.


rule predict_classifier:
    input:
        images=shards("images", "val"),
        images_tars=ancient(shards("images", "val", ending="tar")),
        guides_tars=ancient(shards("guides", "val", ending="tar")),
        weights=ancient("resources/models/{classifier}.safetensors"),
        classes=ancient(CONFIG["tables"]["classes"]),
    output:
        "results/classifiers/{classifier}.parquet",
    log:
        "logs/predict_classifier/{classifier}.log",
    benchmark:
        "benchmarks/predict_classifier/{classifier}.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        code=code("predict_classifier"),
        rows=JUDGING_ROWS,
        timm_name=classifier_cell("timm_name"),
        sha256=classifier_cell("sha256"),
        conversion=CONVERSION,
        input_size=classifier_cell("input_size"),
    shell:
        'python "$SCRIPTS"/predict_classifier.py --images {input.images_tars} --guides {input.guides_tars}'
        " --name {wildcards.classifier} --timm-name {params.timm_name} --weights {input.weights}"
        " --input-size {params.input_size} --classes {input.classes:q} --rows-digest {params.rows}"
        f" --batch-size {CONFIG['classifiers']['batch_size']} --device {CONFIG['classifiers']['device']}"
        f" --store {STORE}"
        " --output {output} --log {log}"


rule score_classifiers:
    input:
        predictions=expand(
            "results/classifiers/{classifier}.parquet", classifier=[row["name"] for row in TABLES.classifiers]
        ),
        manifest="results/validation/manifest.parquet",
        classes=ancient(CONFIG["tables"]["classes"]),
    output:
        table="results/tables/classifiers.csv",
        others=expand(
            "results/tables/{table}.csv",
            table=[
                *("confusion", "class_by_background", "background_effects", "paired_backgrounds", "variance_shares"),
                *("reliability", "classifier_agreement", "fragile_classes", "fragile_sets", "classifiers_status"),
            ],
        ),
    log:
        "logs/score_classifiers.log",
    benchmark:
        "benchmarks/score_classifiers.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("score_classifiers"),
        rows=JUDGING_ROWS,
        usual=[row.get("usual_backgrounds", "") for row in TABLES.classes],
        judges=[row["name"] for row in TABLES.classifiers if row["role"] == "judge"],
        seed=CONFIG["seed"],
        bootstrap=CONFIG["classifiers"]["bootstrap"],
        folder=lambda wildcards, output: Path(output.table).parent,
    shell:
        'python "$SCRIPTS"/score_classifiers.py --predictions {input.predictions} --manifest {input.manifest}'
        " --classes {input.classes:q} --rows-digest {params.rows} --judges {params.judges}"
        " --seed {params.seed} --bootstrap {params.bootstrap} --tables {params.folder} --log {log}"


rule measure_diversity:
    input:
        images=shards("images", "val"),
        images_tars=ancient(shards("images", "val", ending="tar")),
        guides_tars=ancient(shards("guides", "val", ending="tar")),
        manifest="results/validation/manifest.parquet",
        weights=ancient(f"resources/models/{BACKBONE}.safetensors"),
    output:
        "results/tables/diversity.csv",
    log:
        "logs/measure_diversity.log",
    benchmark:
        "benchmarks/measure_diversity.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        code=code("measure_diversity"),
        timm_name=classifier_cell("timm_name", BACKBONE),
        sha256=classifier_cell("sha256", BACKBONE),
        conversion=CONVERSION,
        input_size=classifier_cell("input_size", BACKBONE),
        seed=CONFIG["seed"],
        bootstrap=CONFIG["classifiers"]["bootstrap"],
    shell:
        'python "$SCRIPTS"/measure_diversity.py --images {input.images_tars} --guides {input.guides_tars}'
        " --manifest {input.manifest} --timm-name {params.timm_name} --weights {input.weights}"
        " --input-size {params.input_size} --seed {params.seed} --bootstrap {params.bootstrap}"
        f" --device {CONFIG['classifiers']['device']}"
        " --output {output} --log {log}"
