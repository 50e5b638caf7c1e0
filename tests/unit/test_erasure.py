"""Erasure: what a linear probe can't tell any more, and an encoder that erases in its forward pass."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from d3s import cli
from d3s.encoder import Encoder, EncoderSettings, load_encoder, save_encoder, save_tensors
from d3s.encoder_data import index_of
from d3s.erasure import fit_eraser, with_erasers
from d3s.errors import D3SError
from d3s.features import read_features, read_manifest
from d3s.shards import write_table
from erase_features import main, parse

NAMES = ("grass", "road", "water")


def shown(number: int, features: int = 40) -> tuple[torch.Tensor, list[str]]:
    """Features that show a label of three in a few directions, and the labels."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(number) % 3
    directions = torch.randn(3, features, generator=draws)
    noise = torch.randn(number, features, generator=draws)
    return noise + 1.5 * directions[labels], [NAMES[int(label)] for label in labels]


def accuracy(features: torch.Tensor, labels: list[str]) -> float:
    probe = LogisticRegression(C=1.0, max_iter=2000, tol=1e-6).fit(features.double().numpy(), labels)
    return float(probe.score(features.double().numpy(), labels))


@pytest.mark.parametrize("number", [600, 30])
def test_no_linear_probe_tells_the_erased_label_of_what_it_was_fitted_to(number: int) -> None:
    """Also with fewer rows than features, where any probe learns its rows by heart unless the covariance is zero."""
    features, labels = shown(number)
    eraser = fit_eraser(features, labels)
    assert accuracy(features, labels) > 0.9
    assert accuracy(eraser(features), labels) == pytest.approx(1 / 3, abs=0.02)
    assert eraser.left.shape == (40, 2)  # three labels differ in two directions


def test_what_has_nothing_to_do_with_the_label_stays() -> None:
    features, labels = shown(600)
    erased = fit_eraser(features, labels)(features)
    assert torch.allclose(erased.mean(0), features.mean(0), atol=1e-4)
    inside = [
        pd.DataFrame(each.numpy()).groupby(labels).transform(lambda own: own - own.mean())
        for each in (features, erased)
    ]
    assert np.corrcoef(inside[0].to_numpy().ravel(), inside[1].to_numpy().ravel())[0, 1] > 0.9


def test_what_cannot_be_erased_says_so() -> None:
    features, _ = shown(10)
    with pytest.raises(D3SError, match="nothing to erase"):
        fit_eraser(features, ["grass"] * 10)
    features[3, 4] = float("nan")
    with pytest.raises(D3SError, match="not a number"):
        fit_eraser(features, ["grass", "road"] * 5)


def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(EncoderSettings("test_efficientnet", 32, 2, 0.25, "frozen", (0, 3), NAMES)).eval()


def test_an_encoder_that_erases_is_saved_and_read_back(tmp_path: Path) -> None:
    plain = encoder()
    features = torch.randn(60, 256, generator=torch.Generator().manual_seed(1))
    labels = [NAMES[number % 3] for number in range(60)]
    classes = [(0, 3)[number // 3 % 2] for number in range(60)]
    erased = with_erasers(plain, fit_eraser(features[:, :192], labels), fit_eraser(features[:, 192:], classes))
    save_encoder(tmp_path, erased, {"objective": "erm+leace", "seed": 0})
    again = load_encoder(tmp_path)
    assert again.settings.erased == (2, 1)
    pictures = torch.randn(3, 3, 32, 32)
    activations = plain.activations(pictures)
    assert torch.equal(again.activations(pictures), activations)
    expected = erased.erase(plain.pooled(activations))
    encoded = again(activations)
    assert torch.allclose(torch.cat([encoded.foreground, encoded.background], 1), expected, atol=1e-6)
    assert torch.allclose(encoded.class_logits, plain.class_head(expected[:, :192]), atol=1e-5)
    assert not torch.allclose(plain.pooled(activations), expected, atol=1e-3)


def test_the_script_writes_an_encoder_and_its_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {
            "sample": f"{split}{number:02d}",
            "split": split,
            "class_id": (0, 3)[number % 2],
            "background": NAMES[number % 3],
        }
        for split in ("train", "val")
        for number in range(60)
    ]
    manifest = pd.DataFrame(rows).assign(accepted=True, status="ok", guide_digest="")
    for column in ("exemplar", "split_group", "template_group"):
        manifest[column] = manifest["sample"]
    write_table(tmp_path / "manifest.parquet", manifest)
    draws = torch.Generator().manual_seed(1)
    table = {
        f"images_{split}": manifest.loc[manifest["split"] == split, "sample"].tolist() for split in ("train", "val")
    }
    tensors = {name: torch.randn(60, 256, generator=draws) for name in table}
    tensors["images_train"][:, :5] += torch.arange(60)[:, None] % 3
    save_encoder(tmp_path / "erm", encoder(), {"objective": "erm", "seed": 0, "versions": {"torch": "2"}})
    save_tensors(tmp_path / "erm/features.safetensors", tensors)
    write_table(tmp_path / "erm/features.parquet", index_of(table))

    given = ["--encoder", tmp_path / "erm", "--manifest", tmp_path / "manifest.parquet", "--output", tmp_path / "out"]
    monkeypatch.setattr("sys.argv", ["erase_features.py", *map(str, given)])
    cli.run(parse, main)
    found = read_features(tmp_path / "out/features.safetensors", read_manifest(tmp_path / "manifest.parquet"))
    assert (found.objective, found.seed, found.foreground_features) == ("erm+leace", 0, 192)
    part, labels = found.part("images_train", "foreground"), found.labels("images_train", "background")
    assert accuracy(torch.from_numpy(part), list(labels)) == pytest.approx(1 / 3, abs=0.02)
    assert load_encoder(tmp_path / "out").settings.erased == (2, 1)
    first = (tmp_path / "out/encoder.safetensors").read_bytes()
    cli.run(parse, main)
    assert (tmp_path / "out/encoder.safetensors").read_bytes() == first

    monkeypatch.setattr("sys.argv", ["erase_features.py", *map(str, [*given[:1], tmp_path / "out", *given[2:]])])
    with pytest.raises(SystemExit):
        cli.run(parse, main)
