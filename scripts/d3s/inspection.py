"""What templates show that they should not: objects of the classes that foregrounds are pasted for."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from d3s.flagging import refuse_flagged
from d3s.licences import licences_of
from d3s.superclasses import SuperClasses
from d3s.tables import Row

DTYPES = {"template": "str", "digest": "str", "target_class": "str", "probability": "float64", "classifier": "str"}
"""The columns of an inspection; stated, so that one without a single row has the same ones."""
COLUMNS = (
    *("template", "background", "kind", "split", "status", "reason", "target_class", "probability", "flagged"),
    *("source", "licence"),
)
"""The columns of the table of all templates."""


def best_targets(
    templates: pd.DataFrame, probabilities: Sequence[np.ndarray | None], classes: SuperClasses, classifier: str
) -> pd.DataFrame:
    """For each template the target class that it shows most likely.

    Args:
        templates: ``template`` and ``digest``.
        probabilities: for each, a classifier's probabilities of ImageNet's classes; nothing where it saw no picture.
        classes: the target classes.
        classifier: its name.

    Returns:
        The columns of ``DTYPES``, a row for each template that was seen.
    """
    records = []
    for row, answer in zip(templates.to_dict("records"), probabilities, strict=True):
        if answer is None:
            continue
        sums = classes.sums(answer)
        best = int(sums.argmax())
        seen = {"target_class": classes.names[best], "probability": float(sums[best]), "classifier": classifier}
        records.append({"template": row["template"], "digest": row["digest"]} | seen)
    return pd.DataFrame(records, columns=list(DTYPES)).astype(DTYPES)


def list_templates(
    manifests: Iterable[pd.DataFrame],
    inspections: Iterable[pd.DataFrame],
    rows: Iterable[Row],
    sources: Iterable[Row],
    most: float,
    refuse: bool,
) -> pd.DataFrame:
    """All templates with all that is known of them.

    Args:
        manifests: of the templates of each background.
        inspections: of each background, in the same order.
        rows: of the template table, for their sources.
        sources: the registry, for licences.
        most: probability above which a template is flagged.
        refuse: whether flagged templates are left out of the data set.

    Returns:
        One row per template, with the columns of ``COLUMNS``; a licence that nobody wrote down is empty.
    """
    source_of, licences = {row["template_source"]: row["source"] for row in rows}, licences_of(sources)
    tables = []
    for manifest, inspection in zip(manifests, inspections, strict=True):
        shown = refuse_flagged(manifest, inspection, most) if refuse else manifest
        table = shown.merge(inspection[["template", "target_class", "probability"]], on="template", how="left")
        table["flagged"] = (table["probability"] > most).fillna(False)
        table["source"] = table["template_source"].map(source_of).fillna("")
        table["licence"] = table["source"].map(licences).fillna("")
        tables.append(table[list(COLUMNS)])
    return pd.concat(tables, ignore_index=True).sort_values(["background", "template"], ignore_index=True)
