"""Each library's way from published weights to log-probabilities, on tiny networks built from configs."""

import pickle
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import open_clip
import pytest
import torch
import torchvision
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from d3s.array_store import ArrayStore
from d3s.classifier_library import load_library
from d3s.classifier_table import DEFAULTS, LIBRARIES
from d3s.classifiers import Classifier, load_classifier
from d3s.codedigest import closure
from d3s.errors import BadInput
from d3s.identity import file_sha256
from d3s.imagenet import imagenet_labels
from d3s.predictions import probabilities
from d3s.weights import convert, load_network
from d3s.zero_shot import PROMPTS, ZeroShotNetwork, class_features
from tiny import ROOT
from tiny_classifiers import CLIP, WORDS, entry, plain, tiny_clip, tiny_flava, tiny_vit

CPU = torch.device("cpu")


def noise(number: int, side: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8))


def converted(folder: Path, given: dict[str, Any], outputs: int = 1000) -> Path:
    """The weights of an entry, as ``convert_weights`` makes them."""
    about = convert(DEFAULTS | given, outputs, folder / "converted.safetensors")
    assert (about.status, about.reason) == ("ok", "")
    return folder / "converted.safetensors"


def asked(folder: Path, given: dict[str, Any], outputs: int = 1000, store: Path | None = None) -> Classifier:
    weights = converted(folder, given, outputs)
    return load_classifier(DEFAULTS | given, weights, 2, CPU, store, outputs)[0]


def found(classifier: Classifier, *pictures: Image.Image) -> np.ndarray:
    return np.stack(list(classifier.answers(classifier.transform.array(picture) for picture in pictures)))


# ---- timm


@pytest.mark.parametrize("architecture", ["test_resnet", "test_vit.r160_in1k", "test_efficientnet"])
def test_timm_s_networks_give_what_timm_gives(tmp_path: Path, architecture: str) -> None:
    given = entry("a", "timm", architecture, plain("timm", architecture, tmp_path / "a.safetensors"))
    classifier = asked(tmp_path, given)
    built = load_library("timm").build(architecture, 1000, {})
    built.network.load_state_dict(load_file(tmp_path / "a.safetensors"))
    inputs = torch.from_numpy(built.transform.array(noise(1)))[None]
    with torch.inference_mode():
        expected = built.network.eval()(inputs).softmax(-1)[0].numpy()
    assert np.abs(probabilities(found(classifier, noise(1))[0]) - expected).max() < 1e-6


def test_what_timm_reads_of_its_own_older_files_is_read(tmp_path: Path) -> None:
    """A vision transformer's patches as a matrix, which its published files of 2020 have."""
    path = plain("timm", "test_vit", tmp_path / "a.safetensors")
    state = load_file(path)
    state["patch_embed.proj.weight"] = state["patch_embed.proj.weight"].flatten(1)
    save_file({f"module.{name}": tensor for name, tensor in state.items()}, path)
    built, _ = load_network("timm", "test_vit", converted(tmp_path, entry("a", "timm", "test_vit", path)))
    assert torch.equal(built.body.state_dict()["patch_embed.proj.weight"].flatten(1), state["patch_embed.proj.weight"])


def test_an_input_that_a_network_can_not_take_is_told(tmp_path: Path) -> None:
    given = entry("a", "timm", "test_vit", plain("timm", "test_vit", tmp_path / "a.safetensors"), input={"size": 64})
    with pytest.raises(BadInput, match="takes pictures of 160 pixels, not 64"):
        asked(tmp_path, given)
    free = entry("a", "timm", "test_resnet", plain("timm", "test_resnet", tmp_path / "b.safetensors"))
    assert asked(tmp_path, free | {"input": {"size": 64}}).transform.size == 64


def test_timm_names_pinned_files_and_the_hub_where_it_has_only_programs_for_them() -> None:
    library = load_library("timm")
    pinned = library.published("resnet50.a1_in1k")
    assert pinned.url.endswith(f"resnet50_a1_0-{pinned.sha256_prefix}.pth")
    assert library.published("beit_base_patch16_224.in22k_ft_in22k_in1k").hub.startswith("timm/beit_base")
    arrays = library.published("vit_small_patch16_224.augreg_in21k_ft_in1k")  # of numpy, for jax
    assert (arrays.url, arrays.file) == ("", "model.safetensors")


# ---- torchvision


