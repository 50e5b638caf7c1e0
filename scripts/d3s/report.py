"""The report: one HTML page that needs nothing else, every number of it read from the tables of results."""

import importlib.metadata
import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined

from d3s import figures
from d3s.benchmarks import busy_seconds, read_benchmarks, stages
from d3s.drawing import in_order, svg_of
from d3s.errors import D3SError
from d3s.figures import BASELINE, FEATURES, TARGETS, linear_probes, objectives_of, over_seeds
from d3s.report_classifiers import TEMPLATE as CLASSIFIERS_TEMPLATE
from d3s.report_classifiers import classifier_section
from d3s.report_pictures import check_pictures, embed_figures, inline_svg
from d3s.report_text import (
    DASH,
    count,
    duration,
    hundredths,
    interval,
    percent,
    points,
    points_interval,
    span,
    whole,
    words,
)
from d3s.result_tables import load_table

TEMPLATE = Path(__file__).with_name("report_template.html")
PACKAGES = (
    "snakemake",
    "torch",
    "diffusers",
    "transformers",
    "timm",
    "accelerate",
    "safetensors",
    "pandas",
    "pyarrow",
    "numpy",
    "pillow",
    "scikit-learn",
    "scipy",
    "concept-erasure",
    "matplotlib",
    "jinja2",
)
"""Software whose versions the page states, as far as it is installed."""
MANIFEST_COLUMNS = (
    "sample",
    "split",
    "class_id",
    "class_name",
    "background",
    "matched_set",
    "exemplar",
    "member",
    "status",
    "reason",
    "votes",
    "verified_by",
    "accepted",
)
NEAREST = {
    "nearer_to_a_train_image": "nearer to a train image, which shares its generator and its style, than to its guide",
    "nearer_to_a_train_exemplar": "nearer to the mean of the train images of some exemplar than to its guide",
    "nearer_to_another_guide": "for comparison: nearer to another val exemplar's guide than to its own",
}
"""What a measure of the table of nearest neighbours counts; those it does not know are shown by their name."""
CALIBRATION_COLUMNS = (
    *("scope", "name", "kind", "threshold", "n", "undecided", "kept", "precision", "precision_low", "precision_high"),
    *("recall", "recall_low", "recall_high", "held_out_precision"),
)
ANNOTATOR_COLUMNS = ("worker", "votes", "gold", "gold_right", "repeats_same", "seconds", "excluded", "reason")
AGREEMENT_COLUMNS = ("question", "alpha", "ci_low", "ci_high", "images", "votes")
MOST_REFUSED = 60
"""Templates that can't be used and are named on the page."""


@dataclass(frozen=True)
class Sources:
    """The files that the page is made from; any may be absent, and its section then says so."""

    manifest: Path | None = None
    counts: Path | None = None
    evaluation: Sequence[Path] = ()
    """Tables of classifiers, known by their names (``report_classifiers.TABLES``)."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Of classifiers by name; the first judge leads the page."""
    fragile: Path | None = None
    probes: Path | None = None
    probes_paired: Path | None = None
    spurious: Path | None = None
    nearest: Path | None = None
    figures: Sequence[Path] = ()
    contact_sheet: Path | None = None
    templates: Path | None = None
    calibration: Path | None = None
    annotators: Path | None = None
    agreement: Path | None = None
    settings: Path | None = None
    sources: Path | None = None
    benchmarks: Sequence[Path] = ()


# ---------------------------------------------------------------- time


def time_section(jobs: pd.DataFrame) -> dict[str, Any]:
    """What the page says about time."""
    table = stages(jobs)
    return {
        "rows": [
            {
                "rule": row.rule,
                "jobs": whole(row.jobs),
                "work": duration(row.seconds),
                "busy": duration(row.busy),
                "memory": DASH if pd.isna(row.memory) else f"{row.memory:,.0f} MB",
            }
            for row in table.itertuples()
        ],
        "work": duration(jobs["seconds"].sum()),
        "busy": duration(busy_seconds(jobs)),
        "jobs": len(jobs),
        "figure": inline_svg(svg_of("minutes", figures.draw_minutes, table), "minutes") if len(jobs) else "",
    }


# ---------------------------------------------------------------- sections


