"""Benchmarks of guides, shards and exports."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from measuring import ROOT, Figure, figure, paired


def composition(folder: Path) -> Iterator[Figure]:
    """Guides per second of one core, beside the bare decoding, resizing and encoding of the same pixels."""
    from PIL import Image

    from d3s.composition import PlacementRanges
    from d3s.guides import Material, PromptSettings, ShardPlan, compose_shard, plan_shard
    from d3s.imageio import decode_png, encode_png, image_digest
    from d3s.shards import TarReader, write_tar

    size, count = 512, 60
    rng = np.random.default_rng(0)

    def photo(side: int, mode: str) -> Image.Image:
        small = rng.integers(0, 256, (24, 24, len(mode)), dtype=np.uint8)
        picture = Image.fromarray(small, mode).resize((side, side), Image.Resampling.BICUBIC)
        grain = np.asarray(picture, dtype=np.int16) + rng.integers(-9, 10, (side, side, len(mode)))
        return Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8), mode)

    tables, tars = [], []
    for kind, name, side, mode in (("exemplar", "fg", 400, "RGBA"), ("template", "bg", 576, "RGB")):
        pictures = {f"{kind}{n}.png": photo(side, mode) for n in range(count)}
        write_tar(folder / f"{name}.tar", ((member, encode_png(p)) for member, p in pictures.items()))
        rows = [
            {kind: m.removesuffix(".png"), "member": m, "digest": image_digest(p), "split": "train", "status": "ok"}
            for m, p in pictures.items()
        ]
        tables.append(pd.DataFrame(rows))
        tars.append(TarReader(folder / f"{name}.tar"))
    exemplars = tables[0].assign(class_id=0, split_group=tables[0]["exemplar"])
    templates = tables[1].assign(template_group=tables[1]["template"])
    classes = [{"class_id": "0", "name": "thing", "label": "thing", "definition": "", "imagenet_indices": ""}]
    prompts = PromptSettings(("a photo of a {class}, {background}",), "", lambda text: len(text.split()), 77)

    plan = ShardPlan("train", "background", "bg", "in a place", "bg", 0, count, 1)
    ranges = PlacementRanges((0.4, 0.4), True, (0, 1), (0, 1))
    chosen = plan_shard(plan, classes, exemplars, templates, ranges, prompts)

    def ours() -> None:
        compose_shard(plan, classes, Material(exemplars, tars[0], templates, tars[1]), ranges, prompts, size)

    def bare() -> None:  # each picture that is used is decoded once, as by us, and resized for every guide
        pictures = [
            {name: decode_png(tar.read(f"{name}.png")) for name in set(chosen[kind])}
            for tar, kind in zip(tars, ("exemplar", "template"), strict=True)
        ]
        for exemplar, template in zip(chosen["exemplar"], chosen["template"], strict=True):
            pictures[0][exemplar].resize((size * 2 // 5,) * 2, Image.Resampling.LANCZOS)
            encode_png(pictures[1][template].resize((size, size), Image.Resampling.LANCZOS))

    seconds, floor = paired(ours, bare)
    yield figure("guides of 512 px composed per second and core", count / seconds, "images/s")
    yield figure(
        "guide composition", seconds / floor, "x", 1.3, floor="bare decode, resize and encode of the same pixels"
    )


def packing(folder: Path) -> Iterator[Figure]:
    """What packing a shard and keeping it in the store costs beside the generation of its images."""
    from d3s.generator import Generator
    from d3s.imageio import encode_png, image_digest
    from d3s.sampling import Request, Sampling
    from d3s.shards import write_shard
    from d3s.store import ImageStore
    from tiny import draw_ground

    generator = Generator(ROOT / "models/demo-generator", Sampling("DDIMScheduler", 20, 0.55, 2.5), 128, "float32", 8)
    requests = [Request(draw_ground((60, 150, 60), n).resize((128, 128)), "a bird, on grass", "", n) for n in range(16)]
    started = time.monotonic()
    pictures = [p for start in (0, 8) for p in generator.generate(requests[start : start + 8])]
    generation = time.monotonic() - started
    started = time.monotonic()
    store = ImageStore(folder / "store")
    data = [encode_png(picture) for picture in pictures]
    keys = [f"{number:032x}" for number in range(len(data))]
    for start in (0, 8):
        store.put(list(zip(keys, data, strict=True))[start : start + 8])
    names = [f"s{number}.png" for number in range(len(data))]
    table = pd.DataFrame({"sample": names, "image_digest": [image_digest(picture) for picture in pictures]})
    digests = write_shard(folder / "0.tar", table, zip(names, data, strict=True))
    store.adopt(folder / "0.tar", {k: (n, digests[n]) for k, n in zip(keys, names, strict=True)})
    packed = time.monotonic() - started
    yield figure("generation of a demo image", generation / len(data), "s")
    floor = "generation of the same images, in 11 calls of the denoiser"
    yield figure("shard packing", 100 * packed / generation, "%", 2.0, floor=floor)


def exporting(folder: Path) -> Iterator[Figure]:
    """How long it takes to export 10,000 images of 128 px in all formats, beside a bare copy of their shards."""
    import hashlib
    import shutil
    from itertools import count

    from PIL import Image

    from d3s.export.dataset import export
    from d3s.export.folder import export_folder
    from d3s.imageio import encode_png
    from d3s.manifest import build_manifest, gather
    from d3s.shards import write_shard
    from small import BACKGROUNDS, about_small, record_of, screens_of

    rng = np.random.default_rng(0)
    classes = [{"class_id": str(n), "name": f"c{n}", "label": f"class {n}", "definition": ""} for n in range(50)]
    pictures = []  # some, again and again: making ten thousand would take longer than all that is measured
    for _ in range(100):
        coarse = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
        grain = np.asarray(coarse.resize((128, 128), Image.Resampling.BICUBIC), dtype=np.int16)
        grain = grain + rng.integers(-4, 5, grain.shape)
        pictures.append(encode_png(Image.fromarray(np.clip(grain, 0, 255).astype(np.uint8))))
    tars, tables, members = [], [], 0
    for split, per_cell in (("train", 80), ("val", 20)):
        for row in BACKGROUNDS:
            tar = folder / "images" / split / row["background"] / "0.tar"
            records = [record_of(split, row["background"], one, n) for one in classes for n in range(per_cell)]
            table = pd.DataFrame(records).assign(shard=tar.as_posix())
            write_shard(tar, table, ((name, pictures[n % len(pictures)]) for n, name in enumerate(table["member"])))
            members += len(table)
            tars.append(tar)
            tables.append(table)
    manifest = build_manifest(gather(tables), screens_of(gather(tables)), 0)
    megabytes = sum(tar.stat().st_size for tar in tars) / 1e6

    about = about_small(classes, which="all", images_per_file=1000)
    numbers = count()

    def ours() -> None:
        with export_folder(folder / f"export-{next(numbers)}") as made:
            export(made, manifest, tars, about)

    def bare() -> None:  # what cannot be saved: each byte is checked, and hashed and written for each format
        bare_folder = folder / f"bare-{next(numbers)}"
        (bare_folder / "links").mkdir(parents=True)
        for place, tar in enumerate(tars):
            data = tar.read_bytes()
            hashlib.blake2b(data, digest_size=16).digest()
            for kind in ("parquet", "tar"):
                with open(bare_folder / f"{place}.{kind}", "wb") as file:
                    file.write(data)
                    hashlib.sha256(data).digest()
                    os.fsync(file.fileno())
        for place in range(members):
            data = pictures[place % len(pictures)]
            (bare_folder / f"{place}.png").write_bytes(data)
            hashlib.sha256(data).digest()
            (bare_folder / "links" / f"{place}.png").symlink_to(f"../{place}.png")

    def copied() -> None:
        for tar in tars:
            shutil.copyfile(tar, folder / "0.copy")

    seconds, floor = paired(ours, bare, rounds=3)
    copy, _ = paired(copied, lambda: None, rounds=3)
    yield figure(f"export of {members:,} images of 128 px", seconds, "s")
    yield figure("export, shards read per second", megabytes / seconds, "MB/s")
    yield figure(
        "export against a copy", seconds / copy, "x", None, floor="a bare copy of the shards, not forced to disk"
    )
    yield figure(
        "export against its bytes",
        seconds / floor,
        "x",
        2.0,
        floor="checking, hashing and writing as many bytes and files",
    )
