"""The report's section of classifiers: key numbers in words, the ranking, tests, variance, and what is missing."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from d3s.errors import D3SError
from d3s.figures_backgrounds import COMPONENTS, OUTCOMES, SUBJECT, variance_rows
from d3s.figures_classifiers import DATASETS, best_first
from d3s.report_pictures import check_pictures
from d3s.report_text import (
    DASH,
    count,
    interval,
    percent,
    points,
    points_interval,
    probability,
    whole,
    words,
)
from d3s.result_tables import load_table, texts
from d3s.roles import AT_WORK, JUDGE, judges_of, with_roles

TEMPLATE = Path(__file__).with_name("report_classifiers.html")
CROSSED = "crossed"
OWN_DATASETS = (*DATASETS, CROSSED, "templates")
"""Data sets of the evaluation that are not benchmarks."""
SOURCES = {
    "foreground": "the foreground",
    "set": "the matched set (foreground, placement and noise)",
    "placement": "the placement",
    "noise": "the noise",
    "background": "the background",
    "foreground_x_background": "foreground and background together (their interaction)",
    "rest": "the rest",
}
"""Components of variance as a sentence names them."""
MOST_PAIRS, MOST_DETAILED, MOST_ROWS = 60, 6, 60
"""Rows of the table of pairs, classifiers whose backgrounds are listed, rows of the ranking."""
TABLES: dict[str, tuple[str, ...]] = {
    "classifiers": ("model", "dataset", "background", "metric", "value", "ci_low", "ci_high", "n"),
    "background_effects": (
        *("model", "family", "dataset", "shift", "class_name", "background", "reference", "metric"),
        *("value", "ci_low", "ci_high", "n", "clusters", "cluster", "p_value", "detail"),
    ),
    "paired_backgrounds": (
        *("model", "dataset", "shift", "first", "second", "b", "c", "value", "ci_low", "ci_high", "n"),
        *("p_value", "p_holm", "p_clustered", "p_clustered_holm"),
    ),
    "variance_shares": (
        *("model", "dataset", "shift", "design", "outcome", "component", "share", "ci_low", "ci_high", "n"),
        *("exemplars", "reason"),
    ),
    "fragile_classes": ("rank", "dataset", "shift", "class_name", "fragility", "ci_low", "ci_high", "n"),
    "classifiers_status": (
        *("model", "family", "dataset", "status", "reason"),
        *("predicted", "judged", "unread", "unknown_class", "missing"),
    ),
}
"""The tables that the section reads, and the columns that it needs."""


class Measures:
    """Rows of the tables of classifiers, to be found by what they measure."""

    def __init__(self, accuracy: pd.DataFrame, effects: pd.DataFrame) -> None:
        accuracy = texts(accuracy, "model", "background").dropna(subset=["value"])
        effects = texts(effects, "model", "shift", "class_name", "background", "reference", "detail")
        effects = effects.dropna(subset=["value"])
        self.of_effects = effects[(effects["dataset"] == SUBJECT) & (effects["class_name"] == "all")]
        shifts = sorted(set(self.of_effects.loc[self.of_effects["metric"] == "spread", "shift"]))
        self.shift = shifts[0] if shifts else ""
        """The shift whose effects are told in words: the first by name."""
        self.more_shifts = shifts[1:]
        self._accuracy = {
            (row["model"], row["dataset"], row["background"], row["metric"]): row for row in accuracy.to_dict("records")
        }
        self._effects = {
            (row["model"], row["metric"], row["reference"]): row
            for row in self.of_effects.to_dict("records")
            if row["shift"] in ("", self.shift) and (row["background"] == "all" or row["metric"] == "worst_background")
        }

    def accuracy(
        self, model: str, dataset: str, metric: str = "top1", background: str = "all"
    ) -> dict[Any, Any] | None:
        """The row of a metric of ``classifiers.csv``; nothing if there is none."""
        return self._accuracy.get((model, dataset, background, metric))

    def effect(self, model: str, metric: str, reference: str = "") -> dict[Any, Any] | None:
        """The row of a metric of ``background_effects.csv`` over all classes; nothing if there is none."""
        return self._effects.get((model, metric, reference))


def share_cell(row: Mapping[Any, Any] | None, name: str = "value") -> dict[str, str]:
    """A share as the page shows it: value, interval and n, as text; a dash without a row."""
    if row is None or pd.isna(row[name]):
        return {"value": DASH, "interval": "", "n": ""}
    return {
        "value": percent(row[name]),
        "interval": interval(_number(row.get("ci_low")), _number(row.get("ci_high"))),
        "n": whole(row.get("n", math.nan)),
    }


def points_cell(row: Mapping[Any, Any] | None, sign: int = 1) -> dict[str, str]:
    """A difference of shares likewise, in percentage points; ``sign`` -1 turns what is lost into a change."""
    if row is None:
        return {"value": DASH, "interval": "", "n": ""}
    ends = sorted((sign * _number(row.get("ci_low")), sign * _number(row.get("ci_high"))))
    return {"value": points(sign * row["value"]), "interval": points_interval(*ends), "n": whole(row["n"])}


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan


def _plain_points(row: Mapping[Any, Any] | None) -> dict[str, str] | None:
    """A distance between shares, in points without a sign; nothing without a row."""
    if row is None:
        return None
    ends = interval(_number(row.get("ci_low")), _number(row.get("ci_high")))
    return {"value": f"{100 * row['value']:.1f}", "interval": ends, "n": whole(row["n"])}


def classifier_section(files: Iterable[Path], roles: Mapping[str, str], sets: Path | None) -> dict[str, Any] | None:
    """What the page says of classifiers; nothing if no classifier was scored.

    Args:
        files: the tables ``TABLES``, known by their names; any may be absent or empty.
        roles: of the classifiers by name, in their order; the first judge leads the section.
        sets: JSON that ``draw_fragile_sets`` wrote.

    Raises:
        D3SError: a table lacks a column, or the fragile sets are none.
    """
    named = {path.stem: path for path in files}
    tables = {name: with_roles(load_table(named.get(name), columns), roles) for name, columns in TABLES.items()}
    fragile = fragile_section(sets, tables["fragile_classes"])
    missing = missing_rows(tables["classifiers_status"])
    accuracy = tables["classifiers"].dropna(subset=["value"])
    if accuracy.empty:
        return {"models": 0, "missing": missing} if missing else None
    measures = Measures(accuracy, tables["background_effects"])
    judge = judges_of(accuracy)[0]
    present = [name for name in DATASETS if name in set(accuracy["dataset"])]
    ranked = best_first(accuracy)
    return {
        "models": len(ranked),
        "judge": judge,
        "drawn": drawn_anew(tables["background_effects"]),
        "matched": bool((measures.of_effects["metric"] == "flip_rate").any()),
        "neutral": roles.get(judge) == JUDGE,
        "roles": {name: AT_WORK[role] for name, role in roles.items() if role in AT_WORK and name in ranked},
        "shift": words(measures.shift) if measures.more_shifts else "",
        **lead(measures, judge),
        "shares": variance_lead(tables["variance_shares"], judge),
        "datasets": [DATASETS[name][0] for name in present],
        "ranking": ranking_rows(measures, ranked[:MOST_ROWS], roles, families_of(tables)),
        "more_models": len(ranked) - MOST_ROWS,
        "by_background": by_background(accuracy, measures, judge, ranked, present),
        "pairs": pair_rows(tables["paired_backgrounds"], judge),
        "variance": share_rows(tables["variance_shares"]),
        "benchmarks": benchmark_rows(accuracy, tables["background_effects"], ranked),
        "fragile": fragile,
        "missing": missing,
        "unread": unread_rows(tables["classifiers_status"]),
    }


def families_of(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Families by classifier, from whichever tables tell them."""
    found: dict[str, str] = {}
    for table in tables.values():
        if "family" in table and "model" in table:
            known = texts(table, "family")
            known = known[known["family"] != ""].drop_duplicates("model")
            found |= dict(zip(known["model"].astype(str), known["family"], strict=True))
    return found


