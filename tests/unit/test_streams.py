"""Streams: which samples a batch takes, and what is known of them."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from d3s.objective import Labels
from d3s.streams import BadSample, Stream


class Numbers:
    """Each input is the number in the sample's name."""

    pictures = False

    def batch(self, samples: Sequence[str]) -> torch.Tensor:
        return torch.tensor([[float(name)] for name in samples])


def stream(exemplars: list[int], samples: list[str] | None = None) -> Stream:
    labels = Labels(
        *(torch.tensor(each) for each in ([0] * len(exemplars), [0] * len(exemplars), exemplars, exemplars))
    )
    return Stream(Numbers(), samples or [str(place) for place in range(len(exemplars))], labels)


@pytest.mark.parametrize("together", [1, 2, 4])
@pytest.mark.parametrize("size", [1, 7, 60])
def test_a_batch_has_no_sample_twice(together: int, size: int) -> None:
    made = stream([place // 3 for place in range(60)])
    picked = made.pick(size, together, np.random.default_rng(0))
    assert len(set(picked.tolist())) == len(picked) == size


def test_pictures_of_one_exemplar_come_together_and_no_more_than_asked() -> None:
    made = stream([place // 10 for place in range(1000)])
    counts = Counter((made.pick(64, 4, np.random.default_rng(0)) // 10).tolist())
    assert all(count % 4 == 0 for count in counts.values())
    alone = Counter((made.pick(64, 1, np.random.default_rng(0)) // 10).tolist())
    assert np.mean(list(alone.values())) < 2 < np.mean(list(counts.values()))


def test_every_sample_is_about_as_likely_whatever_its_exemplar_has() -> None:
    """Exemplars of four pictures, in a stream where half of all have none but one."""
    exemplars = [place // 4 for place in range(100)] + list(range(100, 200))
    made = stream(exemplars)
    counts = np.zeros(200)
    for seed in range(400):
        counts[made.pick(20, 4, np.random.default_rng(seed))] += 1
    # Whoever has company is taken with it too: four times as often, and not in proportion to anything else.
    assert 3 < counts[:100].mean() / counts[100:].mean() < 5
    assert counts.min() > 0


def test_samples_of_unknown_exemplar_stand_alone() -> None:
    made = stream([-1] * 20)
    assert len(set(made.pick(20, 4, np.random.default_rng(0)).tolist())) == 20


def test_an_input_that_is_no_number_is_named() -> None:
    made = stream([0, 1], ["1", "nan"])
    assert made.inputs([0]).tolist() == [[1.0]]
    with pytest.raises(BadSample, match="nan"):
        made.inputs([0, 1])
