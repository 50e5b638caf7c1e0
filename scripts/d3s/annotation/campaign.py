"""Which items a campaign asks about, and in which batches: images of the data set, gold and repeats, mixed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from d3s.annotation.items import gold_item, gold_key, image_item, plain_key
from d3s.identity import choose, digest, uniform

CHOICES = ("all", "doubtful", "sample")
FAR = 20
"""ILSVRC's classes stand in the order of WordNet, so classes that stand so far apart are rarely of one kind."""


@dataclass(frozen=True)
class CampaignSettings:
    """What is asked.

    Attributes:
        name: of the campaign; votes name it.
        choice: ``all`` images; the ``doubtful`` ones, of which the screen rejected or was not sure; a ``sample``.
        doubt_below: probability of the own super-class under which an image is doubtful.
        per_cell: images of each class and background in a sample.
        batch_size: images of the data set in a batch; gold and repeats come on top.
        gold: gold items as a share of the batch's images.
        repeats: images that are shown twice, as a share.
        seed: root of every random choice.
    """

    name: str
    choice: str
    doubt_below: float
    per_cell: int
    batch_size: int
    gold: float
    repeats: float
    seed: int

    @property
    def secret(self) -> str:
        """What the keys of items are made with."""
        return campaign_secret(self.seed, self.name)


def campaign_secret(seed: int, name: str) -> str:
    """What the keys of a campaign's items are made with; those who know it know which items are gold."""
    return digest("annotation", seed, name)


def select_images(images: pd.DataFrame, settings: CampaignSettings) -> pd.DataFrame:
    """The images that are asked about.

    Args:
        images: usable images with sample, class_id, background, status (of the screens) and super_probability.
        settings: of the campaign.
    """
    if settings.choice == "doubtful":
        unsure = images["super_probability"].fillna(0) < settings.doubt_below
        return images[unsure | (images["status"] != "ok")]
    if settings.choice == "sample":
        order = images["sample"].map(lambda sample: digest(settings.seed, "annotation sample", sample))
        place = order.groupby([images["class_id"], images["background"]]).rank(method="first")
        return images[place <= settings.per_cell]
    return images


def make_gold(
    guides: Sequence[Mapping[str, Any]],
    backgrounds: Sequence[str],
    indices: Mapping[int, Sequence[int]],
    settings: CampaignSettings,
    batch: int,
    first: int = 0,
) -> list[dict[str, object]]:
    """Guides as gold: a guide surely shows its exemplar on its template, so what it shows is known without any person.

    By turns it is shown as what it is, under another class, on another background, and under another class: on every
    second item the object is not there, so that nobody who always answers the same is right on more than half of them.

    Args:
        guides: guides of images that are not asked about: sample, guide_digest, class_id, background, tar, member.
        backgrounds: the names of all backgrounds.
        indices: the ImageNet indices of every class.
        settings: of the campaign.
        batch: the batch that they are for.
        first: how many gold items the batches before it have.

    Returns:
        Rows of items.
    """
    found: list[dict[str, object]] = []
    for number, guide in enumerate(guides, start=first):
        others = [str(class_id) for class_id in _unlike(guide["class_id"], indices)]
        places = [background for background in backgrounds if background != guide["background"]]
        shown_as, shown_on = guide["class_id"], guide["background"]
        if number % 2 == 1 and others:
            shown_as = int(choose(others, settings.seed, "gold class", settings.name, batch, guide["sample"]))
        elif number % 4 == 2 and places:
            shown_on = choose(places, settings.seed, "gold background", settings.name, batch, guide["sample"])
        answers = {
            "object": "yes" if shown_as == guide["class_id"] else "no",
            "unsafe": "no",
            "background": "yes" if shown_on == guide["background"] else "no",
        }
        item = gold_item(guide["sample"], guide["guide_digest"], shown_as, shown_on)
        found.append(
            {
                "item": str(item),
                "key": gold_key(settings.secret, item, answers),
                "kind": "gold",
                "sample": guide["sample"],
                "class_id": shown_as,
                "background": shown_on,
                "tar": guide["tar"],
                "member": guide["member"],
                **{f"known_{question}": answer for question, answer in answers.items()},
            }
        )
    return found


