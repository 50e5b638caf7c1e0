"""Learning-rate schedules: the rate as a function of the step alone, so that a resumed run needs no memory of it."""

import math

SCHEDULES = ("constant", "cosine", "restarts")


def rate_at(schedule: str, step: int, steps: int, rate: float, least: float, period: int) -> float:
    """The learning rate of a step.

    Args:
        schedule: ``constant``; ``cosine``, which falls from ``rate`` to ``least`` over all steps (Loshchilov and Hutter
            2017); or ``restarts``, which does so in every period (the paper's, with a period of 100 and 5e-4).
        step: from 0, after the warm-up.
        steps: how many there are after the warm-up.
        rate: the highest.
        least: the lowest; a rate that is lower than that stays as it is.
        period: of the restarts, in steps.

    Raises:
        ValueError: there is no such schedule.
    """
    if schedule == "constant" or rate <= least:
        return rate
    if schedule not in SCHEDULES:
        raise ValueError(schedule)
    length = period if schedule == "restarts" else max(steps, 1)
    share = step % length / length if schedule == "restarts" else min(step / length, 1.0)
    return least + (rate - least) * (1 + math.cos(math.pi * share)) / 2
