# Report: figures from tables alone, the contact sheet, and one self-contained page.
# Needs tables, val images and guides; yields results/figures/ and results/report/.

FIGURES = ("classifiers", "probes", "leakage", "spurious", "counts", *(("calibration",) if ANNOTATIONS else ()))
PEOPLE = [*CALIBRATION, "results/tables/annotators.csv", "results/tables/agreement.csv"] if ANNOTATIONS else []
JUDGE = next(row["name"] for row in TABLES.classifiers if row["role"] == "judge")


rule draw_figures:
    input:
        classifiers="results/tables/classifiers.csv",
        probes="results/tables/probes.csv",
        paired="results/tables/probes_paired.csv",
        spurious="results/tables/spurious.csv",
        counts="results/tables/counts.csv",
        calibration=CALIBRATION,
    output:
        classifiers=report(
            "results/figures/classifiers.svg", caption="../report/classifiers.rst", category="Classifiers"
        ),
        probes=report("results/figures/probes.svg", caption="../report/probes.rst", category="Encoders"),
        leakage=report("results/figures/leakage.svg", caption="../report/leakage.rst", category="Encoders"),
        spurious=report("results/figures/spurious.svg", caption="../report/spurious.rst", category="Encoders"),
        counts=report("results/figures/counts.svg", caption="../report/counts.rst", category="Data set"),
        calibration=(
            report("results/figures/calibration.svg", caption="../report/calibration.rst", category="Data set")
            if ANNOTATIONS
            else []
        ),
    log:
        "logs/draw_figures.log",
    benchmark:
        "benchmarks/draw_figures.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        code=code("draw_figures"),
        calibration=f"--calibration {CALIBRATION[0]}" if CALIBRATION else "",
    shell:
        'python "$SCRIPTS"/draw_figures.py --classifiers {input.classifiers} --probes {input.probes}'
        " --probes-paired {input.paired} --spurious {input.spurious} --counts {input.counts} {params.calibration}"
        " --figures {output} --log {log}"


rule draw_contact_sheet:
    input:
        manifest="results/validation/manifest.parquet",
        images=shards("images", "val"),
        images_tars=ancient(shards("images", "val", ending="tar")),
        guides_tars=ancient(shards("guides", "val", ending="tar")),
    output:
        sheet=report("results/report/contact_sheet.png", caption="../report/contact_sheet.rst", category="Data set"),
        data="results/report/contact_sheet.json",
    log:
        "logs/draw_contact_sheet.log",
    benchmark:
        "benchmarks/draw_contact_sheet.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        code=code("draw_contact_sheet"),
    shell:
        'python "$SCRIPTS"/draw_contact_sheet.py --manifest {input.manifest} --images {input.images_tars}'
        " --guides {input.guides_tars} --output {output.sheet} --data {output.data} --log {log}"


rule build_report:
    input:
        manifest="results/validation/manifest.parquet",
        counts="results/tables/counts.csv",
        classifiers="results/tables/classifiers.csv",
        probes="results/tables/probes.csv",
        paired="results/tables/probes_paired.csv",
        spurious="results/tables/spurious.csv",
        nearest="results/tables/nearest.csv",
        figures=expand("results/figures/{figure}.svg", figure=FIGURES),
        sheet="results/report/contact_sheet.json",
        templates=[] if RELEASED else "results/report/templates.json",
        people=PEOPLE,
        settings="results/config.json",
    output:
        report("results/report/index.html", caption="../report/index.rst", category="Report"),
    log:
        "logs/build_report.log",
    benchmark:
        "benchmarks/build_report.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        code=code("build_report"),
        judge=JUDGE,
        templates=lambda wildcards, input: f"--templates {input.templates}" if input.templates else "",
        people=(
            f"--calibration {CALIBRATION[0]} --annotators results/tables/annotators.csv"
            " --agreement results/tables/agreement.csv"
            if ANNOTATIONS
            else ""
        ),
        sources=f"--sources {shlex.quote(CONFIG['tables']['sources'])}" if TABLES.sources else "",
        rows=slice_digest(TABLES.sources, ("source", "package", "version", "licence", "attribution")),
    shell:
        'python "$SCRIPTS"/build_report.py --manifest {input.manifest} --counts {input.counts}'
        " --classifiers {input.classifiers} --probes {input.probes} --probes-paired {input.paired}"
        " --spurious {input.spurious} --nearest {input.nearest} --figures {input.figures}"
        " --contact-sheet-data {input.sheet} {params.templates} --settings {input.settings} {params.sources} {params.people}"
        " --benchmarks benchmarks --judge {params.judge} --output {output} --log {log}"


rule write_config:
    output:
        "results/config.json",
    log:
        "logs/write_config.log",
    benchmark:
        "benchmarks/write_config.tsv"
    conda:
        "../envs/data.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        code=code("write_config"),
        config=lambda wildcards: json.dumps(CONFIG, sort_keys=True),
    shell:
        'python "$SCRIPTS"/write_config.py --config {params.config:q} --output {output} --log {log}'
