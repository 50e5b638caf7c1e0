"""Templates that are not used because an inspection found an object of a target class in them."""

import pandas as pd

TARGET_OBJECT = "target_object"
"""Their status."""


def refuse_flagged(templates: pd.DataFrame, inspection: pd.DataFrame, most: float) -> pd.DataFrame:
    """Give templates with an object of a target class a status of their own.

    Args:
        templates: manifest of a background's templates.
        inspection: of the same background.
        most: probability above which a target class counts as there.
    """
    seen = inspection[inspection["probability"] > most].set_index("template")
    found = templates["template"].isin(seen.index) & (templates["status"] == "ok")
    reasons = [
        f"it seems to show {seen.at[name, 'target_class']} ({seen.at[name, 'probability']:.2f}; {most:g} is the most)"
        for name in templates.loc[found, "template"]
    ]
    refused = templates.copy()
    refused.loc[found, "status"] = TARGET_OBJECT
    refused.loc[found, "reason"] = pd.Series(reasons, index=refused.index[found], dtype="str")
    return refused
