"""Inspection: objects of the target classes that templates show already."""

import numpy as np
import pandas as pd

from d3s.flagging import refuse_flagged
from d3s.inspection import COLUMNS, best_targets, list_templates
from d3s.superclasses import SuperClasses

CLASSES = SuperClasses((0, 3), ("duck", "car"), ((1, 2), (5,)))
MANIFEST = pd.DataFrame(
    [
        {"template": name, "digest": f"{number:032x}", "template_source": source, "background": "lake", "kind": "photo"}
        | {"split": "val", "status": status, "reason": "" if status == "ok" else "it is cut short"}
        for number, (name, source, status) in enumerate(
            [("calm", "haven", "ok"), ("ducks", "web", "ok"), ("torn", "web", "truncated")]
        )
    ]
)
ROWS = [{"template_source": "haven", "source": "haven"}, {"template_source": "web", "source": "web"}]
SOURCES = [{"source": "haven", "licence": "CC0-1.0"}]


def answer(**shares: float) -> np.ndarray:
    """Probabilities of eight classes in half precision, as the store gives them."""
    probabilities = np.full(8, 0.01, dtype=np.float16)
    for name, share in shares.items():
        probabilities[int(name[1:])] = share
    return probabilities


def inspected() -> pd.DataFrame:
    seen = MANIFEST[MANIFEST["status"] == "ok"]
    return best_targets(seen, [answer(_5=0.2), answer(_1=0.4, _2=0.3)], CLASSES, "lite1")


def test_the_best_target_class_is_told_with_the_sum_of_its_probabilities() -> None:
    table = inspected()
    assert table["target_class"].tolist() == ["car", "duck"]
    assert np.allclose(table["probability"], [0.2, 0.7], atol=1e-3)


def test_nothing_to_see_gives_the_same_columns() -> None:
    none = best_targets(MANIFEST.head(0), [], CLASSES, "lite1")
    assert none.dtypes.equals(inspected().dtypes)
    assert len(best_targets(MANIFEST.head(1), [None], CLASSES, "lite1")) == 0


def test_flagged_templates_are_refused_with_what_was_seen() -> None:
    refused = refuse_flagged(MANIFEST, inspected(), 0.5)
    assert refused["status"].tolist() == ["ok", "target_object", "truncated"]
    assert refused["reason"].tolist() == ["", "it seems to show duck (0.70; 0.5 is the most)", "it is cut short"]
    assert MANIFEST["status"].tolist() == ["ok", "ok", "truncated"], "the manifest itself stays"
    pd.testing.assert_frame_equal(refuse_flagged(MANIFEST, inspected(), 0.9), MANIFEST)


def test_every_template_is_listed_with_what_is_known_of_it() -> None:
    for refuse, status in ((False, "ok"), (True, "target_object")):
        table = list_templates([MANIFEST], [inspected()], ROWS, SOURCES, 0.5, refuse).set_index("template")
        assert [*table.reset_index().columns] == list(COLUMNS)
        assert table["flagged"].tolist() == [False, True, False]
        assert table.at["ducks", "status"] == status
        assert table["licence"].tolist() == ["CC0-1.0", "", ""]
        assert np.isnan(table.at["torn", "probability"])
