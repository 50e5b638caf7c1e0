# Encoders for use elsewhere: as timm models, as ONNX files that are checked against them, with a card each.
# Needs encoders and what probes read from them; not part of the demo: snakemake encoder_exports.


rule export_encoder:
    input:
        weights="results/encoders/{encoder}/{seed}/encoder.safetensors",
        settings="results/encoders/{encoder}/{seed}/encoder.json",
        probes="results/tables/probes.csv",
        classes=ancient(CONFIG["tables"]["classes"]),
    output:
        onnx="results/encoders/{encoder}/{seed}/export/encoder.onnx",
        timm="results/encoders/{encoder}/{seed}/export/model.safetensors",
        settings="results/encoders/{encoder}/{seed}/export/config.json",
        card="results/encoders/{encoder}/{seed}/export/README.md",
    log:
        "logs/export_encoder/{encoder}/{seed}.log",
    benchmark:
        "benchmarks/export_encoder/{encoder}/{seed}.tsv"
    conda:
        "../envs/onnx.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        code=code("export_encoder"),
        rows=slice_digest(TABLES.classes, ("class_id", "name")),
        licence=pick(TABLES.classifiers, BACKBONE).get("licence", ""),
        encoder=subpath(input.weights, parent=True),
        folder=subpath(output.onnx, parent=True),
    shell:
        'python "$SCRIPTS"/export_encoder.py --encoder {params.encoder} --classes {input.classes:q}'
        " --probes {input.probes} --licence {params.licence:q} --output {params.folder} --log {log}"
