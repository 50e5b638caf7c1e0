# Released: the data set of D3S's authors in place of guides and images of one's own (released: folder: in the config).
# Needs its folder; yields what compose_guides and generate_images yield, so that all that follows is the same.

from d3s.released import find_metadata

try:
    METADATA = {split: str(find_metadata(RELEASED, split)) for split in SPLITS}
except D3SError as error:
    raise WorkflowError(str(error)) from None


rule import_released:
    input:
        # the pictures are no inputs, since they are too many: --forcerun import_released reads changed ones again
        metadata=lambda wildcards: METADATA[wildcards.split],
        classes=ancient(CONFIG["tables"]["classes"]),
        backgrounds=ancient(CONFIG["tables"]["backgrounds"]),
    output:
        guides="results/guides/{split}/{shift}/{background}/{chunk}.tar",
        guides_manifest="results/guides/{split}/{shift}/{background}/{chunk}.parquet",
        guides_digests="results/guides/{split}/{shift}/{background}/{chunk}.digests.json",
        images="results/images/{split}/{shift}/{background}/{chunk}.tar",
        images_manifest="results/images/{split}/{shift}/{background}/{chunk}.parquet",
        images_digests="results/images/{split}/{shift}/{background}/{chunk}.digests.json",
    log:
        "logs/import_released/{split}/{shift}/{background}/{chunk}.log",
    benchmark:
        "benchmarks/import_released/{split}/{shift}/{background}/{chunk}.tsv"
    conda:
        "../envs/data.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        code=code("import_released"),
        classes=class_ids,
        rows=lambda wildcards: slice_digest(classes_of(wildcards.chunk), ("class_id", "name", "imagenet_indices")),
        phrase=background_cell("phrase"),
        revision=background_cell("revision"),
        size=CONFIG["guides"]["size"],
        on_bad_input=CONFIG["on_bad_input"],
    shell:
        'python "$SCRIPTS"/import_released.py --metadata {input.metadata:q}'
        " --classes-table {input.classes:q} --classes {params.classes} --rows-digest {params.rows}"
        " --backgrounds-table {input.backgrounds:q} --split {wildcards.split} --shift {wildcards.shift}"
        " --background {wildcards.background} --phrase={params.phrase:q} --revision {params.revision}"
        " --size {params.size} --on-bad-input {params.on_bad_input}"
        " --guides {output.guides} --images {output.images} --log {log}"
