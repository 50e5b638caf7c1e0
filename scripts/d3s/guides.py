"""The samples of a shard and their guides: every choice from the sample's identity, one row for each planned image."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from PIL import Image

from d3s import cli
from d3s.composition import PlacementRanges, draw_placement, paste
from d3s.errors import BadInput
from d3s.identity import choose
from d3s.identity import seed as hashed_seed
from d3s.imageio import decode_png, encode_png, image_digest
from d3s.prompts import write_prompt
from d3s.shards import TarReader
from d3s.tables import Row


@dataclass(frozen=True)
class ShardPlan:
    """What a shard holds: ``count`` images of each class of a chunk, in one split, shift and background."""

    split: str
    shift: str
    background: str
    phrase: str
    revision: int
    count: int
    seed: int


@dataclass(frozen=True)
class PromptSettings:
    """How prompts are written; ``count`` gives the tokens of a text, of which ``limit`` are kept."""

    template: str
    negative: str
    count: Callable[[str], int]
    limit: int


@dataclass(frozen=True)
class Material:
    """Prepared exemplars and templates: their manifests and the tars that hold them."""

    exemplars: pd.DataFrame
    exemplar_tar: TarReader
    templates: pd.DataFrame
    template_tar: TarReader


def sample_name(plan: ShardPlan, class_id: int, index: int) -> str:
    """The name of a sample, unique in the data set and stable when anything else is added to it."""
    return f"{plan.split}-{plan.shift}-{plan.background}-{class_id:05d}-{index:05d}"


def compose_shard(
    plan: ShardPlan,
    classes: list[Row],
    material: Material,
    ranges: PlacementRanges,
    prompts: PromptSettings,
    size: int,
) -> tuple[pd.DataFrame, list[tuple[str, bytes]]]:
    """Choose exemplar, template, placement, prompt and noise seed for every sample, and paste its guide.

    Exemplar, placement and noise depend on (class, split, index, revision) and not on the background, so samples of
    equal index form a matched set across backgrounds; the template depends on the background as well.

    Returns:
        One row per planned sample, usable or not, and the guides as members of the shard.
    """
    exemplars = material.exemplars[(material.exemplars["status"] == "ok") & (material.exemplars["split"] == plan.split)]
    templates = material.templates[(material.templates["status"] == "ok") & (material.templates["split"] == plan.split)]
    templates = templates.set_index("template")
    pictures: dict[str, Image.Image] = {}
    records, members = [], []
    wanted = [(row, index) for row in classes for index in range(plan.count)]
    for row, index in cli.progress(wanted, len(wanted), "guides", f"{plan.split}/{plan.background}"):
        class_id = int(row["class_id"])
        identity = (class_id, plan.split, index, plan.revision)
        own = exemplars[exemplars["class_id"] == class_id].set_index("exemplar")
        name = sample_name(plan, class_id, index)
        placement = draw_placement(ranges, plan.seed, *identity)
        record = {
            "sample": name,
            "split": plan.split,
            "shift": plan.shift,
            "class_id": class_id,
            "class_name": row["name"],
            "background": plan.background,
            "index": index,
            "matched_set": f"{plan.split}-{plan.shift}-{class_id:05d}-{index:05d}-r{plan.revision}",
            "exemplar": "",
            "split_group": "",
            "template": "",
            "template_group": "",
            "prompt": "",
            "negative_prompt": prompts.negative,
            "prompt_tokens": 0,
            "prompt_trimmed": False,
            "seed": hashed_seed(plan.seed, "noise", *identity),
            **placement.as_dict(),
            "revision": plan.revision,
            "guide_digest": "",
            "member": "",
            "status": "ok",
            "reason": "",
        }
        records.append(record)
        try:
            if own.empty:
                raise BadInput("no_exemplar", f"class {row['name']} has no usable exemplar in {plan.split}")
            if templates.empty:
                raise BadInput("no_template", f"background {plan.background} has no usable template in {plan.split}")
            prompt = write_prompt(
                prompts.template, row["label"], row["definition"], plan.phrase, prompts.count, prompts.limit
            )
        except BadInput as error:
            record |= {"status": error.status, "reason": error.reason}
            continue
        exemplar = choose(sorted(own.index), plan.seed, "exemplar", *identity)
        template = choose(sorted(templates.index), plan.seed, "template", plan.background, *identity)
        for tar, member in (
            (material.exemplar_tar, own.at[exemplar, "member"]),
            (material.template_tar, templates.at[template, "member"]),
        ):
            if member not in pictures:
                pictures[member] = decode_png(tar.read(member))
        guide = paste(pictures[own.at[exemplar, "member"]], pictures[templates.at[template, "member"]], placement, size)
        record |= {
            "exemplar": exemplar,
            "split_group": own.at[exemplar, "split_group"],
            "template": template,
            "template_group": templates.at[template, "template_group"],
            "prompt": prompt.text,
            "prompt_tokens": prompt.tokens,
            "prompt_trimmed": prompt.trimmed,
            "guide_digest": image_digest(guide),
            "member": f"{name}.png",
        }
        members.append((f"{name}.png", encode_png(guide)))
    return pd.DataFrame(records), members
