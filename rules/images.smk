# Images: what the diffusion model dreams from the guides.
# Needs the guides and a pinned diffusers model; yields one shard for each shard of guides. Finished images are also kept
# in the store (an undeclared folder), so that a job that runs again makes only what its recipes did not make before.


SCHEDULER_OPTIONS = json.dumps(CONFIG["generator"]["scheduler_options"], sort_keys=True)


rule generate_images:
    input:
        guides="results/guides/{split}/{shift}/{background}/{chunk}.digests.json",
        guides_tar=ancient("results/guides/{split}/{shift}/{background}/{chunk}.tar"),
        model=MODEL_PINS,
    output:
        tar="results/images/{split}/{shift}/{background}/{chunk}.tar",
        manifest="results/images/{split}/{shift}/{background}/{chunk}.parquet",
        digests="results/images/{split}/{shift}/{background}/{chunk}.digests.json",
    log:
        "logs/generate_images/{split}/{shift}/{background}/{chunk}.log",
    benchmark:
        "benchmarks/generate_images/{split}/{shift}/{background}/{chunk}.tsv"
    conda:
        "../envs/diffusion.yaml"
    container:
        CONTAINERS["cuda" if CONFIG["generator"]["gpus"] else "cpu"]
    threads: CONFIG["generator"]["threads"]
    resources:
        mem_mb=6000,
        runtime=120,
        gpu=CONFIG["generator"]["gpus"],
    params:
        code=code("generate_images"),
        model=MODEL,
        model_digest=MODEL_DIGEST,
        mode=CONFIG["generator"]["mode"],
        scheduler=CONFIG["generator"]["scheduler"],
        options=lambda wildcards: SCHEDULER_OPTIONS,  # a function, since its braces are no wildcards
        steps=CONFIG["generator"]["steps"],
        strength=CONFIG["generator"]["strength"],
        guidance=CONFIG["generator"]["guidance"],
        size=CONFIG["guides"]["size"],
        dtype=CONFIG["generator"]["dtype"],
        safety="record" if CONFIG["generator"]["safety"] == "record" else "off",  # which YAML takes for false
    shell:
        'python "$SCRIPTS"/generate_images.py --guides {input.guides_tar} --model {params.model:q}'
        " --model-digest {params.model_digest:q} --mode {params.mode} --scheduler {params.scheduler}"
        " --scheduler-options {params.options:q} --steps {params.steps}"
        " --strength {params.strength} --guidance {params.guidance} --size {params.size} --dtype {params.dtype}"
        " --safety {params.safety}"
        f" --batch-size {CONFIG['generator']['batch_size']} --device {CONFIG['generator']['device']}"
        f" --compile {CONFIG['generator']['compile']} --offload {CONFIG['generator']['offload']}"
        f" --threads {CONFIG['generator']['threads']} --store {STORE}"
        " --output {output.tar} --log {log}"
