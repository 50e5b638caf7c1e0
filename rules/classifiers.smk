# Classifiers: what pretrained networks make of the guides and the images, and how much the background costs them.
# Needs val images and guides, weights and the manifest; yields predictions per data set and network, and long tables.


localrules:
    list_shards,


# With the shards as its inputs, each of dozens of networks would add hundreds of files to a plan.
rule list_shards:
    input:
        unpack(listed_inputs),
    output:
        "results/subjects/{dataset}.json",
    log:
        "logs/list_shards/{dataset}.log",
    benchmark:
        "benchmarks/list_shards/{dataset}.tsv"
    wildcard_constraints:
        dataset="|".join(own_datasets()),
    conda:
        "../envs/data.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        code=code("list_shards"),
    shell:
        'python "$SCRIPTS"/list_shards.py --shards {input.shards_tars} --output {output} --log {log}'


rule predict_classifier:
    input:
        unpack(dataset_inputs),
        news="resources/models/{classifier}.json",
        weights=ancient("resources/models/{classifier}.safetensors"),
        classifiers=ancient(CONFIG["tables"]["classifiers"]),
    output:
        "results/predictions/{dataset}/{classifier}.parquet",
    log:
        "logs/predict_classifier/{dataset}/{classifier}.log",
    benchmark:
        "benchmarks/predict_classifier/{dataset}/{classifier}.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cuda" if CONFIG["classifiers"]["gpus"] else "cpu"]
    threads: CONFIG["classifiers"]["threads"]
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=CONFIG["classifiers"]["gpus"],
    params:
        code=library_code("predict_classifier"),
        entry=asked_slice(None, "family"),
        pictures=dataset_arguments,
        outputs=classifier_outputs,
        dtype=CONFIG["classifiers"]["dtype"],
    shell:
        'python "$SCRIPTS"/predict_classifier.py --dataset {wildcards.dataset} {params.pictures}'
        " --classifiers {input.classifiers:q} --classifier {wildcards.classifier} --classifier-digest {params.entry}"
        " --weights {input.weights} --outputs {params.outputs} --dtype {params.dtype}"
        f" --batch-size {CONFIG['classifiers']['batch_size']} --device {CONFIG['classifiers']['device']}"
        f" --threads {CONFIG['classifiers']['threads']} --store {STORE}"
        " --output {output} --log {log}"


rule score_classifiers:
    input:
        unpack(scored_inputs),
        predictions=expand(
            "results/predictions/{dataset}/{classifier}.parquet",
            dataset=evaluation_datasets(),
            classifier=CLASSIFIERS,
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
        usual=[row["usual_backgrounds"] for row in TABLES.classes],
        judges=[row["name"] for row in TABLES.classifiers if row["role"] == "judge"],
        references=["guides", "cutouts", *BENCHMARKS],
        seed=CONFIG["seed"],
        bootstrap=CONFIG["classifiers"]["bootstrap"],
        folder=subpath(output.table, parent=True),
        subjects=scored_arguments,
    shell:
        'python "$SCRIPTS"/score_classifiers.py --predictions {input.predictions} --manifest {input.manifest}'
        " {params.subjects}"
        " --classes {input.classes:q} --rows-digest {params.rows} --judges {params.judges}"
        " --references {params.references}"
        " --seed {params.seed} --bootstrap {params.bootstrap} --tables {params.folder} --log {log}"


rule measure_diversity:
    input:
        images=shards("images", "val"),
        images_tars=ancient(shards("images", "val", ending="tar")),
        guides_tars=ancient(shards("guides", "val", ending="tar")),
        manifest="results/validation/manifest.parquet",
        news=f"resources/models/{BACKBONE}.json",
        weights=ancient(f"resources/models/{BACKBONE}.safetensors"),
        classifiers=ancient(CONFIG["tables"]["classifiers"]),
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
        code=library_code("measure_diversity", BACKBONE),
        classifier=BACKBONE,
        entry=asked_slice(BACKBONE),
        seed=CONFIG["seed"],
        bootstrap=CONFIG["classifiers"]["bootstrap"],
    shell:
        'python "$SCRIPTS"/measure_diversity.py --images {input.images_tars} --guides {input.guides_tars}'
        " --manifest {input.manifest} --classifiers {input.classifiers:q} --classifier {params.classifier}"
        " --classifier-digest {params.entry} --weights {input.weights}"
        " --seed {params.seed} --bootstrap {params.bootstrap}"
        f" --batch-size {CONFIG['classifiers']['batch_size']} --device {CONFIG['classifiers']['device']}"
        " --output {output} --log {log}"
