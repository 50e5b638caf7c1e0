"""Making the images of one shard: what the store has is taken from it, the rest is generated, batch by batch."""

import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pandas as pd
from PIL.Image import Image

from d3s import cli
from d3s.errors import BadInput
from d3s.guides import mask_member
from d3s.imageio import decode_png, encode_png, image_digest
from d3s.recipes import GENERATION_VERSION, Recipe
from d3s.sampling import ImageMaker, Request, read_options
from d3s.shards import TarReader
from d3s.store import ImageStore

log = logging.getLogger("d3s")


def recipe_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a config that ``plan_recipes`` wants."""
    generator = config["generator"]
    names = ("mode", "scheduler", "steps", "strength", "guidance", "dtype")
    options = json.dumps(generator["scheduler_options"], sort_keys=True)
    return {name: generator[name] for name in names} | {"options": options, "size": config["guides"]["size"]}


def plan_recipes(guides: pd.DataFrame, model_digest: str, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The image manifest of a shard before anything is made: the guides' rows with their recipe keys.

    Args:
        guides: manifest of the guide shard.
        model_digest: of the generator's files.
        settings: ``mode``, ``scheduler``, ``options`` (as JSON), ``steps``, ``strength``, ``guidance``, ``size`` and
            ``dtype``.

    Returns:
        A table with ``guide_shard`` and ``guide_member`` for where the guide lies.
    """
    table = guides.rename(columns={"shard": "guide_shard", "member": "guide_member"})
    guided = settings["mode"] != "text2image"  # without a guide, neither it nor the strength matters
    given = {**settings, "options": read_options(settings["options"])} | ({} if guided else {"strength": 1.0})
    keys = []
    for row in table.itertuples():
        recipe = Recipe(
            guide=row.guide_digest if guided else "",
            mask=row.mask_digest if settings["mode"] == "inpainting" else "",
            prompt=row.prompt,
            negative_prompt=row.negative_prompt,
            seed=int(row.seed),
            model=model_digest,
            **given,
        )
        keys.append(recipe.key if row.status == "ok" else "")
    return table.assign(
        recipe=keys,
        model_digest=model_digest,
        generation_version=GENERATION_VERSION,
        **{name: settings[name] for name in ("scheduler", "steps", "guidance", "dtype", "mode", "options")},
        strength=given["strength"],
        image_digest="",
        member="",
    )


def make_images(
    table: pd.DataFrame,
    guides: TarReader,
    store: ImageStore,
    load: Callable[[], ImageMaker],
    label: str,
) -> tuple[pd.DataFrame, list[tuple[str, bytes]]]:
    """Make what is missing and gather the shard.

    Args:
        table: from ``plan_recipes``.
        guides: the guide shard.
        store: finished images; every batch is kept there as soon as it is done.
        load: loads the generator, only if there is anything to make; it says how many images make a batch.
        label: of the progress bar.

    Returns:
        The finished manifest and the shard's members.
    """
    table = table.copy()
    made: dict[str, bytes] = {}
    missing: dict[str, Any] = {}  # rows of the table, by recipe
    for row in table[table["status"] == "ok"].itertuples():
        data = store.get(row.recipe)
        if data is not None:
            made[row.recipe] = data
        else:
            missing.setdefault(row.recipe, row)
    log.info("%d images to make, %d in the store", len(missing), len(made))
    if missing:
        generator = load()
        step, calls = generator.first_timestep()
        log.info("denoising starts at timestep %d of 1000 and takes %d calls", step, calls)
        made |= _make_batches(list(missing.values()), guides, generator, store, label)
    members = []
    for position, row in zip(table.index, table.to_dict("records"), strict=True):
        if row["status"] != "ok":
            continue
        data = made[row["recipe"]]
        try:
            table.at[position, "image_digest"] = image_digest(decode_png(data))
        except BadInput as error:
            table.loc[position, ["status", "reason"]] = [error.status, error.reason]
            continue
        table.at[position, "member"] = f"{row['sample']}.png"
        members.append((f"{row['sample']}.png", data))
    return table, members


def _make_batches(
    rows: list, guides: TarReader, generator: ImageMaker, store: ImageStore, label: str
) -> dict[str, bytes]:
    """Make images batch by batch; while one is denoised, the one before it is encoded and stored.

    On a fast GPU encoding takes a tenth of the time that denoising does. One batch waits at most, and what was made is
    stored even if the next one fails.
    """
    made: dict[str, bytes] = {}
    with ThreadPoolExecutor(max_workers=1) as beside:
        waiting: Future[dict[str, bytes]] | None = None
        batch = []
        for number, row in enumerate(cli.progress(rows, len(rows), "images", label), start=1):
            batch.append(row)
            if len(batch) < generator.batch_size and number < len(rows):  # the size shrinks when memory runs out
                continue
            pictures = generator.generate([_request(row, guides) for row in batch])
            if waiting:
                made |= waiting.result()
            waiting = beside.submit(_keep, batch, pictures, store)
            batch = []
        return made | (waiting.result() if waiting else {})


def _request(row: Any, guides: TarReader) -> Request:
    return Request(
        decode_png(guides.read(row.guide_member)),
        row.prompt,
        row.negative_prompt,
        int(row.seed),
        decode_png(guides.read(mask_member(row.sample))) if row.mode == "inpainting" else None,
    )


def _keep(rows: list, pictures: list[Image], store: ImageStore) -> dict[str, bytes]:
    made = {row.recipe: encode_png(picture) for row, picture in zip(rows, pictures, strict=True)}
    store.put(made.items())
    return made
