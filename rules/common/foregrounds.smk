# Foregrounds: what the exemplars of a chunk depend on.


def watched(wildcards):
    """What tells that a chunk's candidates changed: a table's pictures, else folders and lists, never all files."""
    return fetched(SOURCE.watched(classes_of(wildcards.chunk)))


def source_slice(wildcards):
    return SOURCE.slice(classes_of(wildcards.chunk))
