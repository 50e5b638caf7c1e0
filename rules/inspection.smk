# Inspection: what templates show that they should not (objects of the classes), and what nobody noted about them.
# Needs the templates and the screen's weights; yields findings per background, one table, and what the report shows.

REVIEW_SLICES = {
    "templates": ("template_source", "background", "source"),
    "exemplars": ("exemplar", "source"),
    "sources": ("source", "licence"),
}
"""What a review takes of the tables, in the order in which review_templates.py takes their digests."""
REVIEW_TABLES = [kind for kind in REVIEW_SLICES if getattr(TABLES, kind)]


rule inspect_templates:
    input:
        backgrounds="results/backgrounds/{background}.digests.json",
        backgrounds_tar=ancient("results/backgrounds/{background}.tar"),
        news=f"resources/models/{SCREEN}.json",
        weights=ancient(f"resources/models/{SCREEN}.safetensors"),
        classifiers=ancient(CONFIG["tables"]["classifiers"]),
        classes=ancient(CONFIG["tables"]["classes"]),
    output:
        "results/backgrounds/{background}.inspection.parquet",
    log:
        "logs/inspect_templates/{background}.log",
    benchmark:
        "benchmarks/inspect_templates/{background}.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        code=library_code("inspect_templates", SCREEN),
        rows=JUDGING_ROWS,
        classifier=SCREEN,
        entry=asked_slice(SCREEN),
    shell:
        'python "$SCRIPTS"/inspect_templates.py --backgrounds {input.backgrounds_tar}'
        " --classifiers {input.classifiers:q} --classifier {params.classifier} --classifier-digest {params.entry}"
        " --weights {input.weights} --classes {input.classes:q} --rows-digest {params.rows}"
        f" --batch-size {CONFIG['screens']['batch_size']} --device {CONFIG['screens']['device']}"
        f" --store {STORE}"
        " --output {output} --log {log}"


rule review_templates:
    input:
        backgrounds=expand("results/backgrounds/{background}.digests.json", background=TEMPLATE_SETS),
        backgrounds_tars=ancient(expand("results/backgrounds/{background}.tar", background=TEMPLATE_SETS)),
        inspections=expand("results/backgrounds/{background}.inspection.parquet", background=TEMPLATE_SETS),
        tables=ancient([CONFIG["tables"][kind] for kind in REVIEW_TABLES]),
    output:
        table="results/tables/templates.csv",
        data="results/report/templates.json",
    log:
        "logs/review_templates.log",
    benchmark:
        "benchmarks/review_templates.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        code=code("review_templates"),
        rows=[slice_digest(getattr(TABLES, kind), columns) for kind, columns in REVIEW_SLICES.items()],
        tables=lambda wildcards, input: [f"--{kind}={path}" for kind, path in zip(REVIEW_TABLES, input.tables)],
        max_probability=CONFIG["backgrounds"]["max_target_probability"],
        on_target_object=CONFIG["backgrounds"]["on_target_object"],
    shell:
        'python "$SCRIPTS"/review_templates.py --backgrounds {input.backgrounds_tars}'
        " --inspections {input.inspections} {params.tables:q} --rows-digests {params.rows}"
        " --max-probability {params.max_probability} --on-target-object {params.on_target_object}"
        " --output {output.table} --data {output.data} --log {log}"
