# Guides: an exemplar pasted on a template, with its prompt and noise seed.
# Needs a chunk's exemplars and a background's templates; yields one shard per (split, shift, background, chunk).

REFUSE = CONFIG["backgrounds"]["on_target_object"] == "refuse"
"""Whether templates with an object of a target class are left out, so that guides wait for the inspection."""


rule compose_guides:
    input:
        foregrounds="results/foregrounds/{chunk}.digests.json",
        foregrounds_tar=ancient("results/foregrounds/{chunk}.tar"),
        backgrounds=lambda wildcards: f"{templates_path(wildcards)}.digests.json",
        backgrounds_tar=ancient(lambda wildcards: f"{templates_path(wildcards)}.tar"),
        inspection=lambda wildcards: f"{templates_path(wildcards)}.inspection.parquet" if REFUSE else [],
        classes=ancient(CONFIG["tables"]["classes"]),
        model=MODEL_PINS,
    output:
        tar="results/guides/{split}/{shift}/{background}/{chunk}.tar",
        manifest="results/guides/{split}/{shift}/{background}/{chunk}.parquet",
        digests="results/guides/{split}/{shift}/{background}/{chunk}.digests.json",
    log:
        "logs/compose_guides/{split}/{shift}/{background}/{chunk}.log",
    benchmark:
        "benchmarks/compose_guides/{split}/{shift}/{background}/{chunk}.tsv"
    conda:
        "../envs/data.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("compose_guides"),
        classes=class_ids,
        rows=class_rows,
        phrase=background_cell("phrase"),
        revision=background_cell("revision"),
        templates=background_cell("templates"),
        per_class=images_per_class,
        seed=CONFIG["seed"],
        size=CONFIG["guides"]["size"],
        scale=CONFIG["guides"]["scale"],
        flip="yes" if CONFIG["guides"]["flip"] else "no",
        x=CONFIG["guides"]["x"],
        y=CONFIG["guides"]["y"],
        # functions, since their braces are not wildcards
        prompts=lambda wildcards: CONFIG["prompts"][wildcards.shift]["templates"],
        negative=lambda wildcards: CONFIG["prompts"][wildcards.shift]["negative"],
        masks="yes" if CONFIG["generator"]["mode"] == "inpainting" else "no",
        model=MODEL,
        tokenizer=TOKENIZER_DIGEST,
        inspection=lambda wildcards, input: (
            f"--inspection {input.inspection} --max-target-probability {CONFIG['backgrounds']['max_target_probability']}"
            if REFUSE
            else ""
        ),
        on_bad_input=CONFIG["on_bad_input"],
    shell:
        'python "$SCRIPTS"/compose_guides.py --foregrounds {input.foregrounds_tar} --backgrounds {input.backgrounds_tar}'
        " --classes-table {input.classes:q} --classes {params.classes} --rows-digest {params.rows}"
        " --split {wildcards.split} --shift {wildcards.shift} --background {wildcards.background}"
        " --phrase={params.phrase:q} --templates {params.templates} --revision {params.revision}"
        " --count {params.per_class} --seed {params.seed}"
        " --size {params.size} --scale {params.scale} --flip {params.flip} --x {params.x} --y {params.y}"
        " --prompts {params.prompts:q} --negative-prompt={params.negative:q} --model {params.model:q}"
        " {params.inspection} --masks {params.masks} --on-bad-input {params.on_bad_input} --output {output.tar} --log {log}"


# Cut-outs: what the guides of the matched sets show, placed as there, on plain grey: a reference for classifiers.
rule compose_cutouts:
    input:
        foregrounds="results/foregrounds/{chunk}.digests.json",
        foregrounds_tar=ancient("results/foregrounds/{chunk}.tar"),
        classes=ancient(CONFIG["tables"]["classes"]),
    output:
        tar="results/cutouts/{split}/{shift}/{chunk}.tar",
        manifest="results/cutouts/{split}/{shift}/{chunk}.parquet",
        digests="results/cutouts/{split}/{shift}/{chunk}.digests.json",
    log:
        "logs/compose_cutouts/{split}/{shift}/{chunk}.log",
    benchmark:
        "benchmarks/compose_cutouts/{split}/{shift}/{chunk}.tsv"
    conda:
        "../envs/data.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("compose_cutouts"),
        classes=class_ids,
        rows=lambda wildcards: slice_digest(classes_of(wildcards.chunk), ("class_id", "name")),
        revisions=revisions_of,
        per_class=images_per_class,
        seed=CONFIG["seed"],
        size=CONFIG["guides"]["size"],
        scale=CONFIG["guides"]["scale"],
        flip="yes" if CONFIG["guides"]["flip"] else "no",
        x=CONFIG["guides"]["x"],
        y=CONFIG["guides"]["y"],
        on_bad_input=CONFIG["on_bad_input"],
    shell:
        'python "$SCRIPTS"/compose_cutouts.py --foregrounds {input.foregrounds_tar}'
        " --classes-table {input.classes:q} --classes {params.classes} --rows-digest {params.rows}"
        " --split {wildcards.split} --shift {wildcards.shift} --revisions {params.revisions}"
        " --count {params.per_class} --seed {params.seed}"
        " --size {params.size} --scale {params.scale} --flip {params.flip} --x {params.x} --y {params.y}"
        " --on-bad-input {params.on_bad_input} --output {output.tar} --log {log}"
