"""What encoders are trained and measured on: pictures from shards, or activations kept by ``cache_activations``."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from d3s import cli
from d3s.array_store import ArrayStore
from d3s.encoder import Encoder, EncoderSettings, read_safetensors, tensors_about, to_input
from d3s.errors import D3SError
from d3s.identity import bytes_digest, digest
from d3s.imageio import decode_png
from d3s.shards import TarReader

DATASETS = ("images_train", "images_val", "guides_val")
DIGESTS = {"images": "image_digest", "guides": "guide_digest"}
"""The manifest's columns with the digests of pixels."""
TRUNK_VERSION = 1
"""Raised whenever a change of code alters the activations that frozen layers give a picture; old ones go unused."""


class Pictures:
    """Pictures of shards by sample.

    Args:
        tars: paths of shards; their manifests lie beside them.
        encoder: whose input they become.

    Raises:
        D3SError: a sample stands in two shards.
    """

    pictures = True

    def __init__(self, tars: Sequence[str | Path], encoder: Encoder) -> None:
        self.encoder = encoder
        self._where: dict[str, tuple[Path, str]] = {}
        self._readers: dict[Path, TarReader] = {}
        self._reading = threading.Lock()  # decoding may be done by several threads, reading from a file may not
        for tar in sorted(Path(tar) for tar in tars):
            table = pd.read_parquet(tar.with_suffix(".parquet"), columns=["sample", "member", "split"])
            for sample, member in zip(table["sample"], table["member"], strict=True):
                if not isinstance(member, str) or not member:
                    continue
                if sample in self._where:
                    raise D3SError(
                        f"the sample {sample} stands in {self._where[sample][0]} and in {tar}",
                        "give each sample's shard once",
                    )
                self._where[sample] = (tar, member)

    def __contains__(self, sample: str) -> bool:
        return sample in self._where

    def batch(self, samples: Sequence[str]) -> torch.Tensor:
        """The encoder's input for these samples: N x 3 x side x side."""
        images = []
        for sample in samples:
            if sample not in self._where:
                raise D3SError(f"no shard holds the sample {sample}", "give all shards that the manifest names")
            tar, member = self._where[sample]
            with self._reading:
                reader = self._readers.get(tar) or self._readers.setdefault(tar, TarReader(tar))
                data = reader.read(member)
            images.append(decode_png(data))
        return to_input(images, self.encoder.backbone, self.encoder.settings.input_size)


class Activations:
    """Activations of a frozen trunk, of one data set, by sample.

    Args:
        path: what ``cache_activations`` wrote; its index, a ``.parquet``, lies beside it.
        dataset: one of ``DATASETS``.
        encoder: whose trunk must have made them.

    Raises:
        D3SError: another trunk made them.
    """

    pictures = False

    def __init__(self, path: str | Path, dataset: str, encoder: Encoder) -> None:
        about = tensors_about(path) if Path(path).exists() else {}
        self.tensor = read_safetensors(path)[dataset]
        wanted = trunk_of(encoder)
        if about.get("trunk") != wanted:
            raise D3SError(
                f"{path} was made with {about.get('trunk')}, and the encoder needs {wanted}",
                "make the activations again with the encoder's settings",
            )
        index = pd.read_parquet(Path(path).with_suffix(".parquet"))
        index = index[index["dataset"] == dataset]
        self._row = dict(zip(index["sample"], index["row"], strict=True))

    def __contains__(self, sample: str) -> bool:
        return sample in self._row

    def batch(self, samples: Sequence[str]) -> torch.Tensor:
        """N x channels x height x width, float32."""
        missing = [sample for sample in samples if sample not in self._row]
        if missing:
            raise D3SError(f"the activations lack the sample {missing[0]}", "make them again from the present manifest")
        rows = torch.from_numpy(np.array([self._row[sample] for sample in samples], dtype=np.int64))
        return self.tensor[rows].float()


def trunk_of(encoder: Encoder) -> dict[str, object]:
    """What determines a trunk, and with a picture its activations; the weights by a digest of the frozen layers."""
    settings = encoder.settings
    frozen = [
        (name, bytes_digest(value.cpu().numpy().tobytes()))
        for module in encoder.lower
        for name, value in sorted(module.state_dict().items())
        if not name.endswith("num_batches_tracked")
    ]
    return {
        "timm_name": settings.timm_name,
        "input_size": settings.input_size,
        "frozen_stages": settings.frozen_stages,
        "frozen_weights": digest(frozen),
    }


