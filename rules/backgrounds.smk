# Backgrounds: templates from photographs, folders and archives of them, videos, and panoramas; the splits kept apart.
# Needs the files that the template table names; yields one shard per background.

# A licence that is noted later makes nothing again, so the registry is no input here: it only serves a warning.
SOURCES = f"--sources {shlex.quote(CONFIG['tables']['sources'])}" if TABLES.sources else ""


rule prepare_backgrounds:
    input:
        files=template_inputs,
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
        code=template_code,
        rows=lambda wildcards: slice_digest(
            templates_of(wildcards),
            ("template_source", "background", "kind", "split", "file", "yaw_start", "exposure", "interval"),
        ),
        train_views=CONFIG["backgrounds"]["train_views"],
        val_views=CONFIG["backgrounds"]["val_views"],
        field_of_view=CONFIG["backgrounds"]["field_of_view"],
        pitches=CONFIG["backgrounds"]["pitches"],
        size=CONFIG["backgrounds"]["size"],
        train_frames=CONFIG["backgrounds"]["train_frames"],
        val_frames=CONFIG["backgrounds"]["val_frames"],
        val_fraction=CONFIG["backgrounds"]["val_fraction"],
        most_per_source=CONFIG["backgrounds"]["most_per_source"],
        duplicate_distance=CONFIG["backgrounds"]["duplicate_distance"],
        seed=lambda wildcards: (
            CONFIG["seed"] if HASHED_KINDS & {row["kind"] for row in templates_of(wildcards)} else 0
        ),
        on_bad_input=CONFIG["on_bad_input"],
    shell:
        'python "$SCRIPTS"/prepare_backgrounds.py --templates {input.table:q} --background {wildcards.background}'
        " --rows-digest {params.rows} --train-views {params.train_views} --val-views {params.val_views}"
        " --field-of-view {params.field_of_view} --pitches {params.pitches} --size {params.size}"
        " --train-frames {params.train_frames} --val-frames {params.val_frames} --val-fraction {params.val_fraction}"
        " --most-per-source {params.most_per_source} --duplicate-distance {params.duplicate_distance}"
        " --seed {params.seed}"
        f" {SOURCES}"
        " --on-bad-input {params.on_bad_input} --output {output.tar} --log {log}"
