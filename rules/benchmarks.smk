# Benchmarks: data sets of others that classifiers look at beside the own one (benchmarks: in the config).
# Needs their folders and label maps; yields an index of each: what its pictures show, and the digests of their bytes.


rule index_benchmark:
    input:
        # the pictures are no inputs, since they are too many: --forcerun index_benchmark looks at changed ones again
        benchmark_inputs,
    output:
        index="results/benchmarks/{benchmark}.parquet",
        labels="results/benchmarks/{benchmark}.labels.csv",
    log:
        "logs/index_benchmark/{benchmark}.log",
    benchmark:
        "benchmarks/index_benchmark/{benchmark}.tsv"
    conda:
        "../envs/torch.yaml"
    container:
        CONTAINERS["cpu"]
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        code=benchmark_code,
        entry=benchmark_entry,
        seed=lambda wildcards: CONFIG["seed"] if BENCHMARKS[wildcards.benchmark].given["limit_per_class"] else 0,
        on_bad_input=CONFIG["on_bad_input"],
    shell:
        'python "$SCRIPTS"/index_benchmark.py --benchmark {params.entry:q} --seed {params.seed}'
        f" --store {STORE}"
        " --on-bad-input {params.on_bad_input} --output {output.index} --labels {output.labels} --log {log}"
