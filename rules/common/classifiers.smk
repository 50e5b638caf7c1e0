# Classifiers: what a job depends on of a classifier's entry.

from d3s.classifier_table import PREDICTIONS, WEIGHTS, entry_digest, pick


def classifier_slice(*keys, name=None):
    """A function that gives the digest of what a job depends on of a classifier's entry."""
    return lambda wildcards: entry_digest(pick(TABLES.classifiers, name or wildcards.classifier), keys)


def asked_slice(name=None, *more):
    """As ``classifier_slice``, for jobs that ask it."""
    return classifier_slice(*PREDICTIONS, *more, name=name)


def library_code(script, name=None):
    """A function that gives the digest of the code of a job that asks a classifier: with its library, and no other."""

    def digest(wildcards):
        library = pick(TABLES.classifiers, name or wildcards.classifier)["library"]
        return code(script, f"d3s.classifier_libraries.{library}")

    return digest


def classifier_outputs(wildcards):
    """How many classes a classifier tells apart: ImageNet's, or those of the table of classes."""
    own = pick(TABLES.classifiers, wildcards.classifier)["label_space"] == "classes"
    return len(TABLES.classes) if own else 1000


def local_weights(wildcards):
    """A classifier's file of weights, if it has one that is there or fetched; a missing one is left to the script."""
    weights = pick(TABLES.classifiers, wildcards.classifier)["weights"]
    return fetched([weights["file"]]) if set(weights) <= {"file", "sha256"} else []
