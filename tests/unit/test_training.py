"""Training: it learns, it can be interrupted, and it says what is missing."""

from pathlib import Path

import pandas as pd
import pytest
import torch

from d3s.encoder import Encoder, EncoderSettings
from d3s.errors import D3SError
from d3s.objective import build_objective
from d3s.heads import init_heads
from d3s.training import Trainer, TrainingSettings, shape_of, training_rows

ROWS = pd.DataFrame(
    {
        "sample": [f"s{number:02d}" for number in range(24)],
        "image_digest": [f"{number:032x}" for number in range(24)],
        "class_id": [number % 2 for number in range(24)],
        "background": [("grass", "road", "water")[number % 3] for number in range(24)],
        "split_group": [f"e{number % 8}" for number in range(24)],
    }
)


class Shades:
    """Pictures whose colour tells the class and whose edge tells the background."""

    pictures = True

    def batch(self, samples: list[str]) -> torch.Tensor:
        made = []
        for name in samples:
            number = int(name[1:])
            picture = torch.zeros(3, 32, 32)
            picture[number % 2, 8:24, 8:24] = 2.0
            picture[:, :4] = float(number % 3) - 1.0
            made.append(picture)
        return torch.stack(made)


def trainer(objective: str, state: Path | None = None, seed: int = 0, steps: int = 6, frozen: int = 2) -> Trainer:
    torch.manual_seed(0)  # stands for pretrained weights
    encoder = Encoder(
        EncoderSettings("test_efficientnet", 32, frozen, 0.25, "batch", (0, 1), ("grass", "road", "water"))
    )
    init_heads(encoder, seed)
    settings = TrainingSettings(seed=seed, steps=steps, batch_size=8, warmup_steps=2, rate=1e-3)
    made = build_objective(objective, shape_of(encoder), {}, seed)
    return Trainer(encoder, made, settings, Shades(), ROWS, state)  # type: ignore[arg-type]


def weights(of: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in of.model.state_dict().items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("objective", ["erm", "wasserstein"])
@pytest.mark.parametrize("interrupted_at", [1, 4])
def test_an_interrupted_run_gives_the_same_encoder(objective: str, interrupted_at: int, tmp_path: Path) -> None:
    whole = trainer(objective)
    whole.run(report=3)
    part = trainer(objective, tmp_path / "state.safetensors")
    part.run(report=3, stop=interrupted_at)
    part.save()
    rest = trainer(objective, tmp_path / "state.safetensors")
    assert rest.done == interrupted_at
    rest.run(report=3)
    assert equal(weights(rest), weights(whole))
    assert rest.history == whole.history


def test_a_state_of_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    part = trainer("erm", tmp_path / "state.safetensors")
    part.run(stop=2)
    part.save()
    assert trainer("erm", tmp_path / "state.safetensors", seed=1).done == 0
    assert trainer("erm", tmp_path / "state.safetensors", steps=7).done == 0
    assert trainer("wasserstein", tmp_path / "state.safetensors").done == 0
    assert trainer("erm", tmp_path / "state.safetensors").done == 2


def test_equal_seeds_give_equal_encoders_and_others_do_not() -> None:
    runs = [trainer("wasserstein", seed=seed) for seed in (0, 0, 1)]
    for run in runs:
        run.run()
    assert equal(weights(runs[0]), weights(runs[1]))
    assert not equal(weights(runs[0]), weights(runs[2]))


def test_it_learns_and_keeps_a_history_of_every_term() -> None:
    run = trainer("erm", steps=60)
    run.run(report=20)
    losses = [row["value"] for row in run.history if row["term"] == "loss"]
    assert len(losses) == 3
    assert losses[-1] < 0.7 * losses[0]  # type: ignore[operator]
    entropies = {"class_entropy", "background_entropy"}
    assert {row["term"] for row in run.history} == {"loss", *entropies, *(f"held_out_{name}" for name in entropies)}


def test_frozen_layers_stay_as_they_were_and_full_training_moves_them() -> None:
    for frozen, moves in ((2, False), (0, True)):
        run = trainer("erm", frozen=frozen)
        before = weights(run)
        run.run()
        stem = "backbone.conv_stem.weight"
        assert torch.equal(before[stem], weights(run)[stem]) is not moves
        assert not torch.equal(before["class_head.weight"], weights(run)["class_head.weight"])


def manifest() -> pd.DataFrame:
    return ROWS.assign(split="train", accepted=True)


def test_only_accepted_train_rows_are_trained_on() -> None:
    table = pd.concat([manifest(), manifest().assign(split="val", sample=lambda t: "v" + t["sample"])])
    table.loc[table["sample"] == "s05", "accepted"] = False
    rows = training_rows(table)
    assert len(rows) == 23
    assert set(rows["split"]) == {"train"}
    assert "s05" not in set(rows["sample"])


@pytest.mark.parametrize(("column", "label"), [("class_id", 0), ("background", "road")])
def test_a_label_without_train_images_is_an_error_with_a_remedy(column: str, label: object) -> None:
    table = manifest()
    table.loc[table[column] == label, "accepted"] = False
    with pytest.raises(D3SError, match=f"no accepted train image has {column}") as caught:
        training_rows(table)
    assert "counts.csv" in caught.value.remedy


def test_a_run_that_breaks_down_says_so() -> None:
    run = trainer("erm")
    with torch.no_grad():
        run.model.class_head.weight.fill_(float("nan"))
    with pytest.raises(D3SError, match="no longer a number"):
        run.run()
