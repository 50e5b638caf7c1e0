# Benchmarks: what the index of a data set of others depends on.


def benchmark_inputs(wildcards):
    """What tells that a benchmark changed: its folder and the tables that list it, never all of its files."""
    labels = BENCHMARKS[wildcards.benchmark].given["labels"]
    return BENCHMARKS[wildcards.benchmark].watched() + ([labels] if labels else [])


def benchmark_entry(wildcards):
    """The benchmark's entry in the config, as JSON."""
    return json.dumps(BENCHMARKS[wildcards.benchmark].own, sort_keys=True)


def benchmark_code(wildcards):
    """The digest of the code that indexes a benchmark: with its kind, and no other."""
    return code("index_benchmark", f"d3s.benchmark_kinds.{BENCHMARKS[wildcards.benchmark].given['kind']}")
