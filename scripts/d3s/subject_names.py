"""What the data sets are called that classifiers look at.

Nothing here imports anything, so that the Snakefile may use it while it is parsed.
"""

CROSSED = "crossed"
"""The crossed design: a data set, and the split that its shards lie under; its exemplars and templates are val's."""
CROSSED_GUIDES = "crossed_guides"
"""Its guides, each once: guides of different noise are the same."""
OWN_DATASETS = ("images", "guides", "cutouts", "templates", CROSSED, CROSSED_GUIDES)
"""The data sets that the workflow makes itself."""
TAKEN = (*OWN_DATASETS, "images_accepted")
"""Names that no benchmark may have; the last is the screened part of the first."""