def _unlike(class_id: int, indices: Mapping[int, Sequence[int]]) -> Collection[int]:
    """The classes that nobody takes for this one; all others if there is no such class."""
    others = [other for other in indices if other != class_id]
    own = indices[class_id]
    far = [
        other
        for other in others
        if own and indices[other] and min(abs(a - b) for a in own for b in indices[other]) >= FAR
    ]
    return far or others


def plan_batches(
    images: pd.DataFrame, guides: pd.DataFrame, indices: Mapping[int, Sequence[int]], settings: CampaignSettings
) -> pd.DataFrame:
    """The items of all batches, in the order in which they are shown where a tool has but one order.

    Args:
        images: from ``select_images``, with recipe, tar and member.
        guides: what gold is made of, as ``make_gold`` wants it.
        indices: the ImageNet indices of every class.
        settings: of the campaign.

    Returns:
        batch (from 1), place, item, key, kind (``image``, ``gold``, ``repeat``), sample, class_id, background, tar,
        member and, for gold, the known answers.
    """

    def shuffle(table: pd.DataFrame, purpose: str) -> list[dict[str, Any]]:
        order = table["sample"].map(lambda sample: digest(settings.seed, purpose, settings.name, sample))
        rows = table.assign(order=order).sort_values("order").to_dict("records")
        return [{str(name): value for name, value in row.items()} for row in rows]

    shuffled, known = shuffle(images, "batch"), shuffle(guides, "gold")
    backgrounds = sorted(set(images["background"]) | set(guides["background"]))
    rows: list[dict[str, object]] = []
    taken = 0  # of the gold; every batch has its own as long as there is any
    for batch, start in enumerate(range(0, len(shuffled), settings.batch_size), start=1):
        own: list[dict[str, object]] = []
        for image in shuffled[start : start + settings.batch_size]:
            item = image_item(image["sample"], image["recipe"])
            row = {name: image[name] for name in ("sample", "class_id", "background", "tar", "member")}
            own.append({"item": str(item), "key": plain_key(settings.secret, item), "kind": "image", **row})
        again = [{**row, "kind": "repeat"} for row in own[: _share(settings.repeats, len(own))]]
        count = min(_share(settings.gold, len(own)), len(known))
        chosen = [known[(taken + number) % len(known)] for number in range(count)]
        gold = make_gold(chosen, backgrounds, indices, settings, batch, taken)
        taken += count

        def place(row: dict[str, object], batch: int = batch) -> float:
            return _place(settings, batch, row)

        twice = {row["item"] for row in again}
        mixed = sorted(
            [*own, *gold, *again],
            # What is shown twice has its first place in the first half and its second one in the last third.
            key=lambda row: place(row) * (0.5 if row["item"] in twice and row["kind"] == "image" else 1),
        )
        rows += [{"batch": batch, "place": number, **row} for number, row in enumerate(mixed, start=1)]
    columns = ["batch", "place", "item", "key", "kind", "sample", "class_id", "background", "tar", "member"]
    columns += ["known_object", "known_unsafe", "known_background"]
    return pd.DataFrame(rows, columns=columns)


def _share(fraction: float, count: int) -> int:
    """So many of a batch; at least one if any are wanted at all."""
    return max(1, round(fraction * count)) if fraction and count else 0


def _place(settings: CampaignSettings, batch: int, row: Mapping[str, object]) -> float:
    drawn = uniform(settings.seed, "place", settings.name, batch, row["item"], row["kind"])
    return 2 / 3 + drawn / 3 if row["kind"] == "repeat" else drawn