def read_manifest(path: Path | None) -> pd.DataFrame:
    """The manifest (Parquet); without a file, an empty table.

    Raises:
        D3SError: it can't be read, or lacks a column.
    """
    if path is None or not path.is_file():
        return pd.DataFrame(columns=list(MANIFEST_COLUMNS))
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise D3SError(f"{path} can't be read as Parquet ({error})", "delete it and run the workflow again") from None
    lacking = [name for name in MANIFEST_COLUMNS if name not in table]
    if lacking:
        raise D3SError(f"{path} lacks the column {lacking[0]!r}", "delete it and run the workflow again")
    return table


def data_section(manifest: pd.DataFrame, counts: pd.DataFrame) -> dict[str, Any] | None:
    """Counts of the data set; nothing without a manifest."""
    if manifest.empty:
        return None
    made = manifest["member"].notna() & (manifest["member"].astype(str) != "")
    accepted = manifest["accepted"].fillna(False).astype(bool)
    splits = in_order(manifest["split"], first=("train", "val"))
    by_split = []
    for split in splits:
        own = manifest["split"] == split
        sets = manifest[own].groupby("matched_set")
        complete = sets["set_complete"].all().sum() if "set_complete" in manifest else math.nan
        by_split.append(
            {
                "split": split,
                "planned": whole(own.sum()),
                "made": whole((own & made).sum()),
                "accepted": whole((own & accepted).sum()),
                "share": percent(float((own & accepted).sum() / max(1, (own & made).sum()))),
                "sets": whole(sets.ngroups),
                "complete": whole(complete),
            }
        )
    rejected = manifest[~accepted]
    reasons: list[dict[str, Any]] = []
    for status, part in rejected.groupby("status"):
        said = sorted(set(part["reason"].dropna().astype(str)) - {""})
        reasons.append(
            {
                "status": words(status),
                "splits": [whole((part["split"] == split).sum()) for split in splits],
                "n": len(part),
                "example": said[0] if said else "",
            }
        )
    reasons.sort(key=lambda row: (-row["n"], row["status"]))
    classes = sorted(set(zip(manifest["class_id"], manifest["class_name"].astype(str), strict=True)))
    backgrounds = in_order(manifest["background"])
    cells = manifest.assign(ok=accepted).groupby(["class_id", "background"])["ok"].agg(["sum", "count"])
    grid = [
        {
            "name": words(name),
            "cells": [
                f"{cells.loc[(number, background), 'sum']} / {cells.loc[(number, background), 'count']}"
                if (number, background) in cells.index
                else DASH
                for background in backgrounds
            ],
        }
        for number, name in classes[:60]
    ]
    verified = manifest["verified_by"].fillna("none").astype(str).value_counts()
    return {
        "made": int(made.sum()),
        "accepted": int(accepted.sum()),
        "planned": len(manifest),
        "classes": len(classes),
        "backgrounds": backgrounds,
        "splits": splits,
        "by_split": by_split,
        "reasons": reasons,
        "grid": grid,
        "grid_left_out": len(classes) - len(grid),
        "voted": int((manifest["votes"].fillna(0) > 0).sum()),
        "human": int(verified.get("human", 0)),
        "model": int(verified.get("model", 0)),
        "unverified": int(verified.get("none", 0)),
        "disagree": not counts.empty and int(pd.to_numeric(counts["n"]).sum()) != len(manifest),
    }


