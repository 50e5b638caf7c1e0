# What the rules of spurious correlations share: names of splits, of answers and of networks.

CORRELATION = CONFIG["correlation"]


def pairings_of(what):
    """How many pairings: from as many as there are backgrounds on, they are the same again."""
    wanted = CORRELATION["pairings"] if what == "splits" else CORRELATION["networks"]["pairings"]
    return min(wanted, CORRELATION["pairings"], max(len(BACKGROUNDS), 1))


def locked_splits(what="splits"):
    """Names of the splits that classifiers on features are fitted on, or networks trained on; as build_splits has them."""
    given = CORRELATION if what == "splits" else CORRELATION["networks"]
    return [
        f"k{each}-p{number}-rho{rho:g}"
        for each in CORRELATION["backgrounds_per_class"]
        for number in range(pairings_of(what))
        for rho in given["rhos"]
        if rho in CORRELATION["rhos"]
    ]


def answer_names(wildcards, input):
    """Whose answers each table has: objective and seed; networks trained end to end stand under a name of their own."""
    places = [Path(path).parts for path in input.answers]
    return [
        f"end_to_end:{parts[-2]}" if "networks" in parts else f"{parts[-2]}:{Path(parts[-1]).stem}" for parts in places
    ]


def benchmark_splits(benchmark, ending):
    """The splits of a benchmark: the one that it came with, and those over rho of its own pairing."""
    names = [benchmark, *[f"{benchmark}-rho{rho:g}" for rho in CORRELATION["rhos"]]]
    return [f"results/correlation/benchmarks/{benchmark}/splits/{name}.{ending}" for name in names]


def answers_of(features, folder="answers"):
    """Where the answers of classifiers on an encoder's features lie."""
    return f"results/correlation/{folder}/{Path(features).parent.relative_to('results/encoders')}.parquet"
