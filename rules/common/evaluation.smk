# Evaluation: the data sets that classifiers look at, and how jobs are told of them.

from d3s.subject_names import CROSSED, CROSSED_GUIDES, OWN_DATASETS


def own_datasets():
    """The data sets of the config's own that classifiers look at, by name."""
    left_out = {"cutouts", "templates"} if RELEASED else set()
    left_out |= set() if CROSSED_SPLITS else {CROSSED, CROSSED_GUIDES}
    return [name for name in OWN_DATASETS if name not in left_out]


def evaluation_datasets():
    """All data sets that classifiers look at, by name: what the config makes, and the benchmarks that it names."""
    return own_datasets() + list(BENCHMARKS)


def evaluation_inputs(dataset):
    """What a data set consists of: a benchmark's index, or digests of shards and the tars themselves."""
    if dataset in BENCHMARKS:
        return {"index": [f"results/benchmarks/{dataset}.parquet"]}
    if dataset == "templates":
        stems = [f"results/backgrounds/{name}" for name in TEMPLATE_SETS]
    elif dataset == "cutouts":
        stems = cutouts_shards()
    else:
        stage = "images" if dataset in ("images", CROSSED) else "guides"
        split = CROSSED if dataset in (CROSSED, CROSSED_GUIDES) else "val"
        stems = [path.removesuffix(".tar") for path in shards(stage, split, ending="tar")]
    return {
        "shards": [f"{stem}.digests.json" for stem in stems],
        "shards_tars": ancient([f"{stem}.tar" for stem in stems]),
    }


def listed_inputs(wildcards):
    """The same, of the wildcard's data set."""
    return evaluation_inputs(wildcards.dataset)


def dataset_inputs(wildcards):
    """What a job needs that looks at it: one file, since there are as many such jobs as networks for each data set."""
    if wildcards.dataset in BENCHMARKS:
        return evaluation_inputs(wildcards.dataset)
    return {"listed": f"results/subjects/{wildcards.dataset}.json"}


def evaluation_paths():
    """All that classifiers look at."""
    return [path for name in evaluation_datasets() for paths in evaluation_inputs(name).values() for path in paths]


def dataset_arguments(wildcards):
    """The arguments that name its pictures; the tars are there when their list is."""
    inputs = evaluation_inputs(wildcards.dataset)
    return f"--index {inputs['index'][0]}" if "index" in inputs else f"--shards {' '.join(inputs['shards_tars'])}"


def scored_inputs(wildcards):
    """The manifests of the data sets that are judged: of the shards that the manifest does not know, and of benchmarks."""
    found = {f"subjects_{name}": _manifests(name) for name in evaluation_datasets() if name not in KNOWN_DATASETS}
    return found | {f"labels_{name}": f"results/benchmarks/{name}.labels.csv" for name in BENCHMARKS}


def scored_arguments(wildcards, input):
    """The arguments that name them."""
    own = [name for name in evaluation_datasets() if name not in (*KNOWN_DATASETS, *BENCHMARKS)]
    shown = [f"--subjects {name} {' '.join(_manifests(name))}" for name in own]
    shown += [f"--benchmark {name} {_manifests(name)[0]} {input[f'labels_{name}']}" for name in BENCHMARKS]
    return " ".join(shown)


def _manifests(name):
    inputs = evaluation_inputs(name)
    if "index" in inputs:
        return inputs["index"]
    return [path.replace(".digests.json", ".parquet") for path in inputs["shards"]]


KNOWN_DATASETS = ("guides", "images")
"""Data sets whose pictures are in the manifest of the data set."""