def probe_section(table: pd.DataFrame, paired: pd.DataFrame) -> dict[str, Any] | None:
    """The probe matrix by objective, and how it differs from the baseline's; nothing if the table has no rows."""
    keys = ["objective", "fitted_on", "evaluated_on", "target", "features"]
    rows = pd.concat([over_seeds(linear_probes(table, fitted_on), keys) for fitted_on in ("val_crossfit", "train")])
    rows = rows[rows["target"].isin(TARGETS) & rows["features"].isin(FEATURES)]
    if rows.empty:
        return None
    found: dict[tuple[Any, ...], dict[Any, Any]] = {
        tuple(row[name] for name in keys): row for row in rows.to_dict("records")
    }
    names = objectives_of(rows)
    shown = "wasserstein" if "wasserstein" in names else next((name for name in names if name != BASELINE), None)

    def value(objective: str | None, target: str, features: str) -> float:
        row = found.get((objective, "val_crossfit", "images", target, features))
        return row["value"] if row else math.nan

    def kept(objective: str, target: str) -> float:
        whole_of = value(BASELINE, target, "all")
        return value(objective, target, target) / whole_of if whole_of else math.nan

    lines = []
    for fitted_on in ("val_crossfit", "train"):
        for evaluated_on in ("images", "guides"):
            for objective in names:
                for target in TARGETS:
                    own = [found.get((objective, fitted_on, evaluated_on, target, features)) for features in FEATURES]
                    there = [row for row in own if row]
                    if there:
                        lines.append(
                            {
                                "objective": objective,
                                "target": TARGETS[target],
                                "fitted_on": {"val_crossfit": "val, cross-fitted"}.get(fitted_on, fitted_on),
                                "evaluated_on": evaluated_on,
                                "cells": [
                                    {
                                        "value": percent(row["value"]),
                                        "interval": interval(row["ci_low"], row["ci_high"]),
                                    }
                                    if row
                                    else {"value": DASH, "interval": ""}
                                    for row in own
                                ],
                                "chance": percent(there[0]["chance"]),
                                "seeds": there[0]["seeds"],
                                "n": whole(there[0]["n"]),
                            }
                        )
    differences = paired_rows(paired)
    return {
        "objectives": names,
        "seeds": int(rows["seeds"].max()),
        "n": whole(rows["n"].max()),
        "lines": lines,
        "shown": shown,
        "class_kept": percent(value(shown, "foreground", "foreground")),
        "background_kept": percent(value(shown, "background", "background")),
        "class_leak": percent(value(shown, "foreground", "background")),
        "background_leak": percent(value(shown, "background", "foreground")),
        "class_leak_baseline": percent(value(BASELINE, "foreground", "background")),
        "background_leak_baseline": percent(value(BASELINE, "background", "foreground")),
        "class_baseline": percent(value(BASELINE, "foreground", "all")),
        "background_baseline": percent(value(BASELINE, "background", "all")),
        "kept": [
            {
                "objective": name,
                "class_share": percent(kept(name, "foreground"), 0),
                "background_share": percent(kept(name, "background"), 0),
            }
            for name in names
        ],
        "differences": differences,
        "paired_seeds": span(row["seeds"] for row in differences),
        "paired_n": span(row["n"] for row in differences),
    }


def paired_rows(paired: pd.DataFrame) -> list[dict[str, Any]]:
    """The paired differences as rows of the page, leakage first."""
    rows = over_seeds(linear_probes(paired), ["objective", "evaluated_on", "target", "features"])
    rows = rows[rows["target"].isin(TARGETS) & rows["features"].isin(FEATURES) & (rows["objective"] != BASELINE)]
    made = []
    for row in rows.to_dict("records"):
        low, high = row["ci_low"], row["ci_high"]
        known = math.isfinite(low) and math.isfinite(high)
        verdict = "" if not known else "lower" if high < 0 else "higher" if low > 0 else "unclear"
        made.append(
            {
                "objective": row["objective"],
                "evaluated_on": row["evaluated_on"],
                "target": TARGETS[row["target"]],
                "features": row["features"],
                "leak": row["features"] not in (row["target"], "all"),
                "value": points(row["value"]),
                "interval": points_interval(low, high),
                "verdict": verdict,
                "seeds": row["seeds"],
                "n": whole(row["n"]),
            }
        )
    order = list(TARGETS.values())
    made.sort(
        key=lambda row: (
            row["objective"],
            row["evaluated_on"] != "images",
            not row["leak"],
            row["features"] == "all",
            order.index(row["target"]),
        )
    )
    return made


def spurious_section(table: pd.DataFrame) -> dict[str, Any] | None:
    """Accuracy on D3S-cor and D3S-anticorr; nothing if the table has no rows."""
    rows = figures.most_correlated(table)
    if rows.empty:
        return None
    found = {(r["objective"], r["target"], r["features"], r["tested_on"]): r for r in rows.to_dict("records")}
    lines = []
    for objective in objectives_of(rows):
        for target in TARGETS:
            for features in FEATURES:
                cor, anti = (found.get((objective, target, features, name)) for name in ("cor", "anticorr"))
                if cor is None and anti is None:
                    continue
                line = {"objective": objective, "target": TARGETS[target], "features": features, "drop": DASH}
                line |= {"cor": percent(cor and cor["value"]), "anticorr": percent(anti and anti["value"])}
                if cor and anti:
                    line["drop"] = points(anti["value"] - cor["value"])
                line["n"] = " / ".join(dict.fromkeys(whole(row["n"]) for row in (cor, anti) if row))
                lines.append(line)
    return {"lines": lines, "seeds": int(rows["seeds"].max()), "gaps": gap_rows(table)}


