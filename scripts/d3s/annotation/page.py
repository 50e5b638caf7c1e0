"""The page of a batch: one HTML file that needs no other file and no network, and shows foreign text as text."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent
TEMPLATE, STYLE, SCRIPT, INDEX = "page.html", "page.css", "page.js", "index.html"


def data_address(jpeg: bytes) -> str:
    """A JPEG file as an address that holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def render_page(
    campaign: str,
    batch: int,
    items: Sequence[Mapping[str, Any]],
    classes: Mapping[int, Mapping[str, Any]],
    backgrounds: Mapping[str, str],
) -> str:
    """The page of a batch.

    Args:
        campaign: its name.
        batch: its number.
        items: item, key, class (id), background (name), picture (an address); without any known answer.
        classes: label, definition and examples (addresses) by class id.
        backgrounds: phrases by name.

    Returns:
        HTML. Its policy for content allows this script and this style by digest and nothing from elsewhere.
    """
    style, script = ((FOLDER / name).read_text(encoding="utf-8") for name in (STYLE, SCRIPT))
    payload = {
        "campaign": campaign,
        "batch": batch,
        "items": list(items),
        "classes": {str(class_id): dict(row) for class_id, row in classes.items()},
        "backgrounds": dict(backgrounds),
    }
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    return environment.get_template(TEMPLATE).render(
        title=f"Picture check, batch {batch}",
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        payload=embed_json(payload),
    )


def render_index(campaign: str, sizes: Mapping[int, int], votes: int) -> str:
    """The page that links to all batches.

    Args:
        campaign: its name.
        sizes: items of each batch, by its number.
        votes: people that each batch is for.
    """
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    return environment.get_template(INDEX).render(campaign=campaign, sizes=sorted(sizes.items()), votes=votes)


def embed_json(value: object) -> str:
    """JSON that can stand inside a script element: no character in it ends the element or begins a comment."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