def test_torchvision_s_networks(tmp_path: Path) -> None:
    name = "shufflenet_v2_x0_5"
    path = plain("torchvision", name, tmp_path / "a.safetensors")
    classifier = asked(tmp_path, entry("a", "torchvision", f"{name}.IMAGENET1K_V1", path))
    assert (classifier.transform.size, classifier.transform.crop) == (224, 0.875)
    network = torchvision.models.get_model(name, weights=None)
    network.load_state_dict(load_file(path))
    inputs = torch.from_numpy(classifier.transform.array(noise(1)))[None]
    with torch.inference_mode():
        expected = network.eval()(inputs).softmax(-1)[0].numpy()
    assert np.abs(probabilities(found(classifier, noise(1))[0]) - expected).max() < 1e-6


def test_torchvision_s_dense_networks_have_names_of_their_own_in_its_files(tmp_path: Path) -> None:
    path = plain("torchvision", "densenet121", tmp_path / "a.safetensors")
    state = load_file(path)
    old = {
        name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): tensor
        for name, tensor in state.items()
        if "num_batches" not in name  # younger than those files
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    save_file(old, path)
    converted(tmp_path, entry("a", "torchvision", "densenet121", path))
    assert set(load_file(tmp_path / "converted.safetensors")) == set(state)


def test_torchvision_s_heads_for_training_are_left_out(tmp_path: Path) -> None:
    built = load_library("torchvision").build("googlenet.IMAGENET1K_V1", 1000, {})
    state = {"aux1.fc1.weight": torch.zeros(1), "fc.bias": torch.zeros(1000)}
    assert list(load_library("torchvision").translate(state, "googlenet", built, 1000)) == ["fc.bias"]
    assert built.network.transform_input, "its published weights want colours changed inside"


def test_what_torchvision_lacks() -> None:
    library = load_library("torchvision")
    with pytest.raises(BadInput, match="did you mean resnet50"):
        library.build("resnet5", 1000, {})
    with pytest.raises(BadInput, match="its tags are IMAGENET1K_V1"):
        library.published("densenet121.IMAGENET1K_V9")
    assert library.published("densenet121").sha256_prefix


# ---- open_clip


def test_clip_is_asked_as_its_own_library_does(tmp_path: Path) -> None:
    given = entry("a", "open_clip", CLIP, tiny_clip(tmp_path))
    classifier = asked(tmp_path, given)
    model: Any = classifier.network.model
    names, tokenizer = imagenet_labels(), open_clip.get_tokenizer(CLIP)
    templates = [prompt.replace("{class}", "{}") for prompt in PROMPTS]
    with torch.inference_mode():
        head = open_clip.build_zero_shot_classifier(model, tokenizer, names[:20], templates)
        image = torch.from_numpy(classifier.transform.array(noise(1)))[None]
        expected = (model.logit_scale.exp() * model.encode_image(image, normalize=True) @ head)[0].numpy()
    logs = found(classifier, noise(1))[0][:20]
    assert np.abs((logs - logs[0]) - (expected - expected[0])).max() < 1e-4


def test_prompts_are_an_entry_s_own_business(tmp_path: Path) -> None:
    given = entry("a", "open_clip", CLIP, tiny_clip(tmp_path))
    one, other = (
        found(asked(tmp_path, given | {"prompts": [prompt]}), noise(1)) for prompt in ("{class}", "art of the {class}")
    )
    assert np.abs(one - other).max() > 1e-4


def test_texts_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built, _ = load_network("open_clip", CLIP, converted(tmp_path, entry("a", "open_clip", CLIP, tiny_clip(tmp_path))))
    network: Any = built.network
    plain_features = class_features(network, ["ball", "box"], PROMPTS, None)
    first = class_features(network, ["ball", "box"], PROMPTS, ArrayStore(tmp_path / "store", "texts"))
    monkeypatch.setattr(network, "text_features", None)
    again = class_features(network, ["ball", "box"], PROMPTS, ArrayStore(tmp_path / "store", "texts"))
    assert first.tobytes() == again.tobytes() == plain_features.tobytes()
    assert np.linalg.norm(first, axis=1) == pytest.approx([1, 1], abs=1e-5)


