"""Making the images of one shard: what the store has is taken from it, the rest is generated, batch by batch."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

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
        bar = cli.progress(missing.values(), len(missing), "images", label)
        batch = []
        for row in bar:
            batch.append(row)
            if len(batch) >= generator.batch_size:  # which shrinks when memory runs out
                made |= _make_batch(batch, guides, generator, store)
                batch = []
        if batch:
            made |= _make_batch(batch, guides, generator, store)
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


def _make_batch(rows: list, guides: TarReader, generator: ImageMaker, store: ImageStore) -> dict[str, bytes]:
    requests = [
        Request(
            decode_png(guides.read(row.guide_member)),
            row.prompt,
            row.negative_prompt,
            int(row.seed),
            decode_png(guides.read(mask_member(row.sample))) if row.mode == "inpainting" else None,
        )
        for row in rows
    ]
    pictures = generator.generate(requests)
    made = {row.recipe: encode_png(picture) for row, picture in zip(rows, pictures, strict=True)}
    store.put(made.items())
    return made
