# Encoders: a backbone whose features are split into a foreground and a background part, trained under an objective.
# Needs accepted train images and the backbone's weights; yields one encoder for each (objective, seed) and its features.


rule cache_activations:
    input:
        images=shards("images", *SPLITS),
        images_tars=ancient(shards("images", *SPLITS, ending="tar")),
        guides_tars=ancient(shards("guides", "val", ending="tar")),
        manifest="results/validation/manifest.parquet",
        news=f"resources/models/{BACKBONE}.json",
        weights=ancient(f"resources/models/{BACKBONE}.safetensors"),
    output:
        activations="results/encoders/activations.safetensors",
        index="results/encoders/activations.parquet",
    log:
        "logs/cache_activations.log",
    benchmark:
        "benchmarks/cache_activations.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cuda" if ENCODER["gpus"] else "cpu"]
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=ENCODER["gpus"],
    params:
        code=code("cache_activations"),
        timm_name=BACKBONE_NETWORK,
        frozen_stages=ENCODER["frozen_stages"],
        input_size=ENCODER["input_size"],
    shell:
        'python "$SCRIPTS"/cache_activations.py --images {input.images_tars} --guides {input.guides_tars}'
        " --manifest {input.manifest} --weights {input.weights} --timm-name {params.timm_name}"
        " --frozen-stages {params.frozen_stages} --input-size {params.input_size}"
        f" --device {ENCODER['device']} --threads 2 --store {STORE}"
        " --output {output.activations} --log {log}"


rule train_encoder:
    input:
        unpack(lambda wildcards: encoder_pictures("train")),
        unpack(second_stream),
        manifest="results/validation/manifest.parquet",
        news=f"resources/models/{BACKBONE}.json",
        weights=ancient(f"resources/models/{BACKBONE}.safetensors"),
    output:
        weights="results/encoders/{objective}/{seed}/encoder.safetensors",
        settings="results/encoders/{objective}/{seed}/encoder.json",
        history="results/encoders/{objective}/{seed}/history.csv",
    log:
        "logs/train_encoder/{objective}/{seed}.log",
    benchmark:
        "benchmarks/train_encoder/{objective}/{seed}.tsv"
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
        code=objective_code,
        pictures=picture_arguments,
        timm_name=BACKBONE_NETWORK,
        frozen_stages=ENCODER["frozen_stages"],
        input_size=ENCODER["input_size"],
        background_fraction=ENCODER["background_fraction"],
        background_features=ENCODER["background_features"],
        heads=ENCODER["heads"],
        class_indices=class_indices,
        second=second_arguments,
        batch_norm=ENCODER["batch_norm"],
        steps=ENCODER["steps"],
        batch_size=ENCODER["batch_size"],
        warmup_steps=ENCODER["warmup_steps"],
        warmup_rate=ENCODER["warmup_rate"],
        rate=ENCODER["rate"],
        betas=ENCODER["betas"],
        head_factor=ENCODER["head_factor"],
        objective=objective_arguments,
        schedule=[ENCODER[name] for name in ("schedule", "period", "least_rate")],
        ema=ENCODER["ema"],
        validation_seed=CONFIG["seed"],
        held_out=[ENCODER[name] for name in ("validation_fraction", "evaluate_every", "tolerance", "patience")],
        precision=ENCODER["precision"],
        folder=subpath(output.weights, parent=True),
    shell:
        f'{training_command(None)} "$SCRIPTS"/train_encoder.py'
        " {params.pictures} --manifest {input.manifest} --weights {input.weights}"
        " --timm-name {params.timm_name} --input-size {params.input_size} --frozen-stages {params.frozen_stages}"
        " --background-fraction {params.background_fraction} --background-features {params.background_features}"
        " --batch-norm {params.batch_norm} --heads {params.heads} {params.class_indices} {params.second}"
        " {params.objective} --seed {wildcards.seed}"
        " --steps {params.steps} --batch-size {params.batch_size} --warmup-steps {params.warmup_steps}"
        " --warmup-rate {params.warmup_rate} --rate {params.rate} --betas {params.betas}"
        " --head-factor {params.head_factor} --precision {params.precision}"
        " --schedule {params.schedule[0]} --period {params.schedule[1]} --least-rate {params.schedule[2]}"
        " --ema {params.ema} --validation-fraction {params.held_out[0]}"
        " --validation-seed {params.validation_seed} --evaluate-every {params.held_out[1]}"
        " --tolerance {params.held_out[2]} --patience {params.held_out[3]}"
        f" --device {ENCODER['device']} --threads {ENCODER['threads']} --workers {ENCODER['workers']} --store {STORE}"
        " --code {params.code} --output {params.folder} --log {log}"


rule extract_features:
    input:
        unpack(lambda wildcards: encoder_pictures(*SPLITS)),
        manifest="results/validation/manifest.parquet",
        weights="results/encoders/{objective}/{seed}/encoder.safetensors",
        settings="results/encoders/{objective}/{seed}/encoder.json",
    output:
        features="results/encoders/{objective}/{seed}/features.safetensors",
        index="results/encoders/{objective}/{seed}/features.parquet",
    log:
        "logs/extract_features/{objective}/{seed}.log",
    benchmark:
        "benchmarks/extract_features/{objective}/{seed}.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cuda" if ENCODER["gpus"] else "cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=ENCODER["gpus"],
    params:
        code=code("extract_features"),
        pictures=lambda wildcards, input: picture_arguments(wildcards, input)
        + ("" if FROZEN else f" --guides {input.guides_tars}"),
        folder=subpath(input.weights, parent=True),
    shell:
        'python "$SCRIPTS"/extract_features.py --encoder {params.folder} {params.pictures} --manifest {input.manifest}'
        f" --device {ENCODER['device']} --store {STORE}"
        " --output {output.features} --log {log}"


rule erase_features:
    input:
        weights="results/encoders/{objective}/{seed}/encoder.safetensors",
        settings="results/encoders/{objective}/{seed}/encoder.json",
        features="results/encoders/{objective}/{seed}/features.safetensors",
        index="results/encoders/{objective}/{seed}/features.parquet",
        manifest="results/validation/manifest.parquet",
    output:
        weights="results/encoders/{objective}+leace/{seed}/encoder.safetensors",
        settings="results/encoders/{objective}+leace/{seed}/encoder.json",
        features="results/encoders/{objective}+leace/{seed}/features.safetensors",
        index="results/encoders/{objective}+leace/{seed}/features.parquet",
    log:
        "logs/erase_features/{objective}/{seed}.log",
    benchmark:
        "benchmarks/erase_features/{objective}/{seed}.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("erase_features"),
        source=subpath(input.weights, parent=True),
        folder=subpath(output.weights, parent=True),
    shell:
        'python "$SCRIPTS"/erase_features.py --encoder {params.source} --manifest {input.manifest}'
        " --output {params.folder} --log {log}"
