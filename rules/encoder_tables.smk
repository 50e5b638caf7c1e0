# Tables of encoders for the eye: how they were trained, and their features as a map.
# Needs all encoders and their features; yields long tables that figures are drawn from.

# What is only erased from features was not trained.
HISTORIES = expand("results/encoders/{objective}/{seed}/history.csv", objective=OBJECTIVES, seed=SEEDS)
# A map of one seed says as much as maps of all.
FIRST = expand("results/encoders/{objective}/{seed}/features.safetensors", objective=OBJECTIVES + ERASED, seed=SEEDS[0])


rule collect_training:
    input:
        histories=HISTORIES,
        settings=[path.replace("history.csv", "encoder.json") for path in HISTORIES],
    output:
        "results/tables/training.csv",
    log:
        "logs/collect_training.log",
    benchmark:
        "benchmarks/collect_training.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("collect_training"),
    shell:
        'python "$SCRIPTS"/collect_training.py --histories {input.histories} --output {output} --log {log}'


rule map_features:
    input:
        features=FIRST,
        index=[path.replace(".safetensors", ".parquet") for path in FIRST],
        settings=[path.replace("features.safetensors", "encoder.json") for path in FIRST],
        manifest="results/validation/manifest.parquet",
    output:
        "results/tables/feature_map.csv",
    log:
        "logs/map_features.log",
    benchmark:
        "benchmarks/map_features.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("map_features"),
        seed=CONFIG["seed"],
    shell:
        'python "$SCRIPTS"/map_features.py --features {input.features} --manifest {input.manifest}'
        " --seed {params.seed} --output {output} --log {log}"
