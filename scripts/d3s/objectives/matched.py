"""Alike counterfactuals: features of pictures that share what a part should know, and differ in what it should not
know, are drawn together (see ``d3s.dependence.matched``). No network is fitted.

Only a data set with matched sets can be trained so: the same exemplar on every background.
"""

from dataclasses import dataclass

import torch

from d3s.dependence.matched import varying_share
from d3s.dependence.strata import standardise
from d3s.encoder import Encoded
from d3s.objective import Labels, Objective, Shape, Terms, check_word


@dataclass(frozen=True)
class MatchedSettings:
    """What is drawn together, and how strongly.

    Attributes:
        foreground_weight: of the foreground features of pairs on different backgrounds.
        background_weight: of the background features of pairs with different classes.
        foreground: pairs of one ``exemplar``, or of one ``class``, which leaves nothing that tells exemplars apart.
        background: pairs of one ``background``, or of one ``template``, which leaves templates apart from each other.
        together: pictures of one exemplar that a batch takes together, where there are so many. Without it a batch of
            many classes has no two pictures of one exemplar.
    """

    foreground_weight: float = 1.0
    background_weight: float = 1.0
    foreground: str = "exemplar"
    background: str = "background"
    together: int = 4

    def __post_init__(self) -> None:
        check_word("foreground", self.foreground, ("exemplar", "class"))
        check_word("background", self.background, ("background", "template"))


class Matched(Objective):
    """The measure itself is the penalty."""

    Settings = MatchedSettings
    settings: MatchedSettings

    def __init__(self, shape: Shape, settings: MatchedSettings, seed: int) -> None:
        super().__init__(shape, settings, seed)
        self.together = settings.together

    def penalty(self, encoded: Encoded, labels: Labels, draws: torch.Generator) -> Terms:
        settings = self.settings
        exemplar = labels.exemplar if settings.foreground == "exemplar" else labels.klass
        template = labels.template if settings.background == "template" else labels.background
        terms = {}
        for name, features, shared, varied, weight in (
            ("foreground", encoded.foreground, exemplar, labels.background, settings.foreground_weight),
            ("background", encoded.background, template, labels.klass, settings.background_weight),
        ):
            known = (shared >= 0) & (varied >= 0)
            own = standardise(features[known].float()) if bool(known.any()) else features[known].float()
            found = varying_share(own, shared[known], varied[known])
            # A batch without pairs says nothing; the sum keeps the graph that backward passes need.
            terms[f"{name}_varying"] = weight * (features.sum() * 0.0 if found is None else found)
        return terms


OBJECTIVE = Matched
