# Spurious correlations: what classifiers rely on when classes and backgrounds went together in training.
# Needs encoders' features (or the pictures, for networks trained end to end) and the manifest; yields locked splits of
# each pairing and correlation rho, every classifier's answers, and a long table of what they say.

SPLIT_TABLES = expand("results/correlation/{locked}.csv", locked=locked_splits())
ANSWERS = [answers_of(path) for path in FEATURES]
NETWORK_ANSWERS = expand(
    "results/correlation/networks/{locked}/{method}/{network_seed}/answers.parquet",
    locked=locked_splits("networks"),
    method=CORRELATION["networks"]["methods"],
    network_seed=CORRELATION["networks"]["seeds"],
)
PRESET_TABLES = ["results/correlation/d3s_cor.csv", "results/correlation/d3s_anticorr.csv"]


wildcard_constraints:
    locked=r"k\d+-p\d+-rho[\d.e-]+",
    method="erm|balanced|group_dro",
    network_seed=r"\d+",


rule build_splits:
    input:
        manifest="results/validation/manifest.parquet",
    output:
        tables=[*SPLIT_TABLES, *PRESET_TABLES],
        about=[path.replace(".csv", ".json") for path in [*SPLIT_TABLES, *PRESET_TABLES]],
    log:
        "logs/build_splits.log",
    benchmark:
        "benchmarks/build_splits.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("build_splits"),
        rhos=CORRELATION["rhos"],
        pairings=pairings_of("splits"),
        backgrounds_per_class=CORRELATION["backgrounds_per_class"],
        validation_fraction=CORRELATION["validation_fraction"],
        min_images=CORRELATION["min_images"],
        seed=CONFIG["seed"],
    shell:
        'python "$SCRIPTS"/build_splits.py --manifest {input.manifest} --rhos {params.rhos} --pairings {params.pairings}'
        " --backgrounds-per-class {params.backgrounds_per_class} --validation-fraction {params.validation_fraction}"
        " --min-images {params.min_images} --seed {params.seed} --output results/correlation --log {log}"


rule fit_group_classifiers:
    input:
        features="results/encoders/{encoder}/{seed}/features.safetensors",
        index="results/encoders/{encoder}/{seed}/features.parquet",
        settings="results/encoders/{encoder}/{seed}/encoder.json",
        manifest="results/validation/manifest.parquet",
        splits=SPLIT_TABLES,
        about=[path.replace(".csv", ".json") for path in SPLIT_TABLES],
    output:
        answers="results/correlation/answers/{encoder}/{seed}.parquet",
        choices="results/correlation/answers/{encoder}/{seed}.csv",
    log:
        "logs/fit_group_classifiers/{encoder}/{seed}.log",
    benchmark:
        "benchmarks/fit_group_classifiers/{encoder}/{seed}.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        code=code("fit_group_classifiers"),
        methods=CORRELATION["methods"],
        draws=CORRELATION["draws"],
        seed=CONFIG["seed"],
    shell:
        'python "$SCRIPTS"/fit_group_classifiers.py --features {input.features} --manifest {input.manifest}'
        " --splits {input.splits} --methods {params.methods} --draws {params.draws} --seed {params.seed}"
        " --answers {output.answers} --choices {output.choices} --log {log}"


rule train_group_classifier:
    input:
        unpack(lambda wildcards: encoder_pictures(*SPLITS)),
        split="results/correlation/{locked}.csv",
        about="results/correlation/{locked}.json",
        news=f"resources/models/{BACKBONE}.json",
        weights=ancient(f"resources/models/{BACKBONE}.safetensors"),
    output:
        network="results/correlation/networks/{locked}/{method}/{network_seed}/network.safetensors",
        settings="results/correlation/networks/{locked}/{method}/{network_seed}/network.json",
        history="results/correlation/networks/{locked}/{method}/{network_seed}/history.csv",
        answers="results/correlation/networks/{locked}/{method}/{network_seed}/answers.parquet",
    log:
        "logs/train_group_classifier/{locked}/{method}/{network_seed}.log",
    benchmark:
        "benchmarks/train_group_classifier/{locked}/{method}/{network_seed}.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cuda" if ENCODER["gpus"] else "cpu"]
    threads: ENCODER["threads"]
    resources:
        mem_mb=6000,
        runtime=120,
        gpu=ENCODER["gpus"],
    params:
        code=code("train_group_classifier"),
        pictures=lambda wildcards, input: picture_arguments(wildcards, input)
        + ("" if FROZEN else f" --guides {input.guides_tars}"),
        timm_name=BACKBONE_NETWORK,
        frozen_stages=ENCODER["frozen_stages"],
        input_size=ENCODER["input_size"],
        steps=CORRELATION["networks"]["steps"],
        batch_size=CORRELATION["networks"]["batch_size"],
        rate=CORRELATION["networks"]["rate"],
        weight_decay=CORRELATION["networks"]["weight_decay"],
        group_rate=CORRELATION["networks"]["group_rate"],
        evaluate_every=CORRELATION["networks"]["evaluate_every"],
        draws=CORRELATION["draws"],
        folder=subpath(output.network, parent=True),
    shell:
        'python "$SCRIPTS"/train_group_classifier.py {params.pictures} --split {input.split} --weights {input.weights}'
        " --timm-name {params.timm_name} --input-size {params.input_size} --frozen-stages {params.frozen_stages}"
        " --method {wildcards.method} --seed {wildcards.network_seed} --steps {params.steps}"
        " --batch-size {params.batch_size} --rate {params.rate} --weight-decay {params.weight_decay}"
        " --group-rate {params.group_rate} --evaluate-every {params.evaluate_every} --draws {params.draws}"
        f" --device {ENCODER['device']} --threads {ENCODER['threads']} --store {STORE}"
        " --code {params.code} --output {params.folder} --log {log}"


