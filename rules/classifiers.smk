# Classifiers: what pretrained networks make of the guides and the images, and how much the background costs them.
# Needs val images and guides, weights and the manifest; yields predictions per data set and network, and long tables.


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
        predictions=expand(
            "results/predictions/{dataset}/{classifier}.parquet", dataset=("guides", "images"), classifier=CLASSIFIERS
        ),
        manifest="results/validation/manifest.parquet",
        classes=ancient(CONFIG["tables"]["classes"]),
    output:
        table="results/tables/classifiers.csv",
        confusion="results/tables/confusion.csv",
        status="results/tables/classifiers_status.csv",
    log:
        "logs/score_classifiers.log",
    benchmark:
        "benchmarks/score_classifiers.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("score_classifiers"),
        rows=JUDGING_ROWS,
        seed=CONFIG["seed"],
        bootstrap=CONFIG["classifiers"]["bootstrap"],
    shell:
        'python "$SCRIPTS"/score_classifiers.py --predictions {input.predictions} --manifest {input.manifest}'
        " --classes {input.classes:q} --rows-digest {params.rows} --seed {params.seed} --bootstrap {params.bootstrap}"
        " --output {output.table} --confusion {output.confusion} --status {output.status} --log {log}"