def test_openai_s_networks_have_the_activation_that_they_were_trained_with() -> None:
    library = load_library("open_clip")
    with_it = library.build("RN50.openai", 1000, {})
    assert "QuickGELU" in {type(module).__name__ for module in with_it.body.modules()}
    assert library.published("RN50.openai").file == "open_clip_model.safetensors"
    with pytest.raises(BadInput, match=r"ViT-B-33.*did you mean ViT-B-32"):
        library.build("ViT-B-33", 1000, {})


# ---- transformers


def test_flava_compares_its_first_tokens(tmp_path: Path) -> None:
    given = entry("a", "transformers", "FlavaModel", tiny_flava(tmp_path / "flava"), prompts=["a {class}"])
    classifier = asked(tmp_path, given)
    network: Any = classifier.network
    assert classifier.transform.size == 32
    tokens = torch.tensor([[WORDS.index(word) for word in ("a", "photo", "of", "a", "ball")]])
    with torch.inference_mode():
        text = network.model.text_model(tokens).last_hidden_state[:, 0]
        expected = network.model.text_projection(text)
    assert network.text_features(["a photo of a ball"]).shape == expected.shape
    assert torch.allclose(network.text_features(["a photo of a ball"]), expected, atol=1e-5), "padding is not looked at"
    assert found(classifier, noise(1)).shape == (1, 1000)


def test_a_checkpoint_of_pretraining_holds_the_network_below_a_name(tmp_path: Path) -> None:
    path = tiny_flava(tmp_path / "flava")
    state = {f"flava.{name}": tensor for name, tensor in load_file(path).items()}
    save_file(state | {"image_codebook.weight": torch.zeros(1)}, path)
    converted(tmp_path, entry("a", "transformers", "FlavaModel", path))


def test_a_classifier_of_transformers_has_its_own_head_and_input(tmp_path: Path) -> None:
    given = entry("a", "transformers", "ViTForImageClassification", tiny_vit(tmp_path / "vit"))
    classifier = asked(tmp_path, given)
    assert classifier.transform.interpolation == "bilinear"
    assert classifier.transform.squash
    model = transformers.ViTForImageClassification.from_pretrained(tmp_path / "vit")
    inputs = torch.from_numpy(classifier.transform.array(noise(1)))[None]
    with torch.inference_mode():
        expected = model.eval()(pixel_values=inputs).logits.softmax(-1)[0].numpy()
    assert np.abs(probabilities(found(classifier, noise(1))[0]) - expected).max() < 1e-6


def test_a_model_of_transformers_without_its_files_or_with_another_head(tmp_path: Path) -> None:
    about = convert(
        DEFAULTS | entry("a", "transformers", "ViTForImageClassification", tiny_vit(tmp_path / "vit", 10)),
        1000,
        tmp_path / "out.safetensors",
    )
    assert (about.status, about.reason) == ("wrong_classes", "config.json tells 10 classes apart, not 1000")
    path = tiny_flava(tmp_path / "flava")
    (tmp_path / "flava/preprocessor_config.json").write_text("{")
    about = convert(DEFAULTS | entry("a", "transformers", "FlavaModel", path), 1000, tmp_path / "out.safetensors")
    assert about.status == "not_readable"
    (tmp_path / "flava/preprocessor_config.json").unlink()
    (tmp_path / "flava/tokenizer.json").unlink()
    about = convert(DEFAULTS | entry("a", "transformers", "FlavaModel", path), 1000, tmp_path / "out.safetensors")
    assert about.status == "unavailable"
    assert "no tokenizer.json or vocab.txt lies by its weights" in about.reason
    with pytest.raises(BadInput, match="did you mean FlavaModel"):
        load_library("transformers").build("FlavaModl", 1000, {})


# ---- what all of them share


def test_answers_are_kept_by_all_that_determines_them(tmp_path: Path) -> None:
    path = plain("timm", "test_resnet", tmp_path / "a.safetensors")
    given = DEFAULTS | entry("a", "timm", "test_resnet", path)
    weights = converted(tmp_path, given)

    def folder(**changed: Any) -> Path:
        _, store = load_classifier(given | changed, weights, 2, CPU, tmp_path / "store")
        assert store is not None
        return store.folder

    assert folder() == folder(licence="other", note="x", family="y")
    assert folder() != folder(input={"crop": 1.0})
    assert folder().name.startswith("answers-")


def test_a_zero_shot_network_without_texts_gives_nothing() -> None:
    class Towers(ZeroShotNetwork):
        pass

    with pytest.raises(BadInput, match="given none"):
        Towers()(torch.zeros(1, 3, 8, 8))


