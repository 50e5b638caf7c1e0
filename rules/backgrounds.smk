# Backgrounds: templates from panoramas (train and val sectors with a guard between) and from photographs.
# Needs the files that the template table names; yields one shard per background.


rule prepare_backgrounds:
    input:
        files=lambda wildcards: fetched([row["file"] for row in templates_of(wildcards)]),
        table=ancient(CONFIG["tables"]["templates"]),
    output:
        tar="results/backgrounds/{background}.tar",
        manifest="results/backgrounds/{background}.parquet",
        digests="results/backgrounds/{background}.digests.json",
    log:
        "logs/prepare_backgrounds/{background}.log",
    benchmark:
        "benchmarks/prepare_backgrounds/{background}.tsv"
    conda:
        "../envs/data.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("prepare_backgrounds"),
        rows=lambda wildcards: slice_digest(
            templates_of(wildcards),
            ("template_source", "background", "kind", "split", "file", "yaw_start", "exposure"),
        ),
        train_views=CONFIG["backgrounds"]["train_views"],
        val_views=CONFIG["backgrounds"]["val_views"],
        field_of_view=CONFIG["backgrounds"]["field_of_view"],
        pitches=CONFIG["backgrounds"]["pitches"],
        size=CONFIG["backgrounds"]["size"],
        on_bad_input=CONFIG["on_bad_input"],
    shell:
        'python "$SCRIPTS"/prepare_backgrounds.py --templates {input.table:q} --background {wildcards.background}'
        " --rows-digest {params.rows} --train-views {params.train_views} --val-views {params.val_views}"
        " --field-of-view {params.field_of_view} --pitches {params.pitches} --size {params.size}"
        " --on-bad-input {params.on_bad_input} --output {output.tar} --log {log}"
