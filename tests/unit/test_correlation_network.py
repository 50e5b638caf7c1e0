"""Networks trained end to end on a split: they learn, they can be interrupted, and they say what is wrong."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from d3s.correlation.network import GroupClassifier, NetworkSettings, NetworkTrainer
from d3s.correlation.pairing import Pairing
from d3s.correlation.splits import Split, table_digest
from d3s.encoder import Encoder, EncoderSettings
from d3s.errors import D3SError


def split() -> Split:
    rows = [
        {"sample": f"{use}-{klass}-{place}-{number}", "use": use, "class": klass, "background": place}
        | {"group": f"{klass}|{place}", "paired": (klass == "0") == (place == "grass")}
        for use, count in (("train", 4), ("validation", 2))
        for klass in ("0", "1")
        for place in ("grass", "road")
        for number in range(count)
    ]
    table = pd.DataFrame(rows)
    pairing = Pairing("k1-p0", {"0": ("grass",), "1": ("road",)})
    return Split("k1-p0-rho0", pairing, 0.0, table, {"digest": table_digest(table)})


class Shades:
    """Activations of pictures whose middle tells the class and whose edge tells the background."""

    def __init__(self, encoder: Encoder, broken: str = "") -> None:
        self.encoder, self.broken = encoder, broken

    def __contains__(self, sample: str) -> bool:
        return True

    def batch(self, samples: Sequence[str]) -> torch.Tensor:
        made = []
        for name in samples:
            _, klass, place, number = name.split("-")
            picture = torch.full((3, 32, 32), 0.05 * int(number))
            picture[int(klass), 8:24, 8:24] = 2.0
            picture[:, :4] = 1.0 if place == "grass" else -1.0
            made.append(picture * (float("nan") if name == self.broken else 1.0))
        return self.encoder.activations(torch.stack(made))


def trainer(
    method: str = "erm", state: Path | None = None, steps: int = 6, seed: int = 0, broken: str = ""
) -> NetworkTrainer:
    torch.manual_seed(0)  # stands for pretrained weights
    encoder = Encoder(EncoderSettings("test_efficientnet", 32, 2, 0.25, "frozen", (0,), ("any",)))
    settings = NetworkSettings(method=method, seed=seed, steps=steps, batch_size=8, rate=3e-3, evaluate_every=2)
    return NetworkTrainer(GroupClassifier(encoder, 2), settings, split(), Shades(encoder, broken), state)


def equal(a: NetworkTrainer, b: NetworkTrainer) -> bool:
    first, second = (run.network.own_state() for run in (a, b))
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("method", ["erm", "balanced", "group_dro"])
def test_an_interrupted_run_gives_the_same_network(method: str, tmp_path: Path) -> None:
    whole = trainer(method)
    whole.run()
    part = trainer(method, tmp_path / "state.safetensors")
    part.run(stop=3)
    part.save()
    rest = trainer(method, tmp_path / "state.safetensors")
    assert rest.done == 3
    rest.run()
    assert equal(rest, whole)
    assert rest.history == whole.history
    assert rest.best == whole.best


def test_a_state_of_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    part = trainer("erm", tmp_path / "state.safetensors")
    part.run(stop=2)
    part.save()
    assert trainer("balanced", tmp_path / "state.safetensors").done == 0
    assert trainer("erm", tmp_path / "state.safetensors", seed=1).done == 0
    assert trainer("erm", tmp_path / "state.safetensors").done == 2


def test_it_learns_and_keeps_the_best_weights() -> None:
    run = trainer(steps=30)
    run.run()
    samples = run.validation["sample"].tolist()
    right = run.predict(run.source, samples, "validation") == run.validation["class"].to_numpy()
    assert right.mean() >= 0.9
    assert run.best is not None
    assert right.mean() == pytest.approx(run.best[1])


def test_the_groups_with_high_losses_gain_weight() -> None:
    run = trainer("group_dro")
    losses = torch.tensor([5.0, 0.0, 0.0, 0.0], requires_grad=True)
    before = run.weights.clone()
    total = run._robust(losses, torch.arange(4))
    assert run.weights[0] > before[0]
    assert run.weights.sum() == pytest.approx(1)
    assert float(total.detach()) == pytest.approx(5.0 * float(run.weights[0]), rel=1e-5)


def test_a_loss_that_is_no_number_is_named() -> None:
    with pytest.raises(D3SError, match="the loss of step"):
        trainer(broken="train-0-grass-1", steps=20).run()


def test_networks_are_not_trained_by_dfr() -> None:
    with pytest.raises(D3SError, match="not trained by 'dfr'"):
        NetworkSettings(method="dfr")


def test_one_class_cannot_be_trained_on() -> None:
    whole = split()
    table = whole.table[whole.table["class"] == "0"]
    cut = Split(whole.name, whole.pairing, 0.0, table, {"digest": table_digest(table)})
    encoder = Encoder(EncoderSettings("test_efficientnet", 32, 2, 0.25, "frozen", (0,), ("any",)))
    with pytest.raises(D3SError, match="shows 1 class"):
        NetworkTrainer(GroupClassifier(encoder, 1), NetworkSettings(), cut, Shades(encoder))


def test_features_are_all_pooled_ones() -> None:
    run = trainer(steps=2)
    made = run.features(run.source, run.validation["sample"].tolist(), "validation")
    assert made.shape == (8, run.network.head.in_features)
    assert np.isfinite(made).all()