def gap_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Of the strongest correlation, how much of the baseline's loss each way of training avoids where it is broken."""
    rho = pd.to_numeric(table["rho"], errors="coerce")
    mean = (table["seed"].astype(str) == "mean") & (table["pairing"].astype(str) == "mean") & (rho == rho.max())
    own = table[mean & (table["metric"] == "gap_closed") & (table["target"] == "foreground")]
    own = own[own["features"].isin(["foreground", "all"])]
    made = []
    for row in own.sort_values(["objective", "features", "method", "tested_on"]).to_dict("records"):
        made.append(
            {"objective": row["objective"], "features": row["features"], "method": words(row["method"])}
            | {"tested_on": str(row["tested_on"]).partition("_")[0], "n": whole(row["n"])}
            | {"value": percent(row["value"], 0), "interval": interval(row["ci_low"], row["ci_high"])}
        )
    return made


def people_section(calibration: pd.DataFrame, annotators: pd.DataFrame, agreement: pd.DataFrame) -> dict[str, Any]:
    """What people's votes say of the people, and of the screen."""
    for name in ("gold_accuracy", "repeats_same", "seconds", "n", "kept", "precision_high", "recall_high"):
        for table in (calibration, annotators):
            if name in table:
                table[name] = pd.to_numeric(table[name], errors="coerce")
    screens = [
        {
            "scope": row["scope"] if row["kind"] == "in_force" else "wanted precision",
            "name": words(row["name"]),
            "threshold": DASH if pd.isna(row["threshold"]) else f"{row['threshold']:.3g}",
            "n": whole(row["n"]),
            "undecided": whole(row["undecided"]),
            "kept": whole(row["kept"]),
            "precision": {
                "value": percent(row["precision"]),
                "interval": interval(row["precision_low"], row["precision_high"]),
            },
            "recall": {"value": percent(row["recall"]), "interval": interval(row["recall_low"], row["recall_high"])},
            "held_out": percent(row["held_out_precision"]) if row["kind"] == "for_precision" else "",
        }
        for row in calibration.to_dict("records")
        if row["kind"] != "curve"
    ]
    people = [
        {
            "worker": row["worker"],
            "votes": whole(row["votes"]),
            "gold": f"{whole(row['gold_right'])} of {whole(row['gold'])}",
            "same": percent(row["repeats_same"], 0),
            "seconds": DASH if pd.isna(row["seconds"]) else f"{row['seconds']:.1f} s",
            "excluded": "" if str(row["excluded"]) != "True" else str(row["reason"]),
        }
        for row in annotators.sort_values(["excluded", "worker"], ascending=[False, True]).to_dict("records")
    ]
    alphas = [
        {
            "question": row["question"],
            "alpha": hundredths(row["alpha"]),
            "interval": ""
            if pd.isna(row["ci_low"])
            else f"{hundredths(row['ci_low'])} to {hundredths(row['ci_high'])}",
            "images": whole(row["images"]),
            "votes": whole(row["votes"]),
        }
        for row in agreement.to_dict("records")
    ]
    return {"screens": screens, "people": people[:60], "more_people": len(people) - 60, "alphas": alphas}


def nearest_rows(path: Path | None) -> list[dict[str, str]]:
    """The check of nearest neighbours as rows of the page."""
    rows = []
    for row in load_table(path, ("measure", "value", "n")).itertuples():
        share = re.search(r"share|fraction|rate|nearer|closer", str(row.measure)) and 0 <= row.value <= 1
        value = percent(row.value) if share else DASH if pd.isna(row.value) else f"{row.value:.4g}"
        rows.append({"measure": NEAREST.get(str(row.measure), words(row.measure)), "value": value, "n": whole(row.n)})
    return rows


