"""The crossed design: exemplars x placements x noises of each class, every one of them on every background.

In train and val a matched set has an exemplar, a placement and a noise of its own, so that what each of them costs a
classifier can't be told apart. Here each exemplar stands at each placement under each noise. A placement and a noise
are the same for all exemplars of a class, and a template goes with class, background and placement.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from d3s.guides import Choice, ShardPlan
from d3s.identity import digest
from d3s.subject_names import CROSSED
from d3s.tables import Row


@dataclass(frozen=True)
class Crossed:
    """How many of each there are per class; called, it is a ``guides.Chooser``.

    Attributes:
        exemplars: of val; 0 is no crossed design.
        placements: places and sizes, each with a template on every background.
        noises: noise seeds.
    """

    exemplars: int
    placements: int
    noises: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Crossed":
        """From a checked config."""
        return cls(**config["crossed"])

    @property
    def count(self) -> int:
        """Images of a class on a background."""
        return self.exemplars * self.placements * self.noises

    def __call__(self, plan: ShardPlan, row: Row, exemplars: Mapping[str, Mapping[str, Any]]) -> Iterator[Choice]:
        """The samples of a class; an exemplar that is wanting is rows that say so, so that the design stays whole.

        Names and choices come from the exemplar's name and the numbers of placement and noise alone: another exemplar,
        placement or noise changes no sample that is there already.
        """
        class_id = int(row["class_id"])
        chosen = choose_exemplars(exemplars, self.exemplars, plan.seed, class_id)
        for place in range(self.exemplars):
            exemplar = chosen[place] if place < len(chosen) else ""
            known = digest(exemplar)[:10] if exemplar else f"missing{place:03d}"
            for placement in range(self.placements):
                for noise in range(self.noises):
                    own = f"{class_id:05d}-{known}-{placement:03d}-{noise:03d}"
                    yield Choice(
                        sample=f"{CROSSED}-{plan.shift}-{plan.background}-{own}",
                        matched_set=f"{CROSSED}-{plan.shift}-{own}-r{plan.revision}",
                        index=placement,
                        exemplar=exemplar,
                        fault=f"class {row['name']} has {len(chosen)} usable exemplars in {plan.material_split}, and "
                        f"crossed: exemplars: wants {self.exemplars}",
                        placement=(class_id, CROSSED, placement, plan.revision),
                        noise=(class_id, CROSSED, noise, plan.revision),
                        wording=(class_id, CROSSED, plan.revision),
                        columns={"placement": placement, "noise": noise},
                    )


def choose_exemplars(exemplars: Mapping[str, Mapping[str, Any]], count: int, seed: int, class_id: int) -> Sequence[str]:
    """The exemplars of a class with the highest random weights; near-duplicates only where there are no others.

    A weight does not depend on the other exemplars, so one that comes or goes moves at most one, and with its group's
    near-duplicates two.

    Args:
        exemplars: by name; of each its ``split_group``.
        count: how many; fewer are given if there are no more.
        seed: root seed.
        class_id: of the class.
    """

    def weight(name: str) -> tuple[str, str]:
        return digest(seed, "crossed.exemplar", name, class_id), name

    ordered = sorted(exemplars, key=weight, reverse=True)
    first: dict[str, str] = {}
    for name in ordered:
        first.setdefault(str(exemplars[name]["split_group"]) or name, name)
    alone = set(first.values())
    return sorted(ordered, key=lambda name: name not in alone)[:count]  # a stable sort: weights stay in order
