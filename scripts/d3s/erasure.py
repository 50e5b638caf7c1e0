"""LEACE (Belrose et al. 2023): the smallest affine map after which no linear classifier tells a label from features.

The guarantee is for the rows that it was fitted to: there the cross-covariance with the label is zero, so that no
linear probe with a convex loss beats the labels' shares. Other pictures, and other probes, may still tell.
"""

import warnings
from collections.abc import Sequence

import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its first import announces what torch will drop
    from concept_erasure import LeaceFitter

from d3s.encoder import Encoder, EncoderSettings, Eraser
from d3s.errors import D3SError


def fit_eraser(features: torch.Tensor, labels: Sequence[object]) -> Eraser:
    """The map that erases a label.

    The covariance of the features is shrunk, as there may be fewer rows than features.

    Args:
        features: N x D.
        labels: N.

    Raises:
        D3SError: there is one label alone, or a feature is not a number.
    """
    names = sorted(set(labels), key=str)
    if len(names) < 2:
        raise D3SError(f"all {len(features)} pictures have the label {names[:1]}", "there is nothing to erase")
    if not bool(torch.isfinite(features).all()):
        raise D3SError("features to erase from hold something that is not a number", "train the encoder again")
    places = {name: place for place, name in enumerate(names)}
    told = torch.nn.functional.one_hot(torch.tensor([places[label] for label in labels]), len(names)).double()
    found = LeaceFitter.fit(features.double(), told, constrain_cov_trace=False).eraser
    # Labels of K values span K - 1 dimensions; the others are zero, and left out.
    kept = found.proj_right.norm(dim=1) > 0
    eraser = Eraser(features.shape[1], max(int(kept.sum()), 1))
    if kept.any():
        eraser.left.copy_(found.proj_left[:, kept])
        eraser.right.copy_(found.proj_right[kept])
    eraser.bias.copy_(found.bias)
    return eraser


def with_erasers(encoder: Encoder, foreground: Eraser, background: Eraser) -> Encoder:
    """A copy of an encoder that erases from its two parts; its other weights are the same."""
    settings = {name: getattr(encoder.settings, name) for name in EncoderSettings.__dataclass_fields__}
    ranks = (foreground.left.shape[1], background.left.shape[1])
    made = Encoder(EncoderSettings(**settings | {"erased": ranks}))
    erasers = {"foreground": foreground, "background": background}
    state = {f"erasers.{part}.{name}": t for part, own in erasers.items() for name, t in own.state_dict().items()}
    made.load_state_dict(encoder.state_dict() | state)
    return made.eval()
