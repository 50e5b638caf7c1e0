# Probes: what can be read out of each part of the features.
# Needs all encoders' features and the manifest; yields long tables.

FEATURES = [path.replace("encoder.safetensors", "features.safetensors") for path in ENCODERS]


rule fit_probes:
    input:
        features=FEATURES,
        index=[path.replace(".safetensors", ".parquet") for path in FEATURES],
        settings=[path.replace("features.safetensors", "encoder.json") for path in FEATURES],
        manifest="results/validation/manifest.parquet",
    output:
        probes="results/tables/probes.csv",
        paired="results/tables/probes_paired.csv",
        leakage="results/tables/leakage.csv",
        usefulness="results/tables/usefulness.csv",
        nearest="results/tables/nearest.csv",
    log:
        "logs/fit_probes.log",
    benchmark:
        "benchmarks/fit_probes.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("fit_probes"),
        kinds=CONFIG["probes"]["kinds"],
        folds=CONFIG["probes"]["folds"],
        template_folds=CONFIG["probes"]["template_folds"],
        repeats=CONFIG["probes"]["repeats"],
        permutations=CONFIG["probes"]["permutations"],
        controls=CONFIG["probes"]["controls"],
        seed=CONFIG["seed"],
    shell:
        'python "$SCRIPTS"/fit_probes.py --features {input.features} --manifest {input.manifest}'
        " --kinds {params.kinds} --folds {params.folds} --template-folds {params.template_folds}"
        " --repeats {params.repeats} --permutations {params.permutations} --controls {params.controls}"
        " --seed {params.seed} --probes {output.probes} --paired {output.paired}"
        " --leakage {output.leakage} --usefulness {output.usefulness} --nearest {output.nearest}"
        " --threads {threads} --log {log}"
