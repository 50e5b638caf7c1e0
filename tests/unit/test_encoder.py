"""The encoder: two parts, frozen layers, and files that hold no code."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from PIL import Image

from d3s.array_store import ArrayStore
from d3s.encoder import (
    Encoder,
    EncoderSettings,
    create_backbone,
    load_encoder,
    read_safetensors,
    save_encoder,
    save_tensors,
    to_input,
)
from d3s.encoder_data import (
    DATASETS,
    TRUNK_VERSION,
    Activations,
    Pictures,
    datasets_of,
    in_batches,
    in_kept_batches,
    index_of,
    select_samples,
    trunk_of,
)
from d3s.errors import D3SError
from d3s.identity import bytes_digest
from d3s.imageio import encode_png
from d3s.shards import write_shard, write_table

TINY = "test_efficientnet"  # timm's own model for tests: 256 pooled features


def tiny(frozen: int = 0, fraction: float = 0.25, batch_norm: str = "frozen") -> Encoder:
    torch.manual_seed(0)
    return Encoder(EncoderSettings(TINY, 32, frozen, fraction, batch_norm, (0, 3), ("grass", "road", "water")))


def pictures(number: int) -> torch.Tensor:
    return torch.randn(number, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def test_the_last_features_are_the_background_part() -> None:
    encoder = tiny(fraction=0.25).eval()
    encoded = encoder(pictures(4))
    assert encoded.foreground.shape == (4, 192)
    assert encoded.background.shape == (4, 64)
    pooled = encoder.pooled(pictures(4))
    assert torch.equal(encoded.background, pooled[:, 192:])
    assert encoded.class_logits.shape == (4, 2)
    assert encoded.background_logits.shape == (4, 3)


def test_the_paper_s_split_of_a_resnet() -> None:
    encoder = Encoder(EncoderSettings("resnet50", 32, 0, 0.122, "frozen", (0, 1), ("a", "b")))
    assert (encoder.foreground_features, encoder.background_features) == (1798, 250)


def test_the_background_part_may_be_given_as_a_number() -> None:
    settings = EncoderSettings("resnet50", 32, 0, 0.5, "frozen", (0, 1), ("a", "b"), background_features=250)
    assert Encoder(settings).background_features == 250


@pytest.mark.parametrize(
    ("fraction", "number"), [(0.0, 0), (1.0, 0), (0.001, 0), (0.999, 0), (0.25, 256), (0.25, 300), (0.25, -1)]
)
def test_a_split_that_leaves_a_part_nothing_says_so(fraction: float, number: int) -> None:
    with pytest.raises(D3SError, match="background_f") as caught:
        Encoder(EncoderSettings(TINY, 32, 0, fraction, "frozen", (0,), ("a",), background_features=number))
    assert "features" in caught.value.remedy


def test_each_head_sees_its_own_part_only() -> None:
    encoder = tiny().eval()
    encoded = encoder(pictures(2).requires_grad_())
    foreground, background = encoded.foreground, encoded.background
    (to_own,) = torch.autograd.grad(encoded.class_logits.sum(), foreground, retain_graph=True)
    (to_other,) = torch.autograd.grad(encoded.class_logits.sum(), background, allow_unused=True)
    assert to_own.abs().sum() > 0
    assert to_other is None


def test_frozen_layers_and_the_rest_make_up_the_model() -> None:
    whole, cut = tiny(0).eval(), tiny(2).eval()
    activations = cut.activations(pictures(3))
    assert activations.shape[1] != 3
    assert torch.allclose(cut.pooled(activations), whole.pooled(pictures(3)), atol=1e-6)
    assert torch.allclose(cut.features(pictures(3)), whole.features(pictures(3)), atol=1e-6)


def test_frozen_layers_neither_learn_nor_change_their_statistics() -> None:
    encoder = tiny(2, batch_norm="batch").train()
    assert not any(name.startswith(("backbone.conv_stem", "backbone.blocks.0.")) for name in encoder.trainable())
    assert any(name.startswith("backbone.conv_head") for name in encoder.trainable())
    before = {name: value.clone() for name, value in encoder.state_dict().items() if "running" in name}
    encoder(encoder.activations(pictures(8)))
    changed = {name for name, value in before.items() if not torch.equal(value, encoder.state_dict()[name])}
    assert changed
    assert not any(name.startswith(("backbone.bn1", "backbone.blocks.0.")) for name in changed)
    frozen = tiny(2, batch_norm="frozen").train()
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    frozen(frozen.activations(pictures(8)))
    assert all(torch.equal(value, frozen.state_dict()[name]) for name, value in before.items())


@pytest.mark.parametrize(
    ("name", "frozen", "told"),
    [
        ("test_resnet", 2, "needs a model with conv_stem and blocks"),
        (TINY, 99, "blocks"),
        ("no_such_model", 0, "timm has no model"),
    ],
)
def test_what_cannot_be_split_is_refused(name: str, frozen: int, told: str) -> None:
    with pytest.raises(D3SError, match=told):
        Encoder(EncoderSettings(name, 32, frozen, 0.25, "frozen", (0, 1), ("a", "b")))


def test_settings_are_checked() -> None:
    with pytest.raises(D3SError, match="background_fraction"):
        tiny(fraction=1.0)
    with pytest.raises(D3SError, match="batch_norm"):
        tiny(batch_norm="off")


def test_saved_and_read_back(tmp_path: Path) -> None:
    encoder = tiny(2).eval()
    save_encoder(tmp_path, encoder, {"objective": "erm", "seed": 1})
    again = load_encoder(tmp_path)
    assert again.settings == encoder.settings
    for a, b in zip(again(encoder.activations(pictures(2))), encoder(encoder.activations(pictures(2))), strict=True):
        assert torch.equal(a, b)
    first = (tmp_path / "encoder.safetensors").read_bytes()
    save_encoder(tmp_path, encoder, {"objective": "erm", "seed": 1})
    assert (tmp_path / "encoder.safetensors").read_bytes() == first


def test_a_pickle_is_refused_unopened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (print, ("opened",))

    save_encoder(tmp_path, tiny(), {})
    for data in (pickle.dumps(Bomb()), b""):
        (tmp_path / "encoder.safetensors").write_bytes(data)
        with pytest.raises(D3SError, match="no safetensors file") as caught:
            load_encoder(tmp_path)
        assert "pickled checkpoint" in caught.value.remedy
    torch.save({"a": torch.zeros(1)}, tmp_path / "encoder.safetensors")
    with pytest.raises(D3SError, match="no safetensors file"):
        load_encoder(tmp_path)


def test_missing_files_say_so(tmp_path: Path) -> None:
    with pytest.raises(D3SError, match="can't be read"):
        load_encoder(tmp_path)
    with pytest.raises(D3SError, match="does not exist"):
        read_safetensors(tmp_path / "none.safetensors")


def test_pretrained_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    save_tensors(tmp_path / "own.safetensors", create_backbone(TINY).state_dict())
    tiny().load_pretrained(tmp_path / "own.safetensors")
    save_tensors(tmp_path / "other.safetensors", create_backbone("test_resnet").state_dict())
    with pytest.raises(D3SError, match="does not hold the weights of test_efficientnet"):
        tiny().load_pretrained(tmp_path / "other.safetensors")


def test_pictures_and_their_kept_activations_agree(tmp_path: Path) -> None:
    encoder = tiny(2).eval()
    names = [f"s{number}" for number in range(5)]
    rows = pd.DataFrame({"sample": names, "member": [*(f"{name}.png" for name in names[:4]), ""], "split": "val"})
    shades = {name: Image.new("RGB", (24, 24), (50 * number, 90, 10)) for number, name in enumerate(names)}
    write_shard(tmp_path / "a.tar", rows, [(f"{name}.png", encode_png(shades[name])) for name in names[:4]])
    shard = Pictures([tmp_path / "a.tar"], encoder)
    manifest = rows.assign(accepted=[True, False, True, True, False])
    samples = select_samples(manifest, "images_val", shard)
    assert samples == names[:4]  # a val image counts whether accepted or not, but it must exist
    assert select_samples(manifest.assign(split="train"), "images_train", shard) == ["s0", "s2", "s3"]
    assert torch.equal(shard.batch(["s1"])[0], to_input([shades["s1"]], encoder.backbone, 32)[0])

    made = in_batches(shard, samples, encoder.activations, 3, "cpu", "images_val")
    save_tensors(tmp_path / "kept.safetensors", {"images_val": made.half()}, {"trunk": trunk_of(encoder)})
    write_table(tmp_path / "kept.parquet", index_of({"images_val": samples}))
    kept = Activations(tmp_path / "kept.safetensors", "images_val", encoder)
    assert torch.allclose(encoder.pooled(kept.batch(["s2"])), encoder.features(shard.batch(["s2"])), atol=1e-2)
    with pytest.raises(D3SError, match="lack the sample s4"):
        kept.batch(["s4"])
    with pytest.raises(D3SError, match="was made with"):
        Activations(tmp_path / "kept.safetensors", "images_val", tiny(1))
    with pytest.raises(D3SError, match="no shard holds"):
        shard.batch(["s4"])


def test_a_row_does_not_depend_on_its_batch(tmp_path: Path) -> None:
    encoder = tiny().eval()

    class Numbers:
        pictures = True

        def batch(self, samples: list[str]) -> torch.Tensor:
            return torch.stack([pictures(8)[int(name)] for name in samples])

    seven = [str(number) for number in range(7)]
    few = in_batches(Numbers(), seven[:5], encoder.features, 4, "cpu", "few")  # type: ignore[arg-type]
    more = in_batches(Numbers(), seven, encoder.features, 4, "cpu", "more")  # type: ignore[arg-type]
    assert torch.equal(few, more[:5])
    with pytest.raises(D3SError, match="there are no pictures"):
        in_batches(Numbers(), [], encoder.features, 4, "cpu", "none")  # type: ignore[arg-type]


def test_inputs_change_only_with_a_new_trunk_version() -> None:
    """Guards ``TRUNK_VERSION``: activations and features that were kept would otherwise stay as they were."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (24, 24, 3), dtype=np.uint8))
    backbone = timm.create_model("tf_efficientnet_lite0")
    assert TRUNK_VERSION == 1
    assert bytes_digest(to_input([noise], backbone, 32).numpy().tobytes()) == "6a34e5f2bde7d90488267d58dc1ecc74"


