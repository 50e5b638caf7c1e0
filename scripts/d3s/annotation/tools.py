"""The same campaign for tools that labs already have: Label Studio, and Mechanical Turk's batches."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from d3s.spreadsheets import defuse

TITLES = {
    "object": "Is this in the picture: {label}?",
    "unsafe": "Is there adult or violent content?",
    "background": "Is the place “{phrase}”?",
}
"""The questions."""
HOTKEYS = {"object": "123", "unsafe": "456", "background": "789"}
"""Label Studio's, for yes, no and unsure."""
LOCAL_FILES = "/data/local-files/?d=images/"
"""Where Label Studio serves a folder of its own machine."""
LARGEST_LAYOUT = 65_535
"""Bytes of a question that Mechanical Turk takes."""


def describe_items(
    items: pd.DataFrame, classes: Mapping[int, Mapping[str, Any]], backgrounds: Mapping[str, str], address: str
) -> list[dict[str, Any]]:
    """What a tool is told of each item: its names, the address of its picture and the words of its questions.

    Args:
        items: rows of a campaign in the order in which they are shown.
        classes: label and definition by class id.
        backgrounds: phrases by name.
        address: what stands before a picture's file name.
    """
    return [
        {
            "batch": int(row["batch"]),
            "item": row["item"],
            "key": row["key"],
            "image": f"{address}{row['item']}.jpg",
            "label": classes[row["class_id"]]["label"],
            "definition": classes[row["class_id"]]["definition"],
            "background": backgrounds[row["background"]],
            **_questions(classes[row["class_id"]]["label"], backgrounds[row["background"]]),
        }
        for row in items.to_dict("records")
    ]


def _questions(label: str, phrase: str) -> dict[str, str]:
    return {f"question_{name}": title.format(label=label, phrase=phrase) for name, title in TITLES.items()}


def label_studio_config() -> str:
    """The labelling interface of Label Studio, as its XML; shown texts come from the tasks, as text."""
    parts = []
    for question in TITLES:
        choices = "".join(
            f'    <Choice value="{answer}" hotkey="{key}"/>\n'
            for answer, key in zip(("yes", "no", "unsure"), HOTKEYS[question], strict=True)
        )
        parts.append(
            f'  <Header size="4" value="$question_{question}"/>\n'
            f'  <Choices name="{question}" toName="image" choice="single" showInline="true" required="true">\n'
            f"{choices}  </Choices>\n"
        )
    return (
        "<View>\n"
        '  <Header value="$label"/>\n'
        '  <Text name="definition" value="$definition"/>\n'
        '  <Image name="image" value="$image"/>\n' + "".join(parts) + "</View>\n"
    )


def label_studio_tasks(described: Sequence[Mapping[str, Any]]) -> str:
    """Tasks for Label Studio's import, as JSON."""
    tasks = [{"data": dict(row)} for row in described]
    return json.dumps(tasks, indent=1, ensure_ascii=False) + "\n"


def address_of_images(address: str) -> str:
    """An address of the folder ``images/``, with the slash that a file's name follows; empty if there is none."""
    return address if not address or address.endswith(("/", "=")) else f"{address}/"


def deal_items(described: Sequence[Mapping[str, Any]], gold: Sequence[bool], per_task: int) -> list[Mapping[str, Any]]:
    """Items in an order that gives every task its share of gold, since its worker may do no other one.

    Args:
        described: from ``describe_items``.
        gold: which of them are gold.
        per_task: items of a task.
    """
    known = [item for item, is_gold in zip(described, gold, strict=True) if is_gold]
    others = [item for item, is_gold in zip(described, gold, strict=True) if not is_gold]
    tasks = -(-len(described) // per_task)
    dealt: list[Mapping[str, Any]] = []
    for task in range(tasks):
        own = known[task::tasks][:per_task]
        own += others[: per_task - len(own)]
        others = others[per_task - len(known[task::tasks][:per_task]) :]
        dealt += sorted(own, key=lambda item: item["item"])  # names are digests, so this is a shuffle
    return dealt


def mechanical_turk_rows(described: Sequence[Mapping[str, Any]], per_task: int) -> pd.DataFrame:
    """The rows of Mechanical Turk's input file: so many items each, in numbered columns; the last row may have gaps."""
    names = ("item", "key", "image", "label", "definition", "background")
    rows = []
    for start in range(0, len(described), per_task):
        row: dict[str, str] = {}
        for number in range(1, per_task + 1):
            given = described[start + number - 1] if start + number <= len(described) else dict.fromkeys(names, "")
            row |= {f"{name}_{number}": " ".join(str(given[name]).split()) for name in names}
        rows.append(row)
    columns = [f"{name}_{number}" for number in range(1, per_task + 1) for name in names]
    table = pd.DataFrame(rows, columns=columns)
    return defuse(table.map(html.escape))  # the layout takes values as HTML


def mechanical_turk_layout(per_task: int) -> str:
    """The layout of a Mechanical Turk project: plain HTML, small, with addresses of pictures in place of pictures.

    Raises:
        ValueError: so many images make a question that Mechanical Turk refuses.
    """
    page = (
        "<style>\n"
        "article{border-top:2px solid #767c85;padding:12px 0;max-width:720px;font:16px/1.4 sans-serif}\n"
        "article img{max-width:100%;max-height:420px;background:#808080}\n"
        "fieldset{border:0;padding:4px 0;margin:0}label{margin-right:18px}\n"
        "article:has(h2:empty){display:none}\n"
        "</style>\n"
        "<section><p>Look at each picture and answer three questions. The thing counts if you recognise it, even small "
        "or odd. Say unsure if you would only be guessing. The question may be wrong on purpose. The pictures are made "
        "by a computer; if one upsets you, return the task.</p></section>\n"
        + "".join(_article(number) for number in range(1, per_task + 1))
        + "<script>document.querySelectorAll('article').forEach(a=>{if(!a.querySelector('h2').textContent.trim())"
        "a.remove()});</script>\n"
    )
    if len(page.encode()) > LARGEST_LAYOUT:
        raise ValueError(
            f"{per_task} images make a layout of {len(page.encode())} bytes; {LARGEST_LAYOUT} are the most"
        )
    return page


def _article(number: int) -> str:
    fields = "".join(_field(question, number) for question in TITLES)
    return (
        f"<article><h2>${{label_{number}}}</h2><p>${{definition_{number}}}</p>"
        f'<img src="${{image_{number}}}" alt="Picture {number}">{fields}</article>\n'
    )


def _field(question: str, number: int) -> str:
    title = TITLES[question].format(label=f"${{label_{number}}}", phrase=f"${{background_{number}}}")
    radios = "".join(_radio(f"{question}_{number}", answer) for answer in ("yes", "no", "unsure"))
    return f"<fieldset><legend>{title}</legend>{radios}</fieldset>"


def _radio(name: str, answer: str) -> str:
    return f'<label><input type="radio" name="{name}" value="{answer}" required>{answer}</label>'
