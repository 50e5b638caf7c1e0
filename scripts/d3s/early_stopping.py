"""Early stopping: which evaluation's weights are kept, and when a run ends.

Kept are the weights of the last evaluation whose score is within a tolerance of the lowest so far, not those of the
lowest: a penalty goes on lowering leakage after the cross entropies have stopped falling, and the tolerance says how
much usefulness that may cost.
"""

from dataclasses import dataclass


@dataclass
class EarlyStopping:
    """What has been seen so far.

    Attributes:
        tolerance: share of the lowest score by which a score may lie above it.
        patience: evaluations in a row without such a score that end the run; 0 never ends it.
        lowest: score so far.
        kept: step whose weights are kept, 0 if none.
        waited: evaluations since.
    """

    tolerance: float
    patience: int
    lowest: float = float("inf")
    kept: int = 0
    waited: int = 0

    def judge(self, step: int, score: float) -> bool:
        """Take in an evaluation; tells whether its weights are to be kept."""
        self.lowest = min(self.lowest, score)
        if score <= self.lowest * (1 + self.tolerance):
            self.kept, self.waited = step, 0
            return True
        self.waited += 1
        return False

    @property
    def over(self) -> bool:
        """Whether the run ends here."""
        return 0 < self.patience <= self.waited

    def state(self) -> list[float]:
        """What ``restore`` takes."""
        return [self.lowest if self.kept else -1.0, self.kept, self.waited]

    def restore(self, state: list[float]) -> None:
        """Go on from what ``state`` gave."""
        lowest, kept, waited = state
        self.kept, self.waited = int(kept), int(waited)
        self.lowest = float(lowest) if self.kept else float("inf")
