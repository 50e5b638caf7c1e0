"""What is kept of a classifier's answer."""

import numpy as np

from d3s.superclasses import SuperClasses


def prediction_row(probabilities: np.ndarray, classes: SuperClasses) -> dict[str, float | int]:
    """What is kept of one answer: the super-classes' probabilities, and ImageNet's most probable class.

    Args:
        probabilities: over ImageNet's classes.
        classes: the super-classes.
    """
    sums: dict[str, float | int] = {
        f"p_{class_id}": float(value) for class_id, value in zip(classes.ids, classes.sums(probabilities), strict=True)
    }
    best = int(probabilities.argmax())
    return sums | {"top1_index": best, "top1_probability": float(probabilities[best])}