def contact_sheet_section(path: Path | None) -> dict[str, Any] | None:
    """The contact sheet as a grid: rows of cells in the order of the backgrounds; nothing without a file or cells.

    Raises:
        D3SError: the file is no contact sheet, or a picture in it is not one of ours.
    """
    if path is None or not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        where = {(cell["class_id"], cell["background"]): cell for cell in data["cells"]}
        pictures = [cell[kind] for cell in data["cells"] for kind in ("image", "guide")]
        grid = [
            {
                "name": words(one["name"]),
                "cells": [where.get((one["id"], background)) for background in data["backgrounds"]],
            }
            for one in data["classes"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise D3SError(f"{path} is no contact sheet ({error!r})", "delete it and run the workflow again") from None
    check_pictures(pictures, path)
    if not grid:
        return None
    return {
        "backgrounds": data["backgrounds"],
        "grid": grid,
        "classes_in_all": data["classes_in_all"],
        "rejected": any(cell["image"] and not cell["accepted"] for cell in data["cells"]),
        "stand_ins": any(not cell["in_set"] for cell in data["cells"]),
    }


def templates_section(path: Path | None) -> dict[str, Any] | None:
    """Templates that somebody should look at; nothing without a file, or if there are none.

    Raises:
        D3SError: the file is no review of templates, or a picture in it is not one of ours.
    """
    if path is None or not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        flagged = [row | {"probability": percent(row["probability"], 0)} for row in data["flagged"]]
        refused = [{name: str(row[name]) for name in ("template", "background", "reason")} for row in data["refused"]]
        found = {
            "flagged": flagged,
            "more_flagged": data["flagged_in_all"] - len(flagged),
            "left_out": data["left_out"],
            "most": percent(data["max_probability"], 0),
            "refused": refused[:MOST_REFUSED],
            "more_refused": len(refused) - MOST_REFUSED,
            "unlicensed": [row | {"rows": whole(row["rows"])} for row in data["unlicensed"]],
        }
        check_pictures([row["picture"] for row in flagged], path)
    except (ValueError, KeyError, TypeError) as error:
        raise D3SError(
            f"{path} is no review of templates ({error!r})", "delete it and run the workflow again"
        ) from None
    return found if found["flagged"] or found["refused"] or found["unlicensed"] else None


def read_settings(path: Path | None) -> str | None:
    """The merged config as readable JSON text; nothing without a file."""
    if path is None or not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def read_sources(path: Path | None) -> tuple[list[str], list[list[str]]]:
    """The registry of sources: its header and its rows."""
    if path is None or not path.is_file() or path.stat().st_size == 0:
        return [], []
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return [words(name) for name in table.columns], table.to_numpy().tolist()


def versions() -> list[tuple[str, str]]:
    """Names and versions of the software that made the results, as far as it is installed here."""
    found = [("Python", platform.python_version())]
    for name in PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> list[tuple[str, str]]:
    """What this machine computes with: processor, cores, memory, accelerators."""
    facts = [("system", f"{platform.system()} on {platform.machine()}")]
    cpu = platform.processor()
    try:
        names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        cpu = names[0] if names else cpu
    except OSError:
        pass
    if cpu:
        facts.append(("processor", cpu))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    facts.append(("cores that may be used", str(cores)))
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        facts.append(("memory", f"{memory / 2**30:.0f} GiB"))
    except (OSError, ValueError):
        pass
    cards = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    models = [re.findall(r"^Model:\s*(.+)$", card.read_text(encoding="utf-8"), re.MULTILINE) for card in cards]
    facts.append(("graphics processors", ", ".join(name for found in models for name in found) or "none"))
    return facts


def render(given: Sources, template: str | Path = TEMPLATE) -> str:
    """The page as HTML text.

    Raises:
        D3SError: a file that is there can't be used.
    """
    counts = load_table(given.counts, figures.COUNT_COLUMNS)
    probes = load_table(given.probes, figures.PROBE_COLUMNS)
    paired = load_table(given.probes_paired, figures.PAIRED_COLUMNS)
    jobs = read_benchmarks(given.benchmarks)
    header, rows = read_sources(given.sources)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(Path(template).read_text(encoding="utf-8"))
    manifest = read_manifest(given.manifest)
    text = page.render(
        data=data_section(manifest, counts),
        matched=manifest.empty or (manifest["exemplar"].fillna("") != "").any(),
        sheet=contact_sheet_section(given.contact_sheet),
        classifiers=classifier_section(given.evaluation, given.roles, given.fragile),
        classifiers_template=environment.from_string(CLASSIFIERS_TEMPLATE.read_text(encoding="utf-8")),
        probes=probe_section(probes, paired),
        spurious=spurious_section(load_table(given.spurious, figures.SPURIOUS_COLUMNS)),
        nearest=nearest_rows(given.nearest),
        templates=templates_section(given.templates),
        people=people_section(
            load_table(given.calibration, CALIBRATION_COLUMNS),
            load_table(given.annotators, ANNOTATOR_COLUMNS),
            load_table(given.agreement, AGREEMENT_COLUMNS),
        ),
        figures=embed_figures(given.figures),
        time=time_section(jobs) if len(jobs) else None,
        settings=read_settings(given.settings),
        source_header=header,
        source_rows=rows,
        versions=versions(),
        machine=machine(),
        baseline=BASELINE,
        feature_names=FEATURES,
        count=count,
        words=words,
        whole=whole,
        percent=percent,
    )
    return text.strip() + "\n"