rule spurious_correlation:
    input:
        answers=[*ANSWERS, *NETWORK_ANSWERS],
        splits=SPLIT_TABLES,
        about=[path.replace(".csv", ".json") for path in SPLIT_TABLES],
        manifest="results/validation/manifest.parquet",
    output:
        "results/tables/spurious.csv",
    log:
        "logs/spurious_correlation.log",
    benchmark:
        "benchmarks/spurious_correlation.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("spurious_correlation"),
        names=answer_names,
        resamples=CORRELATION["bootstrap"],
        seed=CONFIG["seed"],
    shell:
        'python "$SCRIPTS"/spurious_correlation.py --manifest {input.manifest} --splits {input.splits}'
        " --answers {input.answers} --names {params.names} --resamples {params.resamples} --seed {params.seed}"
        " --output {output} --log {log}"


# The same of benchmarks with groups of their own (correlation: benchmarks:), with the same encoders.


rule extract_benchmark_features:
    input:
        index="results/benchmarks/{benchmark}.parquet",
        weights="results/encoders/{encoder}/{seed}/encoder.safetensors",
        settings="results/encoders/{encoder}/{seed}/encoder.json",
    output:
        features="results/correlation/benchmarks/{benchmark}/{encoder}/{seed}/features.safetensors",
        index="results/correlation/benchmarks/{benchmark}/{encoder}/{seed}/features.parquet",
    log:
        "logs/extract_benchmark_features/{benchmark}/{encoder}/{seed}.log",
    benchmark:
        "benchmarks/extract_benchmark_features/{benchmark}/{encoder}/{seed}.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cuda" if ENCODER["gpus"] else "cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=ENCODER["gpus"],
    params:
        code=code("extract_features"),
        folder=subpath(input.weights, parent=True),
    shell:
        'python "$SCRIPTS"/extract_features.py --encoder {params.folder} --index {input.index}'
        f" --device {ENCODER['device']} --store {STORE}"
        " --output {output.features} --log {log}"


rule build_benchmark_splits:
    input:
        index="results/benchmarks/{benchmark}.parquet",
    output:
        tables=benchmark_splits("{benchmark}", "csv"),
        about=benchmark_splits("{benchmark}", "json"),
    log:
        "logs/build_benchmark_splits/{benchmark}.log",
    benchmark:
        "benchmarks/build_benchmark_splits/{benchmark}.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("build_splits"),
        rhos=CORRELATION["rhos"],
        validation_fraction=CORRELATION["validation_fraction"],
        min_images=CORRELATION["min_images"],
        seed=CONFIG["seed"],
    shell:
        'python "$SCRIPTS"/build_splits.py --index {input.index} --rhos {params.rhos}'
        " --validation-fraction {params.validation_fraction} --min-images {params.min_images} --seed {params.seed}"
        " --output results/correlation/benchmarks/{wildcards.benchmark}/splits --log {log}"


rule fit_benchmark_classifiers:
    input:
        features="results/correlation/benchmarks/{benchmark}/{encoder}/{seed}/features.safetensors",
        index="results/correlation/benchmarks/{benchmark}/{encoder}/{seed}/features.parquet",
        settings="results/encoders/{encoder}/{seed}/encoder.json",
        splits=benchmark_splits("{benchmark}", "csv"),
        about=benchmark_splits("{benchmark}", "json"),
    output:
        answers="results/correlation/benchmarks/{benchmark}/answers/{encoder}/{seed}.parquet",
        choices="results/correlation/benchmarks/{benchmark}/answers/{encoder}/{seed}.csv",
    log:
        "logs/fit_benchmark_classifiers/{benchmark}/{encoder}/{seed}.log",
    benchmark:
        "benchmarks/fit_benchmark_classifiers/{benchmark}/{encoder}/{seed}.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=8000,
        runtime=240,
    params:
        code=code("fit_group_classifiers"),
        folder=subpath(input.settings, parent=True),
        methods=CORRELATION["methods"],
        draws=CORRELATION["draws"],
        seed=CONFIG["seed"],
    shell:
        'python "$SCRIPTS"/fit_group_classifiers.py --features {input.features} --benchmark {wildcards.benchmark}'
        " --encoder {params.folder} --splits {input.splits} --methods {params.methods} --draws {params.draws}"
        " --seed {params.seed} --answers {output.answers} --choices {output.choices} --log {log}"


rule benchmark_correlation:
    input:
        answers=lambda wildcards: [answers_of(path, f"benchmarks/{wildcards.benchmark}/answers") for path in FEATURES],
        splits=benchmark_splits("{benchmark}", "csv"),
        about=benchmark_splits("{benchmark}", "json"),
        index="results/benchmarks/{benchmark}.parquet",
    output:
        "results/tables/spurious_{benchmark}.csv",
    log:
        "logs/benchmark_correlation/{benchmark}.log",
    benchmark:
        "benchmarks/benchmark_correlation/{benchmark}.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        code=code("spurious_correlation"),
        names=answer_names,
        resamples=CORRELATION["bootstrap"],
        seed=CONFIG["seed"],
    shell:
        'python "$SCRIPTS"/spurious_correlation.py --index {input.index} --splits {input.splits}'
        " --answers {input.answers} --names {params.names} --resamples {params.resamples} --seed {params.seed}"
        " --output {output} --log {log}"
