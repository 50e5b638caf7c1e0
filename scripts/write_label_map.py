"""Write a label map: the classes of a class table by synset, or the nine classes of ImageNet-9.

With --classes, pictures in ImageNet's folders (n01440764) are scored as the classes of your data set, so that
ImageNet's validation images are a reference for it. With --imagenet9, the classes are those of in_to_in9.json, which
comes with the backgrounds challenge.
"""

import argparse
import csv
import io
import json
import logging
from pathlib import Path

from d3s import cli
from d3s.errors import D3SError
from d3s.imagenet import built_in_map
from d3s.label_maps import CLASSES, COLUMNS, LabelMap, write_indices
from d3s.shards import write_text
from d3s.tables import Row, parse_indices, read_table

log = logging.getLogger("d3s")
IMAGENET_9 = (
    *("00_dog", "01_bird", "02_wheeled vehicle", "03_reptile", "04_carnivore"),
    *("05_insect", "06_musical instrument", "07_primate", "08_fish"),
)
"""The folders of ImageNet-9's classes, by the numbers that in_to_in9.json gives them."""


def parse() -> argparse.Namespace:
    """The arguments of this script."""
    parser = cli.parser(__doc__)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--classes", type=Path, help="class table with imagenet_indices")
    given.add_argument("--imagenet9", type=Path, help="in_to_in9.json of the backgrounds challenge")
    parser.add_argument("--output", type=Path, required=True, help="label map to write (CSV); it must not exist")
    return parser.parse_args()


def rows_of_classes(path: Path) -> list[Row]:
    """A row for each synset of ImageNet that a class of a class table has among its indices.

    Raises:
        D3SError: the table is not valid, or has no index or one that ImageNet has not.
    """
    synsets = list(built_in_map("synset").ids)  # in the order of ImageNet's indices
    rows = [
        (row["name"], index) for row in read_table(path, "classes") for index in parse_indices(row["imagenet_indices"])
    ]
    beyond = [index for _, index in rows if index >= CLASSES]
    if beyond or not rows:
        wrong = f"has the ImageNet index {beyond[0]}" if beyond else "gives no class any imagenet_indices"
        raise D3SError(f"{path} {wrong}", "correct that column; indices run from 0 to 999")
    return [{"label": synsets[index], "name": name, "imagenet_indices": str(index)} for name, index in rows]


def rows_of_imagenet9(path: Path) -> list[Row]:
    """A row for each class of ImageNet-9.

    Raises:
        D3SError: the file is not a map of ImageNet's indices to -1 and the numbers of nine classes.
    """
    problem = f"{path} is not the in_to_in9.json of the backgrounds challenge"
    remedy = "take the one in its repository: ImageNet's indices as keys, and -1 to 8 as values"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        numbers = {int(index): int(number) for index, number in content.items()}
    except OSError as error:
        raise D3SError(f"{path} can't be read ({error.strerror})", "correct its path") from None
    except (ValueError, TypeError, AttributeError):
        raise D3SError(problem, remedy) from None
    if not set(numbers) <= set(range(CLASSES)) or not set(range(9)) <= set(numbers.values()) <= set(range(-1, 9)):
        raise D3SError(problem, remedy)
    groups = [[index for index, number in numbers.items() if number == place] for place in range(9)]
    return [
        {"label": label, "name": label[3:], "imagenet_indices": write_indices(group)}
        for label, group in zip(IMAGENET_9, groups, strict=True)
    ]


def main(args: argparse.Namespace) -> None:
    """Write the map.

    Raises:
        D3SError: the file exists, since it may have been edited by hand; or what is given can't be read.
    """
    if args.output.exists():
        raise D3SError(f"{args.output} exists already", "name another file, or delete it")
    rows = rows_of_classes(args.classes) if args.classes else rows_of_imagenet9(args.imagenet9)
    labels = LabelMap.from_rows(rows, str(args.classes or args.imagenet9))
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(args.output, text.getvalue())
    log.info("%d labels of %d classes written to %s", len(rows), len(labels.names), args.output)


if __name__ == "__main__":
    cli.run(parse, main)
