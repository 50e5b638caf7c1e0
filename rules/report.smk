# Report: figures from tables alone, the contact sheet, and one self-contained page.
# Needs tables, val images and guides; yields results/figures/ and results/report/.

CLASSIFIER_FIGURES = (
    *("ranking", "drops", "effects", "flips", "classifiers", "paired_backgrounds", "class_by_background"),
    *("variance_shares", "reliability", "agreement", "diversity"),
)
FIGURES = (
    *CLASSIFIER_FIGURES,
    *(
        "probes",
        "tradeoff",
        "leakage",
        "feature_map",
        "training",
        "spurious",
        "rho",
        "counts",
        *(("calibration",) if ANNOTATIONS else ()),
    ),
)
EVALUATION = expand(
    "results/tables/{table}.csv",
    table=[
        *("classifiers", "class_by_background", "background_effects", "paired_backgrounds", "variance_shares"),
        *("reliability", "classifier_agreement", "fragile_classes", "classifiers_status", "diversity"),
    ],
)
PEOPLE = [*CALIBRATION, "results/tables/annotators.csv", "results/tables/agreement.csv"] if ANNOTATIONS else []
ROLES = [f"{row['name']}={row['role']}" for row in TABLES.classifiers]


rule draw_figures:
    input:
        evaluation=EVALUATION,
        probes="results/tables/probes.csv",
        paired="results/tables/probes_paired.csv",
        spurious="results/tables/spurious.csv",
        training="results/tables/training.csv",
        feature_map="results/tables/feature_map.csv",
        counts="results/tables/counts.csv",
        calibration=CALIBRATION,
    output:
        classifiers=[
            report(f"results/figures/{name}.svg", caption=f"../report/{name}.rst", category="Classifiers")
            for name in CLASSIFIER_FIGURES
        ],
        probes=report("results/figures/probes.svg", caption="../report/probes.rst", category="Encoders"),
        tradeoff=report("results/figures/tradeoff.svg", caption="../report/tradeoff.rst", category="Encoders"),
        feature_map=report("results/figures/feature_map.svg", caption="../report/feature_map.rst", category="Encoders"),
        rho=report("results/figures/rho.svg", caption="../report/rho.rst", category="Encoders"),
        training=report("results/figures/training.svg", caption="../report/training.rst", category="Encoders"),
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
        roles=ROLES,
    shell:
        'python "$SCRIPTS"/draw_figures.py --tables {input} --roles {params.roles:q} --figures {output} --log {log}'


rule draw_fragile_sets:
    input:
        sets="results/tables/fragile_sets.csv",
        manifest="results/validation/manifest.parquet",
        images=shards("images", "val"),
        images_tars=ancient(shards("images", "val", ending="tar")),
    output:
        sheet=report("results/figures/fragile_sets.png", caption="../report/fragile_sets.rst", category="Classifiers"),
        data="results/figures/fragile_sets.json",
    log:
        "logs/draw_fragile_sets.log",
    benchmark:
        "benchmarks/draw_fragile_sets.tsv"
    conda:
        "../envs/analysis.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        code=code("draw_fragile_sets"),
    shell:
        'python "$SCRIPTS"/draw_fragile_sets.py --sets {input.sets} --manifest {input.manifest}'
        " --images {input.images_tars} --output {output.sheet} --data {output.data} --log {log}"


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
        evaluation=EVALUATION,
        fragile="results/figures/fragile_sets.json",
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
        roles=ROLES,
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
        " --evaluation {input.evaluation} --roles {params.roles:q} --fragile-sets-data {input.fragile}"
        " --probes {input.probes} --probes-paired {input.paired} --spurious {input.spurious} --nearest {input.nearest} --figures {input.figures}"
        " --contact-sheet-data {input.sheet} {params.templates} --settings {input.settings} {params.sources} {params.people}"
        " --benchmarks benchmarks --output {output} --log {log}"


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
