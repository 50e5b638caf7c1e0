"""Screening: which generated images are whole, hold something, and look like their class to a classifier."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from PIL import Image

from d3s.errors import BadInput
from d3s.fingerprint import dhash
from d3s.imageio import decode_png, image_digest

SUFFICIENT = "ok"
"""The status of an image that nothing speaks against."""

DTYPES = {
    "sample": "str",
    "image_digest": "str",
    "status": "str",
    "reason": "str",
    "brightness": "float64",
    "contrast": "float64",
    "dhash": "str",
    "guide_distance": "float64",
    "classifier": "str",
    "super_top1": "Int64",
    "super_probability": "float64",
}
"""The columns of a table of screens; stated, so that a shard without a single value has the same ones."""


@dataclass(frozen=True)
class ScreenSettings:
    """When an image is rejected.

    Attributes:
        min_contrast: standard deviation of the luminance, where white is 1, under which an image counts as blank.
        min_probability: probability of its own super-class from which an image passes even if another's is higher.
    """

    min_contrast: float
    min_probability: float


@dataclass(frozen=True)
class Finding:
    """What screening says of one image: a row of the table of screens, whose columns are explained here.

    Attributes:
        status: ``ok``, ``not_generated``, ``unreadable``, ``wrong_size``, ``blank`` or ``off_class``.
        reason: a sentence; empty if it is ok.
        brightness, contrast: mean and standard deviation of the luminance; black is 0 and white 1.
        dhash: 64-bit difference hash, for near-duplicates.
        guide_distance: mean absolute difference to the guide, if there is one, over pixels and colours; at most 1.
        classifier: what judged the image; nothing did if it has none.
        super_top1: class id of the super-class with the highest probability.
        super_probability: probability of the image's own super-class.
    """

    status: str
    reason: str = ""
    brightness: float = math.nan
    contrast: float = math.nan
    dhash: str | None = None
    guide_distance: float = math.nan
    classifier: str | None = None
    super_top1: int | None = None
    super_probability: float = math.nan


Pictures = Callable[[Sequence[int]], Iterator[tuple[int, Image.Image]]]
"""Gives the pictures at some positions, each with its position."""


@dataclass(frozen=True)
class Judge:
    """A classifier as screening needs it.

    Attributes:
        name: of the classifier.
        classes: name of each super-class by its id, in the order of the probabilities.
        probabilities: for each picture, in order, its probabilities of the super-classes. It is given the digests of
            their pixels, and what gives the pictures themselves, with their positions, for those that it must see.
    """

    name: str
    classes: Mapping[int, str]
    probabilities: Callable[[Sequence[str], Pictures], Iterable[np.ndarray]]


def inspect(data: bytes, expected_digest: str, guide: Image.Image | None, settings: ScreenSettings) -> Finding:
    """All that can be said of an image without a classifier.

    Args:
        data: the image's file.
        expected_digest: of its pixels, as they were generated.
        guide: what it was made from; an image has its guide's size. Imported images may come without.
        settings: when it is rejected.
    """
    try:
        image = decode_png(data).convert("RGB")
    except BadInput as bad:
        return Finding("unreadable", f"its file can't be decoded ({bad.status}): {bad.reason}")
    luminance = np.asarray(image.convert("L"), dtype=np.float64) / 255.0
    finding = Finding(
        SUFFICIENT, brightness=float(luminance.mean()), contrast=float(luminance.std()), dhash=f"{dhash(image):016x}"
    )
    if image_digest(image) != expected_digest:
        return replace(finding, status="unreadable", reason="its pixels aren't the ones that were generated")
    if guide is not None:
        if image.size != guide.size:
            reason = f"it is {image.width} x {image.height} and its guide {guide.width} x {guide.height}"
            return replace(finding, status="wrong_size", reason=reason)
        pair = (np.asarray(picture.convert("RGB"), dtype=np.float64) for picture in (image, guide))
        finding = replace(finding, guide_distance=float(np.abs(next(pair) - next(pair)).mean() / 255.0))
    if finding.contrast < settings.min_contrast:
        reason = f"its contrast is {finding.contrast:.4f}; {settings.min_contrast:g} is the least"
        return replace(finding, status="blank", reason=reason)
    return finding


def judge_one(
    finding: Finding, class_id: int, probabilities: np.ndarray, judge: Judge, settings: ScreenSettings
) -> Finding:
    """Add a classifier's view to a finding.

    An image is off its class only if another super-class comes first *and* its own is improbable: classifiers err, and
    an object among others, or of a kind that lies between two classes, need not be wrong.

    Args:
        finding: what is known of the image already.
        class_id: the image's own class, one of the judge's.
        probabilities: of the judge's classes.
        judge: who says so.
        settings: when the image is rejected.
    """
    ids = list(judge.classes)
    best, own = int(probabilities.argmax()), float(probabilities[ids.index(class_id)])
    finding = replace(finding, classifier=judge.name, super_top1=ids[best], super_probability=own)
    if ids[best] != class_id and own < settings.min_probability:
        reason = (
            f"{judge.name} takes it for {judge.classes[ids[best]]} ({probabilities[best]:.2f}),"
            f" not {judge.classes[class_id]} ({own:.2f}; {settings.min_probability:g} is the least)"
        )
        return replace(finding, status="off_class", reason=reason)
    return finding


def screen(
    rows: pd.DataFrame,
    read_image: Callable[[str], bytes],
    read_guide: Callable[[str], bytes | None],
    settings: ScreenSettings,
    judge: Judge | None = None,
) -> pd.DataFrame:
    """Screen the images of one shard.

    Pictures are decoded twice, to be inspected and to be judged, because a shard may be too large to be held.

    Args:
        rows: the shard's manifest: sample, class_id, member, status, reason, image_digest.
        read_image: the file of an image, by its member.
        read_guide: the file of a guide, by the name of its sample; nothing if there is none.
        settings: when an image is rejected.
        judge: the classifier; nothing is judged without one, nor is an image whose class it doesn't know.

    Returns:
        One row per row given, in the same order, with the columns of ``DTYPES``.
    """
    plan = list(rows.to_dict("records"))
    findings = []
    for row in plan:
        if row["status"] != SUFFICIENT:
            findings.append(Finding("not_generated", f"there is no image ({row['status']}): {row['reason']}"))
            continue
        guide = read_guide(row["sample"])
        decoded = decode_png(guide) if guide else None
        findings.append(inspect(read_image(row["member"]), row["image_digest"], decoded, settings))
    if judge is not None:
        ask = [
            place
            for place, row in enumerate(plan)
            if findings[place].status == SUFFICIENT and row["class_id"] in judge.classes
        ]

        def pictures(positions: Sequence[int]) -> Iterator[tuple[int, Image.Image]]:
            return ((position, decode_png(read_image(plan[ask[position]]["member"]))) for position in positions)

        answers = judge.probabilities([plan[place]["image_digest"] for place in ask], pictures)
        for place, answer in zip(ask, answers, strict=True):
            findings[place] = judge_one(findings[place], plan[place]["class_id"], answer, judge, settings)
    records = [asdict(finding) for finding in findings]
    for row, record in zip(plan, records, strict=True):
        record |= {"sample": row["sample"], "image_digest": row["image_digest"]}
    columns = {name: pd.Series([record[name] for record in records], dtype=dtype) for name, dtype in DTYPES.items()}
    return pd.DataFrame(columns)
