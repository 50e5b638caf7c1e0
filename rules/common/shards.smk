# Shards: where they lie, and the rows of the tables of classes and backgrounds that each of them has.


def shards(stage, *splits, ending="digests.json"):
    """The paths of all shards of a stage; rules depend on the small digest files and take the tars as ancient."""
    return [
        f"results/{stage}/{split}/{row['shift']}/{row['background']}/{chunk}.{ending}"
        for split in splits
        for row in TABLES.backgrounds
        for chunk in CHUNKS
    ]


def cutouts_shards():
    """The shards of cut-outs on grey, without an ending: of each shift, since they have no background."""
    return [f"results/cutouts/val/{shift}/{chunk}" for shift in SHIFTS for chunk in CHUNKS]


@cache
def classes_of(chunk):
    """The rows of a chunk's classes."""
    return [row for row in TABLES.classes if int(row["class_id"]) // CONFIG["classes_per_chunk"] == int(chunk)]


def class_ids(wildcards):
    return [int(row["class_id"]) for row in classes_of(wildcards.chunk)]


def class_rows(wildcards):
    return slice_digest(classes_of(wildcards.chunk), ("class_id", "name", "label", "definition"))


def background_row(wildcards):
    """A background's row."""
    return next(row for row in TABLES.backgrounds if row["background"] == wildcards.background)


def background_cell(column):
    """A function that gives a cell of it."""
    return lambda wildcards: background_row(wildcards)[column]


def revisions_of(wildcards):
    """The revisions of a shift's backgrounds, each of which has matched sets of its own."""
    return sorted({int(row["revision"]) for row in TABLES.backgrounds if row["shift"] == wildcards.shift})


def images_per_class(wildcards):
    """How many images of each class a shard has; of the crossed design, what it multiplies."""
    if wildcards.split == CROSSED:
        return [CONFIG["crossed"][name] for name in ("exemplars", "placements", "noises")]
    return CONFIG["images_per_cell"][wildcards.split]