def test_numbers_of_pictures_are_computed_once_and_kept_block_by_block(tmp_path: Path) -> None:
    asked: list[str] = []

    class Numbers:
        pictures = True

        def batch(self, samples: list[str]) -> torch.Tensor:
            asked.extend(samples)
            return torch.tensor([[float(name)] for name in samples])

    def kept(samples: list[str]) -> tuple[list[float], int]:
        store, digests = ArrayStore(tmp_path, "numbers"), [f"{int(name):032x}" for name in samples]
        values, new = in_kept_batches(
            store,
            Numbers(),  # type: ignore[arg-type]
            samples,
            digests,
            lambda x: 2 * x,
            1,
            "cpu",
            "test",
            save_every=2,
        )
        return values[:, 0].tolist(), new

    assert kept(["0", "1", "2"]) == ([0.0, 2.0, 4.0], 3)
    assert len(list(tmp_path.rglob("*.safetensors"))) == 2
    assert kept(["2", "3", "1"]) == ([4.0, 6.0, 2.0], 1)
    assert asked == ["0", "1", "2", "3"]


def test_guides_are_left_out_where_no_val_image_has_one() -> None:
    manifest = pd.DataFrame({"split": ["train", "val"], "guide_digest": ["g", ""]})
    assert datasets_of(manifest) == ("images_train", "images_val")
    assert datasets_of(manifest.assign(guide_digest="g")) == DATASETS