def test_labels_of_imagenet_are_all_different() -> None:
    labels = imagenet_labels()
    assert len(labels) == len(set(labels)) == 1000
    assert labels[0] == "tench"
    assert labels[134].startswith("crane, large long-necked wading bird")
    assert labels[517].startswith("crane, lifts and moves heavy objects")
    assert labels[638:640] == ["maillot", "maillot, tank suit"]


def test_a_library_that_is_not_installed_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    monkeypatch.delitem(sys.modules, "d3s.classifier_libraries.open_clip")
    about = convert(DEFAULTS | entry("a", "open_clip", CLIP, "data/a.safetensors"), 1000, tmp_path / "a.safetensors")
    assert (about.status, "open_clip isn't installed" in about.reason) == ("unavailable", True)


def test_a_library_s_code_counts_for_its_own_networks_alone() -> None:
    script = ROOT / "scripts/predict_classifier.py"
    for library in LIBRARIES:
        modules = closure(script, [f"d3s.classifier_libraries.{library}"])
        assert {name for name in modules if name.startswith("d3s.classifier_libraries.")} == {
            f"d3s.classifier_libraries.{library}"
        }


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_library_tells_its_version(library: str) -> None:
    assert load_library(library).version().startswith(library)


# ---- keras


def as_keras(architecture: str) -> tuple[dict[str, np.ndarray], torch.nn.Module]:
    """A random network, and its tensors as Keras would have saved them."""
    network = load_library("keras").build(architecture, 1000, {}).network
    modules, arrays = dict(network.named_modules()), {}
    kinds = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    for name, tensor in network.state_dict().items():
        place, _, part = name.rpartition(".")
        layer, array = place, tensor.numpy()
        if architecture.startswith("squeezenet"):
            layer = {"features.0": "conv1", "classifier.1": "conv10"}.get(place) or _fire(*place.split("."))
        if isinstance(modules[place], torch.nn.BatchNorm2d):
            if part in kinds:
                arrays[f"{layer}/{kinds[part]}"] = array
        elif part == "bias":
            arrays[f"{layer}/bias"] = array
        elif layer.startswith("conv_dw"):
            arrays[f"{layer}/depthwise_kernel"] = array.transpose(2, 3, 0, 1)
        else:
            array = array[:, ::-1] if layer == "conv1" and architecture.startswith("squeezenet") else array
            arrays[f"{layer}/kernel"] = array.transpose(2, 3, 1, 0)
    return arrays, network


def _fire(_: str, number: str, part: str) -> str:
    places = ["3", "4", "6", "7", "9", "10", "11", "12"]
    return f"fire{2 + places.index(number)}/{part.replace('squeeze', 'squeeze1x1')}"


@pytest.mark.parametrize("architecture", ["squeezenet_v1.1", "mobilenet_v1_0.25_224"])
def test_keras_s_files_become_the_networks_that_they_were(tmp_path: Path, architecture: str) -> None:
    torch.manual_seed(0)
    arrays, network = as_keras(architecture)
    if architecture.startswith("squeezenet"):
        path = tmp_path / "a.pkl"
        layers = {name.rpartition("/")[0] for name in arrays}
        path.write_bytes(pickle.dumps({name: [arrays[f"{name}/kernel"], arrays[f"{name}/bias"]] for name in layers}))
    else:
        path = tmp_path / "a.h5"
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[f"{name.rpartition('/')[0]}/{name}:0"] = array
    given = entry("a", "keras", architecture, path)
    given["weights"]["sha256"] = file_sha256(path)
    classifier = asked(tmp_path, given)
    inputs = torch.from_numpy(classifier.transform.array(noise(1)))[None]
    with torch.inference_mode():
        expected = network.eval()(inputs).softmax(-1)[0].numpy()
    assert np.abs(probabilities(found(classifier, noise(1))[0]) - expected).max() < 1e-6


def test_a_network_that_was_trained_on_caffe_s_colours_gets_them() -> None:
    transform = load_library("keras").build("squeezenet_v1.1", 1000, {}).transform
    pixel = transform.array(Image.new("RGB", (227, 227), (200, 100, 50)))[:, 0, 0]
    assert np.abs(pixel - [200 - 122.679, 100 - 116.669, 50 - 104.006]).max() < 1e-3
