"""How figures of this project look: width, colours, letters, and the marks that they share; equal input, equal bytes.

Drawn narrow (4.2 inches) and tall, so that a figure can be read on a phone without magnifying. Colours are those of
Okabe and Ito, told apart with any colour vision, and every series has a marker or a place of its own besides.
"""

import io
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

WIDTH = 4.2
"""Inches; 302 points, less than the CSS pixels that a phone of 390 leaves to a figure."""

INK, MUTED, GRID, PAPER = "#1d2125", "#67707a", "#dfe3e7", "#fffffe"
STRONG_BLUE = "#1f6aa5"
"""For areas with letters on them: unlike ``BLUE``, it stays on a dark page."""
BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#56b4e9",
    "#d55e00",
    "#c9b800",
)

WORDS_ONLY = "words-only"
"""The id of the text of a figure that has nothing to draw."""
Colour = tuple[float, float, float, float]
"""Red, green, blue and opacity, from 0 to 1."""

STYLE = {
    "svg.fonttype": "none",  # letters stay letters: small, selectable, read aloud
    "text.parse_math": False,  # a class name may hold a dollar sign
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelsize": 8,
    "ytick.color": GRID,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
    "ytick.major.size": 0,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 7.8,
    "legend.handlelength": 1.5,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
}


def in_order(names: Iterable[object], first: Sequence[str] = ("all", "ok")) -> list[str]:
    """Names once each: those that lead, then the others by name."""
    found = {str(name) for name in names}
    return [name for name in first if name in found] + sorted(found - set(first))


def figure_of(height: float) -> Figure:
    """An empty figure of the common width, with a layout that leaves nothing cut off."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def words_only(message: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure = figure_of(0.7)
    # The name lets the report leave such a figure out.
    figure.text(0.5, 0.5, textwrap.fill(message, 56), ha="center", va="center", color=MUTED, gid=WORDS_ONLY)
    return figure


def percent_axis(axes: Axes, low: float = 0.0, high: float = 100.0) -> None:
    """A horizontal axis of shares in per cent."""
    axes.set_xlim(low, high)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
    axes.grid(axis="x")


def label_rows(axes: Axes, labels: Sequence[str]) -> None:
    """One labelled row per name, from above, every second one shaded."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    for row in range(0, len(labels), 2):
        axes.axhspan(row - 0.5, row + 0.5, color=GRID, alpha=0.35, linewidth=0)


def point(
    axes: Axes, x: float, low: float, high: float, y: float, colour: str, marker: str, filled: bool = True
) -> None:
    """A share (or a difference of shares) with its interval, drawn in per cent (or points) along a row."""
    if np.isfinite([low, high]).all():
        axes.plot([100 * low, 100 * high], [y, y], color=colour, linewidth=1.3, solid_capstyle="butt", zorder=3)
    face = colour if filled else PAPER
    look = {"color": colour, "markerfacecolor": face, "markersize": 4.5, "markeredgewidth": 1.1}
    axes.plot([100 * x], [y], marker, clip_on=False, zorder=4, **look)


def legend(figure: Figure, entries: Sequence[tuple[str, str, str, bool]], columns: int = 3) -> None:
    """A legend above everything: (label, colour, marker, filled) each."""
    handles = [
        Line2D(
            [],
            [],
            color=colour,
            marker=marker,
            markersize=5,
            linewidth=1.3,
            markerfacecolor=colour if filled else PAPER,
        )
        for _, colour, marker, filled in entries
    ]
    figure.legend(handles, [label for label, *_ in entries], loc="outside upper left", ncols=columns, borderpad=0)


def points_axis(axes: Axes) -> None:
    """A horizontal axis of differences in percentage points, with their signs and a line at none."""
    axes.axvline(0, color=MUTED, linewidth=0.9, zorder=1)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:+.0f}".replace("-", "\u2212") if value else "0")
    axes.grid(axis="x")


def shortened(name: str, most: int = 26) -> str:
    """A name that fits beside a figure: its middle is left out if it is long, as its ends tell more."""
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}\u2026{name[-half:]}"


def beside_row(axes: Axes, row: float, text: str) -> None:
    """A small note at the right end of a row."""
    axes.annotate(
        text,
        (1, row),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=7,
        color=MUTED,
        annotation_clip=False,
    )


def level_colour(value: float) -> Colour:
    """The colour of a share: the higher the darker, pale enough for dark letters up to six tenths."""
    return matplotlib.colormaps["Blues"](0.05 + 0.8 * float(np.clip(value, 0, 1)))


def difference_colour(value: float, most: float) -> Colour:
    """The colour of a difference between minus and plus ``most``: orange below zero, blue above, white at it."""
    share = 0.85 * float(np.clip(value / most, -1, 1)) if most else 0.0
    end = np.array(to_rgb(BLUE if share > 0 else RED))
    red, green, blue = 1 + abs(share) * (end - 1)
    return float(red), float(green), float(blue), 1.0


def matrix(
    axes: Axes,
    rows: Sequence[str],
    columns: Sequence[str],
    colours: Sequence[Sequence[Colour | None]],
    texts: Sequence[Sequence[str]],
    small: Sequence[Sequence[str]] | None = None,
    size: float = 7.5,
) -> None:
    """Coloured cells with a text, and a smaller one below it; a cell without colour is empty.

    Cells keep their colours on a dark page, so their letters must not follow the page's ink.
    """
    for y, line in enumerate(colours):
        for x, face in enumerate(line):
            note = small[y][x] if small else ""
            if face is not None:
                axes.add_patch(Rectangle((x - 0.48, y - 0.47), 0.96, 0.94, facecolor=face, linewidth=0))
            ink = MUTED if face is None else "#0b0d0f" if luminance(face) > 0.2 else "#ffffff"
            if texts[y][x]:
                axes.text(
                    *(x, y - (0.13 if note else 0), texts[y][x]), ha="center", va="center", color=ink, fontsize=size
                )
            if note:
                axes.text(x, y + 0.28, note, ha="center", va="center", color=ink, fontsize=0.72 * size)
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_xticks(range(len(columns)), list(columns), color=INK)
    axes.tick_params(axis="x", length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    room = 2.9 / len(columns)  # inches; a letter takes about 0.062
    longest = max(map(len, columns))
    for label in axes.get_xticklabels() if longest > 3 and 0.062 * longest > room else ():
        label.set(rotation=40, ha="left", rotation_mode="anchor")
    axes.spines["bottom"].set_visible(False)


def frame_cell(axes: Axes, x: int, y: int, dashed: bool = False) -> None:
    """A frame around a cell of a matrix."""
    dashes = (0, (2, 1.2)) if dashed else "-"
    axes.add_patch(
        Rectangle(
            *((x - 0.44, y - 0.43), 0.88, 0.86),
            facecolor="none",
            edgecolor="#0b0d0f",
            linewidth=1.3,
            linestyle=dashes,
            zorder=3,
        )
    )


def luminance(colour: Colour) -> float:
    """The relative luminance of a colour (WCAG 2), from 0 to 1."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def svg_of(name: str, draw: Callable[[pd.DataFrame], Figure], table: pd.DataFrame) -> str:
    """A figure as SVG text, free of dates and versions; ``name`` salts its ids, so that figures can share a page."""
    buffer = io.BytesIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        draw(table).savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
