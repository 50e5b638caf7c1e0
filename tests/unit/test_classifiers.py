"""Asking a network: what a picture's numbers depend on, and what they don't."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from d3s.array_store import ArrayStore
from d3s.classifier_library import load_library
from d3s.classifiers import SCORING_VERSION, Classifier, Load, ask, batches, prepare
from d3s.errors import BadInput
from d3s.picture_input import InputTransform
from d3s.predictions import probabilities

HALF = (0.5, 0.5, 0.5)
TRANSFORM = InputTransform(32, HALF, HALF)


def noise(number: int, side: int = 24) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8))


def classifier(batch_size: int, network: nn.Module | None = None, outputs: int = 1000) -> Classifier:
    torch.manual_seed(0)
    usual = network or load_library("timm").build("test_efficientnet", 1000, {}).network
    return Classifier(usual.eval(), TRANSFORM, batch_size, torch.device("cpu"), outputs)


class Recording(nn.Module):
    """Gives each picture its mean colours as logits, and remembers how often it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return inputs.mean(dim=(2, 3))


def answers(asked: Classifier, *numbers: int) -> list[np.ndarray]:
    return list(asked.answers(TRANSFORM.array(noise(n)) for n in numbers))


def test_answers_come_in_order_and_the_best_class_has_zero() -> None:
    found = answers(classifier(4), *range(6))
    assert len(found) == 6
    assert [float(each.max()) for each in found] == [0.0] * 6
    assert found[5].tolist() == answers(classifier(4), 5)[0].tolist()


def test_probabilities_are_those_of_the_network() -> None:
    asked = classifier(4)
    with torch.inference_mode():
        inputs = torch.stack([torch.from_numpy(TRANSFORM.array(noise(n))) for n in range(4)])
        expected = asked.network(inputs).softmax(dim=-1).numpy()
    found = np.stack(list(asked.probabilities(noise(n) for n in range(4))))
    assert found.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-12)
    assert np.abs(found - expected).max() < 1e-6


@pytest.mark.parametrize("architecture", ["test_efficientnet", "test_vit", "test_resnet"])
def test_a_picture_s_numbers_do_not_depend_on_its_batch(architecture: str) -> None:
    built = load_library("timm").build(architecture, 1000, {})
    asked = Classifier(built.network.eval(), built.transform, 4, torch.device("cpu"))
    arrays = [built.transform.array(noise(n)) for n in range(4)]
    among_others = list(asked.answers(arrays))
    for place, array in enumerate(arrays):
        assert next(asked.answers([array])).tolist() == among_others[place].tolist()


def test_half_precision_keeps_ranks_and_probabilities() -> None:
    """A probability changes by less than 0.05 % where it is over a third of the best one, by less than 0.6 % where it
    is over a millionth of it; and no order turns.
    """
    logits = np.random.default_rng(0).normal(0, 3, (200, 1000)).astype(np.float32)
    logs = torch.from_numpy(logits).log_softmax(-1).numpy()
    logs -= logs.max(axis=1, keepdims=True)
    exact, kept = probabilities(logs), probabilities(logs.astype(np.float16))
    relative = np.abs(kept / exact - 1)
    assert relative[logs > -1].max() < 5e-4
    assert relative[logs > -14].max() < 6e-3
    best = np.argsort(-exact, axis=1, kind="stable")[:, :5]
    assert (np.argsort(-kept, axis=1, kind="stable")[:, :1] == best[:, :1]).all()
    sorted_kept = np.take_along_axis(kept, np.argsort(-exact, axis=1), axis=1)
    assert (np.diff(sorted_kept, axis=1) <= 0).all(), "rounding may tie neighbours; it turns none round"


def test_no_pictures_give_no_answers() -> None:
    assert answers(classifier(4)) == []


@pytest.mark.parametrize("shape", [(10,), (1000, 7, 7), ()])
def test_another_number_of_classes_is_told(shape: tuple[int, ...]) -> None:
    class Other(nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.zeros(len(inputs), *shape)

    with pytest.raises(BadInput, match="per picture, not 1000 logits") as bad:
        answers(classifier(2, Other()), 1)
    assert bad.value.status == "wrong_classes"


def test_batches_hold_one_batch_at_a_time() -> None:
    taken = []
    numbers = (taken.append(n) or n for n in range(5))  # type: ignore[func-returns-value]
    assert next(batches(numbers, 2)) == [0, 1]
    assert taken == [0, 1]


# ---- decoding beside the network


def unreadable() -> Image.Image:
    raise BadInput("truncated", "it is cut short")


def slow(number: int) -> Image.Image:
    time.sleep(0.02 * (number % 2))
    return noise(number)


def test_pictures_are_decoded_ahead_and_come_in_order() -> None:
    started: list[int] = []

    def loads() -> Iterator[tuple[int, Load]]:
        for number in range(12):
            started.append(number)
            yield number, partial(slow, number)

    refused: dict[int, BadInput] = {}
    ready = prepare(loads(), TRANSFORM, refused.__setitem__, ahead=4)
    place, array = next(ready)
    assert place == 0
    assert array.tolist() == TRANSFORM.array(noise(0)).tolist()
    assert started == [0, 1, 2, 3], "so many are under way while the network is busy, and no more are held"
    assert [place for place, _ in ready] == list(range(1, 12))
    assert not refused


def test_what_can_not_be_read_is_left_out_and_told() -> None:
    refused: dict[int, BadInput] = {}
    loads: list[tuple[int, Load]] = [(3, partial(noise, 3)), (5, unreadable), (7, partial(noise, 7))]
    assert [place for place, _ in prepare(loads, TRANSFORM, refused.__setitem__, 8)] == [3, 7]
    assert {place: bad.status for place, bad in refused.items()} == {5: "truncated"}


def test_a_defect_in_a_thread_is_not_hidden() -> None:
    def broken() -> Image.Image:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(prepare([(0, broken)], TRANSFORM, lambda *_: None, 2))


def loader(asked: list[int]) -> Callable[[Sequence[int]], Iterator[tuple[int, Load]]]:
    def loads(places: Sequence[int]) -> Iterator[tuple[int, Load]]:
        for place in places:
            asked.append(place)
            yield place, unreadable if place == 1 else partial(noise, place)

    return loads


def test_a_second_time_the_network_is_asked_nothing(tmp_path: Path) -> None:
    digests = [letter * 32 for letter in "abcb"]
    network, asked = Recording(), list[int]()
    for _ in range(2):
        refused: dict[int, BadInput] = {}
        store = ArrayStore(tmp_path, "answers", "network")
        found = ask(classifier(2, network, 3), store, digests, loader(asked), refused)
        assert [answer is None for answer in found] == [False, True, False, True]
        assert {place: bad.status for place, bad in refused.items()} == {1: "truncated", 3: "truncated"}
    assert asked == [0, 1, 2, 1], "the unreadable one alone is tried again, and equal pictures once"
    assert network.calls == 1


def test_the_same_with_and_without_a_store(tmp_path: Path) -> None:
    digests = [letter * 32 for letter in "ac"]
    plain = ask(classifier(2, Recording(), 3), None, digests, loader([]))
    kept = ask(classifier(2, Recording(), 3), ArrayStore(tmp_path, "answers"), digests, loader([]))
    assert [None if each is None else each.tobytes() for each in plain] == [
        None if each is None else each.tobytes() for each in kept
    ]


def test_the_version_is_raised_when_numbers_change() -> None:
    """``test_picture_input`` has the golden digest that goes with it."""
    assert SCORING_VERSION == 2
