"""Training: it learns, it can be interrupted, and it says what is missing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from d3s.encoder import Encoder, EncoderSettings
from d3s.errors import D3SError
from d3s.heads import init_heads
from d3s.objective import build_objective
from d3s.training import Trainer, TrainingSettings, shape_of, training_rows

ROWS = pd.DataFrame(
    {
        "sample": [f"s{number:02d}" for number in range(24)],
        "image_digest": [f"{number:032x}" for number in range(24)],
        "class_id": [number % 2 for number in range(24)],
        "background": [("grass", "road", "water")[number % 3] for number in range(24)],
        "split_group": [f"e{number % 8}" for number in range(24)],
        "exemplar": [f"e{number % 8}" for number in range(24)],
        "template": [f"t{number % 6}" for number in range(24)],
    }
)


class Shades:
    """Pictures whose colour tells the class and whose edge tells the background."""

    pictures = True

    def batch(self, samples: Sequence[str]) -> torch.Tensor:
        made = []
        for name in samples:
            number = int(name[1:])
            picture = torch.zeros(3, 32, 32)
            picture[number % 2, 8:24, 8:24] = 2.0
            picture[:, :4] = float(number % 3) - 1.0
            made.append(picture)
        return torch.stack(made)


def trainer(
    objective: str,
    state: Path | None = None,
    seed: int = 0,
    steps: int = 6,
    frozen: int = 2,
    source: Any = None,
    second: tuple[Any, pd.DataFrame] | None = None,
    workers: int = 0,
    batch_norm: str = "batch",
    rows: pd.DataFrame = ROWS,
    **more: Any,
) -> Trainer:
    torch.manual_seed(0)  # stands for pretrained weights
    encoder = Encoder(
        EncoderSettings("test_efficientnet", 32, frozen, 0.25, batch_norm, (0, 1), ("grass", "road", "water"))
    )
    init_heads(encoder, seed)
    given = {"batch_size": 8, "warmup_steps": 2, "rate": 1e-3, "evaluate_every": 2} | more
    settings = TrainingSettings(seed=seed, steps=steps, **given)
    made = build_objective(objective, shape_of(encoder), {}, seed)
    return Trainer(encoder, made, settings, source or Shades(), rows, state, second=second, workers=workers)


def weights(of: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in of.model.state_dict().items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


OBJECTIVES = ("adversarial", "club", "erm", "hsic", "matched", "mine", "orthogonal", "wasserstein")
EVERYTHING: dict[str, Any] = {"ema": 0.9, "schedule": "restarts", "period": 3, "least_rate": 1e-4, "patience": 3}


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("interrupted_at", [1, 5])
def test_an_interrupted_run_gives_the_same_encoder(objective: str, interrupted_at: int, tmp_path: Path) -> None:
    """With all that a run can remember: kept weights, an average, moments, counters, networks of the objective."""
    whole = trainer(objective, steps=8, **EVERYTHING)
    whole.run(report=3)
    part = trainer(objective, tmp_path / "state.safetensors", steps=8, **EVERYTHING)
    part.run(report=3, stop=interrupted_at)
    part.save()
    rest = trainer(objective, tmp_path / "state.safetensors", steps=8, **EVERYTHING)
    assert rest.done == interrupted_at
    rest.run(report=3)
    assert equal(weights(rest), weights(whole))
    assert rest.history == whole.history
    assert rest.stopping == whole.stopping


def test_a_run_that_is_killed_between_turns_goes_on_in_the_same_step(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    whole = trainer("mine", steps=6)
    whole.run()
    part = trainer("mine", tmp_path / "state.safetensors", steps=6)
    plain = part._inner_step

    def killed(drawn: Any) -> Any:
        if (part.done, part.turn) == (3, 2):
            raise Killed
        return plain(drawn)

    part._inner_step = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        part.run()
    part.save()
    rest = trainer("mine", tmp_path / "state.safetensors", steps=6)
    assert (rest.done, rest.turn) == (3, 2)
    rest.run()
    assert equal(weights(rest), weights(whole))


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


class Broken(Shades):
    """One picture holds something that is not a number."""

    def batch(self, samples: Sequence[str]) -> torch.Tensor:
        made = super().batch(samples)
        for row, name in enumerate(samples):
            if name == "s13":
                made[row, 0, 0, 0] = float("nan")
        return made


@pytest.mark.parametrize("workers", [0, 2])
def test_a_picture_that_is_not_a_number_is_named_and_the_state_before_it_kept(workers: int, tmp_path: Path) -> None:
    state = tmp_path / "state.safetensors"
    run = trainer("mine", state, steps=40, source=Broken(), workers=workers, validation_fraction=0.0)
    with pytest.raises(D3SError, match="the input of the sample s13") as caught:
        run.run()
    assert "the last good state is in" in caught.value.problem
    again = trainer("mine", state, steps=40, validation_fraction=0.0)  # the picture is whole again
    assert (again.done, again.turn) == (run.done, run.turn)
    again.run()
    whole = trainer("mine", steps=40, validation_fraction=0.0)
    whole.run()
    assert equal(weights(again), weights(whole))


def test_a_term_that_is_not_a_number_is_named_and_sound_states_are_not_overwritten(tmp_path: Path) -> None:
    run = trainer("erm", tmp_path / "state.safetensors", steps=9)
    run.run(stop=3)
    run.save()
    sound = (tmp_path / "state.safetensors").read_bytes()
    with torch.no_grad():
        run.model.class_head.weight.fill_(float("nan"))
    with pytest.raises(D3SError, match=r"at step 4 the term class_entropy is no longer a number"):
        run.run()
    assert (tmp_path / "state.safetensors").read_bytes() == sound


def test_without_a_file_for_states_a_break_down_is_told_all_the_same() -> None:
    run = trainer("hsic")
    with torch.no_grad():
        run.model.background_head.bias.fill_(float("inf"))
    with pytest.raises(D3SError, match="background_entropy is no longer a number"):
        run.run()


def test_the_last_weights_near_the_lowest_score_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores 4, 2, 2.08, 2.5, 2.09, 3, ...: with a tolerance of 5 % those of the fifth evaluation."""
    scores = iter([4.0, 2.0, 2.08, 2.5, 2.09, 3.0, 3.0, 1.0])
    run = trainer("erm", steps=40, patience=2)
    seen: dict[int, dict[str, torch.Tensor]] = {}

    def scored(_: object) -> dict[str, float]:
        seen[run.done] = weights(run)
        return {"held_out_class_entropy": next(scores)}

    monkeypatch.setattr(run, "_held_out_entropies", scored)
    run.run()
    assert list(seen) == [4, 6, 8, 10, 12, 14, 16]  # every second step after the warm-up; two in vain end it
    assert run.stopping.kept == 12
    assert run.finished
    assert equal(weights(run), seen[12])


