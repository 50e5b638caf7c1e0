# Backgrounds: what the templates of a background depend on.


def templates_of(wildcards):
    """The rows of the templates of a set: a background's own, or one that several share."""
    return [row for row in TABLES.templates if row["background"] == wildcards.background]


HASHED_KINDS = {"archive", "folder"}
"""Kinds whose pictures are chosen by hashes; what no hash enters, another seed does not make again."""


def template_inputs(wildcards):
    """The files and folders that a background's rows name: a folder stands for all that is in it."""
    files = [row["file"] for row in templates_of(wildcards)]
    return fetched(files + [f"{file}/{split}" for file in files if Path(file).is_dir() for split in SPLITS])


def template_code(wildcards):
    """The digest of the code that prepares a background: with the kinds that its rows have, and no others."""
    kinds = sorted({row["kind"] for row in templates_of(wildcards)})
    return code("prepare_backgrounds", *[f"d3s.template_sources.{kind}" for kind in kinds])


def templates_path(wildcards):
    """Where a background's templates lie, without an ending: its own, or those that it shares."""
    return f"results/backgrounds/{background_row(wildcards)['templates']}"
