import numpy as np
import pytest
import torch
from PIL import Image

from d3s.classifiers import (
    SCORING_VERSION,
    Classifier,
    batches,
    to_input,
)
from d3s.identity import bytes_digest
from d3s.weights import build_model


def noise(number: int, side: int = 24) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8))


def classifier(batch_size: int) -> Classifier:
    torch.manual_seed(0)
    return Classifier(build_model("test_efficientnet").eval(), 32, batch_size, torch.device("cpu"))


def test_the_whole_picture_is_the_input_from_minus_one_to_one() -> None:
    picture = Image.new("RGB", (64, 64), "black")
    picture.paste("white", (32, 0, 64, 64))
    tensor = to_input(picture, 16)
    assert tensor.shape == (3, 16, 16)
    assert tensor.dtype == torch.float32
    assert (tensor[:, :, 0] == -1).all()
    assert (tensor[:, :, -1] == 1).all()


def test_probabilities_come_in_order_and_add_up_to_one() -> None:
    answers = list(classifier(4).probabilities(noise(n) for n in range(6)))
    assert len(answers) == 6
    assert np.stack(answers).sum(axis=1) == pytest.approx(np.ones(6), abs=1e-5)
    assert answers[5].tolist() == next(classifier(4).probabilities([noise(5)])).tolist()


def test_a_picture_s_probabilities_do_not_depend_on_its_batch() -> None:
    among_others = list(classifier(4).probabilities([noise(1), noise(2), noise(3)]))[2]
    alone = next(classifier(4).probabilities([noise(3)]))
    assert among_others.tolist() == alone.tolist()


def test_no_pictures_give_no_answers() -> None:
    assert list(classifier(4).probabilities([])) == []


def test_batches_hold_one_batch_at_a_time() -> None:
    taken = []
    numbers = (taken.append(n) or n for n in range(5))  # type: ignore[func-returns-value]
    assert next(batches(numbers, 2)) == [0, 1]
    assert taken == [0, 1]


def test_inputs_change_only_with_a_new_scoring_version() -> None:
    """Guards ``SCORING_VERSION``: probabilities that were kept would otherwise stay as they were."""
    assert SCORING_VERSION == 1
    assert bytes_digest(to_input(noise(1), 32).numpy().tobytes()) == "6a34e5f2bde7d90488267d58dc1ecc74"