def drawn_anew(effects: pd.DataFrame) -> str:
    """What intervals are drawn over, in the plural: exemplars where they are known."""
    kinds = set(texts(effects[effects["dataset"] == SUBJECT], "cluster")["cluster"]) - {""}
    names = {"exemplar": "exemplars", "matched_set": "matched sets", "sample": "single pictures"}
    return next((name for kind, name in names.items() if kind in kinds), "exemplars")


def lead(measures: Measures, judge: str) -> dict[str, Any]:
    """The key numbers of the report's judge."""
    accuracy = {name: measures.accuracy(judge, name) for name in DATASETS}
    drops = [
        {"reference": DATASETS[name][0], **cell, "paired": row["detail"] == "paired"}
        for name in ("cutouts", "guides")
        if (row := measures.effect(judge, "drop_top1", name)) and (cell := points_cell(row, -1))
    ]
    worst, spread = (measures.effect(judge, name) for name in ("worst_background", "spread"))
    chance, coin = (measures.effect(judge, name) for name in ("spread_by_chance", "flip_rate_coin"))
    flips = measures.effect(judge, "flip_rate")
    other, same, excess = (
        measures.effect(judge, name)
        for name in ("pair_flip_other_background", "pair_flip_same_background", "background_flip_excess")
    )
    usual = measures.effect(judge, "usual_background_gap")
    ece, calibrated, over = (
        measures.accuracy(judge, SUBJECT, name) for name in ("ece", "ece_by_chance", "overconfidence")
    )
    on_images, on_guides = accuracy["images"], accuracy["guides"]
    return {
        "accuracy": [
            {"name": DATASETS[name][0], **share_cell(row)} for name, row in accuracy.items() if row is not None
        ],
        "on_images": on_images and percent(on_images["value"]),
        "on_guides": on_guides and percent(on_guides["value"]),
        "ratio": (
            percent(on_images["value"] / on_guides["value"], 0)
            if on_images and on_guides and on_guides["value"]
            else None
        ),
        "n": on_images and whole(on_images["n"]),
        "interval": on_images and interval(on_images["ci_low"], on_images["ci_high"]),
        "drops": drops,
        "worst": worst and {"background": words(worst["background"]), "detail": worst["detail"], **share_cell(worst)},
        "spread": _plain_points(spread),
        "spread_p": probability(spread["p_value"]) if spread else "",
        "spread_clear": bool(spread and spread["p_value"] < 0.05),
        "spread_by_chance": chance and f"{100 * chance['value']:.1f}",
        "flips": flips and share_cell(flips),
        "clusters": flips and count(int(flips["clusters"]), words(flips["cluster"])),
        "flips_coin": coin and percent(coin["value"]),
        "other": other and share_cell(other),
        "same": same and share_cell(same),
        "excess": excess and points_cell(excess),
        "excess_clear": bool(excess and (excess["ci_low"] > 0 or excess["ci_high"] < 0)),
        "usual": usual and points_cell(usual),
        "ece": ece and share_cell(ece),
        "ece_by_chance": calibrated and percent(calibrated["value"]),
        "overconfidence": over and points_cell(over),
    }


