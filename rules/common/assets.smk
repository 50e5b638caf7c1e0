# Assets: what the workflow fetches, and which files are there or will be.

from d3s.tables import FETCHED_KINDS


def assets_of(source):
    return [row for row in TABLES.assets if row["source"] == source]


ASSETS = {row["file"] for row in TABLES.assets}
"""The files that the workflow fetches."""


def fetched(paths):
    """Inputs that exist or that the workflow fetches; a missing file is left to the script, which makes it a row."""
    return [path for path in paths if path and (path in ASSETS or Path(path).exists())]
