# Plan: what a run would do, in images rather than jobs. Needs nothing and yields nothing but words.
# Neither environment nor container: it asks Snakemake, and must be the one that runs.


rule plan:
    log:
        "logs/plan.log",
    params:
        config=lambda wildcards: json.dumps(config, sort_keys=True),
    shell:
        'python "$SCRIPTS"/plan.py --config {params.config:q} --why --log {log}'
