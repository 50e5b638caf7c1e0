"""Small tables of the evaluation suite, of any number of classifiers, classes and backgrounds; texts of drawings."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

INTERVAL = ("value", "ci_low", "ci_high")
BACKGROUNDS = ("forest", "grass", "water")
CLASSES = ("bird", "drum")
MANY = ("lite0", "lite1", "lite2", *(f"vit_large_patch16_224_augreg_{number}" for number in range(42)))
"""More classifiers than a figure shows."""
ROLES = {"lite0": "backbone", "lite1": "screen", "lite2": "judge"}


def letters(svg: str) -> list[str]:
    """All texts of a drawing, in its order."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def around(value: float, width: float = 0.05) -> dict[str, Any]:
    """A value with its interval."""
    return dict(zip(INTERVAL, (value, value - width, value + width), strict=True))


def evaluation_tables(
    models: Sequence[str] = tuple(ROLES),
    backgrounds: Sequence[str] = BACKGROUNDS,
    classes: Sequence[str] = CLASSES,
    shift: str = "background",
) -> dict[str, pd.DataFrame]:
    """The tables that the report and its figures read, by name; every model is a little worse than the one before."""
    rows: dict[str, list[dict[str, Any]]] = {
        name: []
        for name in (
            *("classifiers", "class_by_background", "background_effects", "paired_backgrounds", "variance_shares"),
            *("reliability", "classifier_agreement", "fragile_classes", "classifiers_status", "diversity"),
        )
    }
    for place, model in enumerate(models):
        worse = 0.4 * place / len(models)
        about: dict[str, Any] = {"model": model, "family": f"family{place % 7}"}
        for dataset, value in (("cutouts", 0.95), ("guides", 0.9), ("images", 0.7), ("images_accepted", 0.8)):
            places = ("all",) if dataset == "cutouts" else ("all", *backgrounds)
            own: dict[str, Any] = about | {"dataset": dataset, "n": 40}
            rows["classifiers"] += [
                own | {"background": background, "metric": metric} | around(value - worse)
                for background in places
                for metric in ("top1", "top5")
            ]
        own = about | {"dataset": "images", "background": "all", "n": 40}
        rows["classifiers"] += [
            own | {"metric": metric} | around(value)
            for metric, value in (("ece", 0.123), ("ece_by_chance", 0.045), ("overconfidence", -0.067))
        ]
        rows["classifiers"].append(about | {"dataset": "imagenet9", "background": "all", "metric": "top1", "n": 90})
        rows["classifiers"][-1] |= around(0.5)
        rows["background_effects"] += [about | row for row in effect_rows(backgrounds, shift, worse)]
        rows["class_by_background"] += [
            about
            | {"dataset": "images", "class_id": number, "class_name": name, "background": background}
            | {"metric": "top1", "value": (number * 7 % 10) / 10 if background == backgrounds[0] else 0.8, "n": 8}
            for number, name in enumerate(classes)
            for background in ("all", *backgrounds)
        ]
        rows["paired_backgrounds"] += [
            about
            | {"dataset": "images", "shift": shift, "first": first, "second": second, "b": 9, "c": 2, "n": 40}
            | around(0.175)
            | {"p_value": 0.065, "p_holm": 0.2, "p_clustered": 0.0004, "p_clustered_holm": 0.031}
            for number, first in enumerate(backgrounds)
            for second in backgrounds[number + 1 :]
        ]
        shares = {"foreground": 0.312, "placement": 0.05, "noise": 0.05, "background": 0.288}
        shares |= {"foreground_x_background": 0.2, "rest": 0.1}
        rows["variance_shares"] += [
            about
            | {"dataset": "crossed", "shift": shift, "design": "crossed", "outcome": outcome, "component": name}
            | {"share": share, "ci_low": share - 0.01, "ci_high": share + 0.01, "n": 96, "exemplars": 8, "reason": ""}
            for outcome in ("margin", "correct")
            for name, share in shares.items()
        ]
        rows["reliability"] += [
            about
            | {"dataset": dataset, "binning": "equal_width", "confidence": 0.2 * bin_, "accuracy": 0.18 * bin_, "n": 9}
            | {"ci_low": 0.1 * bin_, "ci_high": 0.2 * bin_}
            for dataset in ("images", "guides")
            for bin_ in range(1, 5)
        ]
        rows["classifiers_status"] += [
            about
            | {"dataset": dataset, "status": "ok", "reason": "", "predicted": 40, "judged": 40, "unread": 0}
            | {"unknown_class": 0, "missing": 0}
            for dataset in ("images", "guides")
        ]
        rows["classifier_agreement"] += [
            {"dataset": "images", "first": min(model, other), "second": max(model, other), "metric": metric, "n": 40}
            | around(0.61)
            for other in models[:place]
            for metric in ("same_prediction", "error_consistency", "kappa")
        ]
    rows["fragile_classes"] = [
        {"rank": 1, "dataset": "images", "shift": shift, "class_name": name, "fragility": 0.625, "n": 8}
        | {"ci_low": 0.3, "ci_high": 0.9}
        for name in classes[:10]
    ]
    rows["diversity"] = [
        {"dataset": dataset, "shift": shift, "class_id": number, "class_name": name, "background": background}
        | {"value": 0.4 + 0.01 * (number % 9), "pairs": 20, "pictures": 8, "reason": ""}
        for dataset in ("images", "guides")
        for number, name in enumerate(classes)
        for background in backgrounds
    ]
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def effect_rows(backgrounds: Sequence[str], shift: str, worse: float) -> list[dict[str, Any]]:
    """The rows of ``background_effects.csv`` of one classifier."""
    same: dict[str, Any] = {"dataset": "images", "shift": "", "class_name": "all", "background": "all", "reference": ""}
    same |= {"n": 40, "clusters": 12, "cluster": "exemplar", "p_value": float("nan"), "detail": ""}
    within = same | {"shift": shift}
    values = {"spread": 0.234, "spread_by_chance": 0.111, "flip_rate": 0.375, "flip_rate_coin": 0.5}
    values |= {"pair_flip_other_background": 0.31, "pair_flip_same_background": 0.2, "background_flip_excess": 0.11}
    rows = [within | {"metric": metric} | around(value) for metric, value in values.items()]
    rows[0]["p_value"] = 0.012
    rows.append(within | {"metric": "worst_background", "background": backgrounds[0], "detail": "the worst in 80 %"})
    rows[-1] |= around(0.6 - worse)
    for number, background in enumerate(backgrounds):
        rows.append(within | {"metric": "effect", "background": background} | around(0.1 * (number - 1), 0.02))
    for reference, value, detail in (
        ("guides", 0.2, "paired"),
        ("cutouts", 0.25, "paired"),
        ("imagenet9", -0.1, "unpaired, other classes"),
    ):
        rows.append(same | {"metric": "drop_top1", "reference": reference, "detail": detail} | around(value + worse))
    rows.append(same | {"dataset": "imagenet9", "metric": "variant_background_gap"} | around(0.15))
    rows.append(within | {"metric": "usual_background_gap"} | around(0.077))
    return rows