def test_no_gradient_sees_what_is_held_out() -> None:
    asked: set[str] = set()

    class Watched(Shades):
        def batch(self, samples: Sequence[str]) -> torch.Tensor:
            asked.update(samples)
            return super().batch(samples)

    run = trainer("erm", steps=20, source=Watched(), evaluate_every=100)
    run.run(stop=19)
    assert len(run.held) > 0
    assert not asked & set(run.held.samples)
    assert asked == set(run.streams[0].samples)


def test_an_average_of_weights_is_evaluated_and_kept() -> None:
    plain, averaged = trainer("erm", validation_fraction=0.0), trainer("erm", ema=0.5, validation_fraction=0.0)
    path: list[torch.Tensor] = []
    step = averaged._average

    def watched() -> None:
        path.append(averaged.model.class_head.weight.detach().clone())
        step()

    averaged._average = watched  # type: ignore[method-assign]
    plain.run()
    averaged.run()
    expected = path[0]
    for value in path[1:]:
        expected = 0.5 * expected + 0.5 * value
    assert torch.allclose(averaged.model.class_head.weight, expected, atol=1e-6)
    assert torch.equal(path[-1], plain.model.class_head.weight)


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_made_ahead_change_nothing(workers: int) -> None:
    runs = [trainer("mine", steps=8, workers=number) for number in (0, workers)]
    for run in runs:
        run.run()
    assert equal(weights(runs[0]), weights(runs[1]))


def second() -> tuple[Any, pd.DataFrame]:
    """Real pictures: classes are known, backgrounds are not."""
    names = [f"r{number:02d}" for number in range(10)]
    return Shades(), pd.DataFrame({"sample": names, "image_digest": names, "class_id": [n % 2 for n in range(10)]})


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_second_stream_has_its_share_of_each_batch(objective: str) -> None:
    run = trainer(objective, second=second(), second_share=0.5)
    drawn = run._draw((0, -1))
    assert [len(made) for _, made in drawn.inputs] == [4, 4]
    assert (drawn.labels.background >= 0).tolist() == [True] * 4 + [False] * 4
    assert (drawn.labels.klass >= 0).all()
    run.run()
    assert not equal(weights(run), weights(trainer(objective)))


def test_labels_that_the_encoder_does_not_know_are_refused() -> None:
    for column, label in (("class_id", 7), ("background", "moon")):
        rows = ROWS.copy()
        rows.loc[3, column] = label
        with pytest.raises(D3SError, match=f"have {column} {label!r}"):
            trainer("erm", rows=rows)


def test_a_batch_of_one_trains_unless_it_needs_statistics() -> None:
    for objective in OBJECTIVES:
        run = trainer(objective, batch_size=1, batch_norm="frozen")
        run.run()
        assert all(bool(torch.isfinite(value).all()) for value in weights(run).values())
    with pytest.raises(D3SError, match="a batch of one picture"):
        trainer("erm", batch_size=1)


def test_a_background_with_one_picture_is_trained_on() -> None:
    rows = ROWS.assign(background=["water"] + ["grass", "road"] * 11 + ["grass"])
    run = trainer("hsic", rows=rows, validation_fraction=0.5)
    assert "s00" in run.streams[0].samples
    run.run()
    assert run.finished


@pytest.mark.parametrize(
    ("name", "value"), [("schedule", "steep"), ("precision", "half"), ("ema", 1.0), ("batch_size", 0), ("steps", 0)]
)
def test_settings_are_checked(name: str, value: object) -> None:
    with pytest.raises(D3SError, match=name):
        TrainingSettings(**{name: value})  # type: ignore[arg-type]


def test_half_precision_without_a_gpu_is_an_error_with_a_remedy() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(D3SError, match="can't train in fp16") as caught:
        trainer("erm", precision="fp16")
    assert "precision: no" in caught.value.remedy
