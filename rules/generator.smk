# The generator: a model of a hub, which the workflow fetches itself (generator: hub: in the config), or the demo's.


if CONFIG["generator"]["hub"]:

    localrules:
        fetch_model,

    # No digest of the code: other code fetches the same files, and they are gigabytes.
    rule fetch_model:
        output:
            str(Path(MODEL) / PINS),
        log:
            "logs/fetch_model.log",
        benchmark:
            "benchmarks/fetch_model.tsv"
        conda:
            "../envs/diffusion.yaml"
        container:
            CONTAINERS["cpu"]
        threads: 1
        resources:
            mem_mb=2000,
            runtime=240,
        params:
            hub=CONFIG["generator"]["hub"],
            revision=CONFIG["generator"]["revision"],
            variant=CONFIG["generator"]["variant"],
            folder=MODEL,
        shell:
            'python "$SCRIPTS"/fetch_model.py {params.hub} --revision {params.revision} --variant={params.variant:q}'
            " --output {params.folder:q} --log {log}"


# The demo's generator is a small latent diffusion model, trained on train-split composites. No part of the demo run: its
# weights come with the repository (models/demo-generator). `snakemake --cores 2 train_demo_generator` makes them anew.
# Needs exemplars, templates and the backbone's weights; yields results/generator/, from where they are copied by hand.


rule train_demo_generator:
    input:
        foregrounds=expand("results/foregrounds/{chunk}.digests.json", chunk=CHUNKS),
        foregrounds_tars=ancient(expand("results/foregrounds/{chunk}.tar", chunk=CHUNKS)),
        backgrounds=expand("results/backgrounds/{background}.digests.json", background=TEMPLATE_SETS),
        backgrounds_tars=ancient(expand("results/backgrounds/{background}.tar", background=TEMPLATE_SETS)),
        perceptual=ancient(f"resources/models/{BACKBONE}.safetensors"),
        classes_table=ancient(CONFIG["tables"]["classes"]),
        backgrounds_table=ancient(CONFIG["tables"]["backgrounds"]),
    output:
        "results/generator/model/digests.json",
    log:
        "logs/train_demo_generator.log",
    benchmark:
        "benchmarks/train_demo_generator.tsv"
    conda:
        "../envs/diffusion.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 2
    resources:
        mem_mb=6000,
        runtime=300,
    params:
        code=code("train_demo_generator"),
        rows=slice_digest(TABLES.classes, ("class_id", "label", "definition")),
        phrases=slice_digest(TABLES.backgrounds, ("background", "phrase")),
        work="results/generator/states",  # undeclared, so that an interrupted training goes on where it was
        folder=subpath(output[0], parent=True),
    shell:
        'python "$SCRIPTS"/train_demo_generator.py --foregrounds {input.foregrounds_tars}'
        " --backgrounds {input.backgrounds_tars} --classes-table {input.classes_table:q}"
        " --backgrounds-table {input.backgrounds_table:q} --perceptual {input.perceptual} --work {params.work}"
        " --output {params.folder} --threads 2 --log {log}"
