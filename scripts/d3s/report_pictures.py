"""Pictures as parts of the report's page, which needs no other file."""

import base64
import re
from collections.abc import Iterable
from pathlib import Path

from markupsafe import Markup

from d3s import drawing
from d3s.errors import D3SError


def inline_svg(text: str, prefix: str) -> Markup:
    """An SVG figure as a part of the page: its ids made unique, its size left to the page, its ink that of the page.

    A drawing with a script in it is not ours, and becomes a picture, in which scripts don't run.
    """
    if re.search(r"<script|\bon\w+\s*=|javascript:", text, re.IGNORECASE):
        return _picture("image/svg+xml", text.encode(), prefix)
    found = re.search(r"<svg\b.*</svg>", text, re.DOTALL)
    if found is None:
        return Markup('<p class="absent">{} is not an SVG file.</p>').format(prefix)
    svg = found.group(0)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", svg)
    head, rest = svg.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    for colour, name in (
        (drawing.INK, "ink"),
        (drawing.MUTED, "muted"),
        (drawing.GRID, "line"),
        (drawing.PAPER, "card"),
        (drawing.BLUE, "blue"),
    ):
        rest = rest.replace(colour, f"var(--{name})")
    return Markup(f'{head} role="img" aria-label="figure: {prefix}">{rest}')


def _picture(kind: str, data: bytes, name: str) -> Markup:
    return Markup('<img class="figure" src="data:{};base64,{}" alt="figure: {}">').format(
        kind, base64.b64encode(data).decode(), name
    )


def embed_figures(files: Iterable[Path]) -> dict[str, Markup]:
    """The figures by name, ready to stand in the page; files that don't exist are left out."""
    embedded = {}
    for path in files:
        if not path.is_file():
            continue
        if path.suffix == ".svg":
            embedded[path.stem] = inline_svg(path.read_text(encoding="utf-8"), re.sub(r"\W", "-", path.stem))
        else:
            kind = "image/png" if path.suffix == ".png" else "image/jpeg"
            embedded[path.stem] = _picture(kind, path.read_bytes(), path.stem)
    return embedded


def check_pictures(pictures: Iterable[str | None], path: Path) -> None:
    """Make sure that pictures are JPEGs within the page, as our own scripts write them.

    Raises:
        D3SError: one is something else, an address of the web, say.
    """
    if not all(
        picture is None or re.fullmatch(r"data:image/jpeg;base64,[A-Za-z0-9+/=]+", picture) for picture in pictures
    ):
        raise D3SError(f"{path} holds something that is no JPEG", "delete it and run the workflow again")
