"""The index of a benchmark: a row for each of its pictures, with the digest of its bytes and its class.

Classifiers read pictures by the index and keep what they see by the digest; what labels mean is the label map's matter.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pandas as pd
from PIL import Image

from d3s import cli
from d3s.benchmark_kind import BenchmarkKind, Entry, listed
from d3s.errors import BadInput, D3SError
from d3s.folders import suggest
from d3s.identity import uniform
from d3s.imageio import read_image, read_size
from d3s.label_maps import LabelMap

log = logging.getLogger("d3s")
COLUMNS = (
    *("sample", "file", "box", "digest", "label", "class_id", "class_name"),
    *("background", "variant", "matched_set", "split", "status", "reason"),
)
"""Of an index.

``sample`` is the path in the benchmark (with a number behind it, if rows name a picture twice) and ``file`` the one to
open; ``box`` is the part of the picture that counts (``left upper right lower`` in pixels), empty for the whole of it;
``digest`` is the SHA-256 of the file's bytes, or of that and the box; ``class_id`` is the class's place in the
label map, -1 if there is none; ``status`` is ``ok`` or says with ``reason`` why the picture can't be used.
"""


def build_index(
    benchmark: BenchmarkKind, labels: LabelMap, sha256: Callable[[Path], str], seed: int = 0
) -> pd.DataFrame:
    """Look at every picture of a benchmark, or at those that ``limit_per_class`` leaves.

    Args:
        benchmark: where they lie and what is known of them.
        labels: what their labels mean.
        sha256: of a file's bytes.
        seed: root seed, for the choice.

    Returns:
        A table with ``COLUMNS``, usable rows and others, in the order of the samples.

    Raises:
        D3SError: there are no pictures, or what lists them can't be read.
    """
    entries = mark_repeated(benchmark.entries())
    if not entries:
        raise D3SError(f"{benchmark.where}: no pictures in {benchmark.folder} that the config wants", "correct folder:")
    known = [judge_label(entry, labels) for entry in entries]
    chosen = choose_entries(known, labels, benchmark.given["limit_per_class"], seed)
    if len(chosen) < len(known):
        log.info("%d of %d pictures are looked at (limit_per_class)", len(chosen), len(known))
    top = benchmark.folder.resolve()
    records = []
    seen: Counter[str] = Counter()
    for entry in cli.progress(chosen, len(chosen), "pictures", benchmark.given["name"]):
        name = printable(entry.sample)
        seen[name] += 1
        class_id = labels.ids.get(entry.label, -1)
        record = {
            "sample": name if seen[name] == 1 else f"{name}#{seen[name]}",
            "file": printable((benchmark.folder / entry.sample).as_posix()),
            "box": "",
            "digest": "",
            "label": printable(entry.label),
            "class_id": class_id,
            "class_name": labels.names[class_id] if class_id >= 0 else "",
            **{cell: printable(getattr(entry, cell)) for cell in ("background", "variant", "matched_set", "split")},
            "status": "ok",
            "reason": "",
        }
        records.append(record)
        try:
            if entry.fault:
                raise entry.fault
            file = locate(top, entry.sample)
            box = benchmark.box(*read_size(file))
            record["digest"] = sha256(file)
            if box is not None:
                record["box"] = " ".join(map(str, box))
                record["digest"] = hashlib.sha256(f"{record['digest']} {record['box']}".encode()).hexdigest()
        except BadInput as error:
            record |= {"status": error.status, "reason": printable(error.reason), "digest": ""}
        except OSError as error:
            record |= {"status": "unreadable", "reason": f"it can't be read ({error.strerror})", "digest": ""}
    table = pd.DataFrame(records, columns=list(COLUMNS)).astype({"class_id": "int64"})
    return table.sort_values("sample", ignore_index=True)


def mark_repeated(entries: Iterable[Entry]) -> list[Entry]:
    """The entries, where one that names a picture again is refused, and all of those that contradict each other."""
    found = list(entries)
    labels: dict[str, set[str]] = {}
    for entry in found:
        labels.setdefault(entry.sample, set()).add(entry.label)
    first: set[str] = set()
    for place, entry in enumerate(found):
        again = entry.sample in first
        first.add(entry.sample)
        if entry.fault is not None:
            continue
        if len(labels[entry.sample]) > 1:
            told = " and ".join(sorted(labels[entry.sample]))
            found[place] = replace(entry, fault=BadInput("contradicted", f"it is listed as {told}"))
        elif again:
            found[place] = replace(entry, fault=BadInput("duplicate", "it is listed more than once"))
    return found


def judge_label(entry: Entry, labels: LabelMap) -> Entry:
    """The entry, refused if classifiers can't be asked about its label, or if its name can't be kept."""
    fault = entry.fault
    class_id = labels.ids.get(entry.label)
    if fault is None and entry.sample != _writable(entry.sample):
        fault = BadInput("bad_name", "its name is not UTF-8; rename it")
    if fault is None and class_id is None:
        hint = suggest(entry.label, labels.ids) if len(labels.ids) < 100 else ""  # among a thousand, all are near
        fault = BadInput("unknown_label", f"{labels.where} has no label {printable(entry.label)!r}{hint}")
    if fault is None and class_id is not None and not labels.indices[class_id]:
        reason = f"{labels.where} gives {labels.names[class_id]} no imagenet_indices"
        fault = BadInput("no_indices", reason)
    return replace(entry, fault=fault)


def choose_entries(entries: list[Entry], labels: LabelMap, limit: int, seed: int) -> list[Entry]:
    """At most ``limit`` usable entries of each class and variant, by hashes; the others stay as they are.

    The hash is that of the matched set where there is one, so that all variants keep the same sets. Which ones stay
    does not depend on the others: a picture that comes or goes moves one.
    """
    if not limit:
        return entries
    cells: dict[tuple[int, str], list[tuple[float, str, int]]] = {}
    for place, entry in enumerate(entries):
        if entry.fault is None:
            weight = uniform(seed, "benchmark.choice", entry.matched_set or entry.sample)
            cell = labels.ids[entry.label], entry.variant
            cells.setdefault(cell, []).append((weight, entry.sample, place))
    kept = {place for own in cells.values() for _, _, place in sorted(own)[:limit]}
    return [entry for place, entry in enumerate(entries) if entry.fault is not None or place in kept]


def locate(top: Path, sample: str) -> Path:
    """The file of a sample.

    Args:
        top: folder of the benchmark, without links in its path.
        sample: path below it, as a table or the disk has it.

    Raises:
        BadInput: ``outside``, ``missing`` or ``not_a_file``.
    """
    if Path(sample).is_absolute() or ".." in Path(sample).parts:
        raise BadInput("outside", "its path is not one below the benchmark's folder")
    try:
        path = (top / sample).resolve()
        if not path.is_relative_to(top):
            raise BadInput("outside", "it is a link that leads out of the benchmark's folder")
        if not path.exists():
            raise BadInput("missing", "there is no such file")
        if not path.is_file():
            raise BadInput("not_a_file", "it is not a file")
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a zero byte in it, or running in circles
        raise BadInput("missing", f"it can't be a file ({error})") from None
    return path


def read_picture(file: str | Path, box: str = "") -> Image.Image:
    """The picture of a row of an index, ``RGB`` or ``RGBA``: the part of it that counts.

    Args:
        file, box: cells of the row.

    Raises:
        BadInput: as ``imageio.read_image``.
    """
    picture = read_image(file, upright=False)  # as benchmarks are read elsewhere: tags turn nothing
    if not box:
        return picture
    left, upper, right, lower = map(int, box.split())
    return picture.crop((left, upper, right, lower))


def report_index(table: pd.DataFrame, labels: LabelMap, where: str) -> pd.DataFrame:
    """Log what the index holds, and give its unusable rows.

    Raises:
        D3SError: nothing can be used.
    """
    bad = table[table["status"] != "ok"]
    for status, rows in bad.groupby("status"):
        example = rows.iloc[0]
        log.warning("%d pictures: %s; such as %s: %s", len(rows), status, example["sample"], example["reason"])
    if len(bad) == len(table):
        first = table.iloc[0]
        raise D3SError(
            f"{where}: none of {len(table)} pictures can be used; {first['sample']}: {first['reason']}",
            "mend what the log names",
        )
    used = set(table.loc[table["status"] == "ok", "class_id"])
    empty = [name for place, name in enumerate(labels.names) if place not in used and labels.indices[place]]
    if empty:
        log.warning("%d of %d classes have no pictures: %s", len(empty), len(labels.names), listed(empty))
    log.info("%d pictures of %d classes, %d refused", len(table) - len(bad), len(used), len(bad))
    return bad


def _writable(text: str) -> str:
    """A text as UTF-8 can hold it: names of files can be any bytes."""
    return text.encode("utf-8", "replace").decode()


def printable(text: str) -> str:
    """A text that tables can hold; what UTF-8 can't is written as an escape."""
    return text.encode("utf-8", "backslashreplace").decode()