def select_samples(manifest: pd.DataFrame, dataset: str, available: "Pictures | Activations") -> list[str]:
    """The samples of a data set: accepted ones of train, all that exist of val (the probes choose among them)."""
    split = dataset.rpartition("_")[2]
    rows = manifest[manifest["split"] == split]
    if split == "train":
        rows = rows[rows["accepted"]]
    return [sample for sample in rows["sample"] if sample in available]


def trunk_encoder(timm_name: str, weights: str | Path, input_size: int, frozen_stages: int) -> Encoder:
    """A pretrained encoder of which only the trunk is used, so that what its heads tell apart does not matter."""
    settings = EncoderSettings(
        timm_name=timm_name,
        input_size=input_size,
        frozen_stages=frozen_stages,
        background_fraction=0.5,
        batch_norm="frozen",
        classes=(0,),
        backgrounds=("any",),
    )
    encoder = Encoder(settings)
    encoder.load_pretrained(weights)
    return encoder.eval()


def in_batches(
    source: Pictures | Activations,
    samples: Sequence[str],
    compute: Callable[[torch.Tensor], torch.Tensor],
    batch_size: int,
    device: torch.device | str,
    label: str,
) -> torch.Tensor:
    """Apply ``compute`` to the inputs of samples, batch by batch, without gradients.

    Every batch has ``batch_size`` rows, the last one padded with its first sample: kernels that are chosen by batch
    size would otherwise change the last bits of some rows.

    Returns:
        N rows in the order of ``samples``, on the processor.

    Raises:
        D3SError: there are no samples.
    """
    if not samples:
        raise D3SError(f"there are no pictures for {label}", "look at results/tables/counts.csv for why none is there")
    starts = range(0, len(samples), batch_size)
    made = []
    with torch.no_grad():
        for start in cli.progress(starts, len(starts), "batches", label):
            names = list(samples[start : start + batch_size])
            padded = names + names[:1] * (batch_size - len(names))
            made.append(compute(source.batch(padded).to(device))[: len(names)].cpu())
    return torch.cat(made)


def in_kept_batches(
    store: ArrayStore | None,
    source: Pictures | Activations,
    samples: Sequence[str],
    digests: Sequence[str],
    compute: Callable[[torch.Tensor], torch.Tensor],
    batch_size: int,
    device: torch.device | str,
    label: str,
    save_every: int = 1024,
) -> tuple[np.ndarray, int]:
    """As ``in_batches``, in half precision and only for those pictures that the store has no numbers of.

    Args:
        store: nothing is kept without one.
        digests: of the samples' pictures; equal ones are computed once.
        save_every: rows that are kept at a time, and at most lost by a kill.

    Returns:
        N rows, float16, in the order of ``samples``, and how many of them were computed.
    """
    known = store.get(digests) if store else {}
    places = {key: place for place, key in enumerate(digests) if key not in known}
    keys = list(places)
    for start in range(0, len(keys), save_every):
        part = keys[start : start + save_every]
        made = in_batches(source, [samples[places[key]] for key in part], compute, batch_size, device, label)
        fresh = dict(zip(part, made.half().numpy(), strict=True))
        if store:
            store.put(fresh)
        known |= fresh
    if not samples:
        in_batches(source, samples, compute, batch_size, device, label)  # which says what is wrong
    return np.stack([known[key] for key in digests]), len(keys)


def datasets_of(manifest: pd.DataFrame) -> tuple[str, ...]:
    """``DATASETS``, without the guides where none is known: imported images may come without."""
    known = manifest.loc[manifest["split"] == "val", "guide_digest"].fillna("") != ""
    return DATASETS if known.any() else DATASETS[:2]


def digests_of(manifest: pd.DataFrame, dataset: str, samples: Sequence[str]) -> list[str]:
    """The digests of the pixels of samples in one of ``DATASETS``."""
    return manifest.set_index("sample").loc[list(samples), DIGESTS[dataset.partition("_")[0]]].tolist()


def index_of(datasets: dict[str, list[str]]) -> pd.DataFrame:
    """The table that says which row of which tensor is which sample."""
    rows = [
        {"dataset": dataset, "row": row, "sample": sample}
        for dataset, samples in sorted(datasets.items())
        for row, sample in enumerate(samples)
    ]
    return pd.DataFrame(rows, columns=["dataset", "row", "sample"])