def variance_lead(table: pd.DataFrame, judge: str) -> dict[str, Any] | None:
    """Shares of the variance of the judge's log odds, in the order of the figure; nothing if there are none."""
    rows = variance_rows(table)
    rows = rows[(rows["model"] == judge) & (rows["outcome"] == "margin")]
    if rows.empty:
        return None
    rows = rows[rows["shift"] == rows["shift"].iloc[0]]
    found = {row["component"]: row for row in rows.to_dict("records")}
    return {
        "crossed": bool((rows["design"] == "crossed").all()),
        "n": whole(rows["n"].max()),
        "exemplars": whole(rows["exemplars"].max()),
        "parts": [{"name": SOURCES[name], **share_cell(found[name], "share")} for name in COMPONENTS if name in found],
    }


def ranking_rows(
    measures: Measures, models: Sequence[str], roles: Mapping[str, str], families: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One row per classifier, best first."""
    rows = []
    for place, model in enumerate(models, start=1):
        worst = measures.effect(model, "worst_background")
        on_images = measures.accuracy(model, SUBJECT)
        rows.append(
            {
                "place": place,
                "model": model,
                "family": families.get(model, ""),
                "role": roles.get(model, ""),
                "at_work": roles.get(model, "") in AT_WORK,
                "top1": share_cell(on_images),
                "top5": share_cell(measures.accuracy(model, SUBJECT, "top5")),
                "accepted": share_cell(measures.accuracy(model, "images_accepted")),
                "from_cutouts": points_cell(measures.effect(model, "drop_top1", "cutouts"), -1),
                "from_guides": points_cell(measures.effect(model, "drop_top1", "guides"), -1),
                "worst": share_cell(worst),
                "worst_background": words(worst["background"]) if worst else "",
                "flips": share_cell(measures.effect(model, "flip_rate")),
                "ece": share_cell(measures.accuracy(model, SUBJECT, "ece")),
                "n": whole(on_images["n"]) if on_images else DASH,
            }
        )
    return rows


def by_background(
    accuracy: pd.DataFrame, measures: Measures, judge: str, ranked: Sequence[str], present: Sequence[str]
) -> list[dict[str, Any]]:
    """Top-1 accuracy by background of the judge, and of the best others."""
    backgrounds = sorted(set(accuracy.loc[accuracy["dataset"].isin(present), "background"].astype(str)) - {"all"})
    models = [judge, *(name for name in ranked if name != judge)][:MOST_DETAILED]
    return [
        {
            "model": model,
            "rows": [
                {
                    "background": background,
                    "cells": [share_cell(measures.accuracy(model, name, "top1", background)) for name in present],
                }
                for background in ("all", *backgrounds)
            ],
        }
        for model in models
    ]


def pair_rows(table: pd.DataFrame, judge: str) -> dict[str, Any]:
    """The judge's tests of every two backgrounds, least likely by chance first."""
    table = texts(table, "model", "shift", "first", "second")
    rows = table[(table["model"] == judge) & (table["dataset"] == SUBJECT)].dropna(subset=["value"])
    rows = rows.sort_values(["p_clustered", "p_value", "shift", "first", "second"], kind="stable")
    shown = [
        {
            "first": words(row["first"]),
            "second": words(row["second"]),
            "shift": words(row["shift"]),
            "b": whole(row["b"]),
            "c": whole(row["c"]),
            "n": whole(row["n"]),
            "difference": points_cell(row),
            "p": [
                probability(row[name]).removeprefix("= ")
                for name in ("p_value", "p_holm", "p_clustered", "p_clustered_holm")
            ],
            "differs": bool(row["p_clustered_holm"] < 0.05),
        }
        for row in rows.head(MOST_PAIRS).to_dict("records")
    ]
    return {
        "rows": shown,
        "more": len(rows) - len(shown),
        "differing": int((rows["p_clustered_holm"] < 0.05).sum()),
        "by_mcnemar": int((rows["p_holm"] < 0.05).sum()),
        "in_all": len(rows),
        "shifts": rows["shift"].nunique() > 1,
    }


def share_rows(table: pd.DataFrame) -> dict[str, Any]:
    """Shares of variance of every classifier as rows of the page."""
    rows = variance_rows(table)
    present = [name for name in COMPONENTS if name in set(rows["component"])]
    lines = []
    keys = ["outcome", "shift", "model"]
    for (outcome, shift, model), own in rows.groupby(keys, sort=True):
        found = {row["component"]: row for row in own.to_dict("records")}
        about = {"model": model, "outcome": OUTCOMES.get(str(outcome), words(outcome)), "shift": words(shift)}
        lines.append(about | {"cells": [share_cell(found.get(name), "share") for name in present]})
    lines.sort(key=lambda line: str(line["outcome"]))
    return {
        "names": [COMPONENTS[name][0].replace(" x ", " \u00d7 ") for name in present],
        "rows": lines,
        "shifts": rows["shift"].nunique() > 1,
        "crossed": bool(len(rows) and (rows["design"] == "crossed").all()),
    }


def benchmark_rows(accuracy: pd.DataFrame, effects: pd.DataFrame, ranked: Sequence[str]) -> dict[str, Any]:
    """Accuracy of every classifier on the benchmarks, and the background gap of those that have its variants."""
    overall = texts(accuracy, "model", "background")
    overall = overall[(overall["metric"] == "top1") & (overall["background"] == "all")]
    names = sorted(set(overall["dataset"].astype(str)) - set(OWN_DATASETS))
    values = {(row["model"], row["dataset"]): row for row in overall.to_dict("records")}
    gaps = texts(effects, "model").dropna(subset=["value"])
    gaps = gaps[gaps["metric"] == "variant_background_gap"]
    gap = {(row["model"], row["dataset"]): row for row in gaps.to_dict("records")}
    columns = [(name, any(key[1] == name for key in gap)) for name in names]
    rows = []
    for model in ranked[:MOST_ROWS] if names else ():
        cells = []
        for name, has_gap in columns:
            cells.append(share_cell(values.get((model, name))))
            if has_gap:
                cells.append(points_cell(gap.get((model, name))))
        rows.append({"model": model, "cells": cells})
    header = [text for name, has_gap in columns for text in ((name, f"{name}: background gap") if has_gap else (name,))]
    return {"header": header, "rows": rows, "gaps": bool(gap)}


def missing_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Classifiers, or single data sets of them, that were not scored, each with its reason."""
    table = texts(table, "model", "family", "dataset", "status", "reason")
    rows = table[~table["status"].isin(("ok", ""))]
    found = []
    for (model, status, reason), own in rows.groupby(["model", "status", "reason"], sort=True):
        names = sorted(set(own["dataset"]) - {""})
        everywhere = set(table.loc[table["model"] == model, "status"]).isdisjoint({"ok"})
        found.append(
            {
                "model": str(model),
                "family": own["family"].iloc[0],
                "status": words(status),
                "reason": str(reason),
                "datasets": "all" if everywhere else ", ".join(names),
            }
        )
    return found


def unread_rows(table: pd.DataFrame) -> list[dict[str, str]]:
    """Data sets with pictures that were not judged, and how many at most for one classifier."""
    table = texts(table, "dataset", "status")
    own = table[table["status"] == "ok"]
    found = []
    for dataset, part in own.groupby("dataset", sort=True):
        most = {name: pd.to_numeric(part[name]).fillna(0).max() for name in ("unread", "unknown_class", "missing")}
        if any(most.values()):
            found.append({"dataset": str(dataset)} | {name: whole(value) for name, value in most.items()})
    return found


def fragile_section(path: Path | None, classes: pd.DataFrame) -> list[dict[str, Any]]:
    """The fragile sets as grids, one per shift, with the intervals of their classes; empty without a file or sets.

    Raises:
        D3SError: the file holds no fragile sets, or a picture in it is not one of ours.
    """
    if path is None or not path.is_file():
        return []
    known = texts(classes[classes["dataset"] == SUBJECT], "shift", "class_name")
    rates = {(row["shift"], words(row["class_name"])): row for row in known.to_dict("records")}
    try:
        parts = json.loads(path.read_text(encoding="utf-8"))["parts"]
        pictures = [cell["image"] for part in parts for row in part["rows"] for cell in row["cells"]]
        found = []
        for part in parts:
            rows = []
            for row in part["rows"]:
                cells = {cell["background"]: cell for cell in row["cells"]}
                rate = share_cell(rates.get((part["shift"], row["class_name"])), "fragility")
                if not rate["n"]:
                    rate |= {"value": percent(row["fragility"])}
                rows.append(
                    {"name": row["class_name"], "exemplar": row["exemplar"], "rate": rate}
                    | {"cells": [cells.get(name) for name in part["backgrounds"]]}
                )
            if rows:
                about = {name: part[name] for name in ("shift", "backgrounds", "judges")}
                found.append(about | {"rows": rows})
    except (ValueError, KeyError, TypeError) as error:
        raise D3SError(f"{path} holds no fragile sets ({error!r})", "delete it and run the workflow again") from None
    check_pictures(pictures, path)
    return found
