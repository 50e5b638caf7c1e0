"""What matched pictures tell: the share of the features' variance that is left between pictures that share what a part
should know and differ in what it should not know.

Pictures of one exemplar on several backgrounds are counterfactuals of each other. Features that depend on the exemplar
alone are the same in all of them, whatever a probe may be: this asks for more than independence, and needs neither a
critic nor a kernel. It is the conditional variance penalty of Heinze-Deml and Meinshausen (2021, "CoRe", grouped by an
identifier), divided by the variance between identities, without which smaller features would do.
"""

import torch


def varying_share(features: torch.Tensor, shared: torch.Tensor, varied: torch.Tensor) -> torch.Tensor | None:
    """Mean squared distance of matched pairs over that of pairs that share nothing wanted; None without such pairs.

    A pair is matched if it shares ``shared`` and differs in ``varied``; the other pairs differ in ``shared``. Means are
    over all pairs (U-statistics), so small batches bias neither. With effects of variance A of what is
    shared, B of what is varied and C of everything else, all independent and of many levels each, it is
    (B + C) / (A + B + C).

    Args:
        features: N x D.
        shared: N numbers of what the features should know.
        varied: N numbers of what they should not know.
    """
    same = shared[:, None] == shared
    matched, apart = same & (varied[:, None] != varied), ~same
    if not (bool(matched.any()) and bool(apart.any())):
        return None
    squares = features.square().sum(dim=1)
    distances = (squares[:, None] + squares - 2 * features @ features.T).clamp(min=0)
    # Sums of masked products: indexing by a mask would wait for the device to count.
    near, far = ((distances * pairs).sum() / pairs.sum() for pairs in (matched, apart))
    return near / far.clamp(min=1e-12)
