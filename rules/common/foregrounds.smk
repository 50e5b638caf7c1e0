# Foregrounds: what the exemplars of a chunk depend on.

from d3s.picture_digests import PictureDigests

PICTURES = PictureDigests()


def watched(wildcards):
    """Inputs that tell that a chunk's candidates changed: folders and lists, and pictures that the workflow fetches."""
    classes = classes_of(wildcards.chunk)
    return fetched(SOURCE.watched(classes)) + [path for path in SOURCE.pictures(classes) if path in ASSETS]


def pictures(wildcards):
    """What else tells it: the digest of the other pictures that the source names one by one, missing ones left out."""
    if workflow.is_main_process:
        look_at_pictures()
    return PICTURES.digest(unfetched_pictures(classes_of(wildcards.chunk)))


@cache
def look_at_pictures():
    """Look at those of all chunks at once, with one report of progress; a job's own process needs its chunk's alone."""
    PICTURES.look(unfetched_pictures(TABLES.classes))


def unfetched_pictures(classes):
    return [path for path in SOURCE.pictures(classes) if path not in ASSETS]


def source_slice(wildcards):
    return SOURCE.slice(classes_of(wildcards.chunk))
