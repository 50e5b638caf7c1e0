"""Croissant metadata: what the export is and how to read its records, as JSON-LD for machines."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from d3s.export.facts import About, Facts, count
from d3s.export.records import FIELDS
from d3s.markdown import one_line

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
"""Version 1.0 is what catalogues read; nothing here needs the additions of 1.1."""
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the format prescribes."""
FILES = "parquet-files"
RECORDS = "images"
_TYPES = {"text": "sc:Text", "number": "sc:Float", "truth": "sc:Boolean"}
_FORMATS = {"parquet": "application/x-parquet", "tar": "application/x-tar"}
CITATION = (
    "@misc{kattakinda2022invariant, title={Invariant Learning via Diffusion Dreamed Distribution Shifts}, "
    "author={Kattakinda and Levine and Feizi}, year={2022}, eprint={2211.10370}, archivePrefix={arXiv}}"
)


def _source(**extract: Any) -> dict[str, Any]:
    transform = extract.pop("transform", None)
    source = {"fileSet": {"@id": FILES}, "extract": extract}
    return source | ({"transform": transform} if transform else {})


def _field(
    name: str, described: str, data_type: str | list[str], source: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    made = {"@type": "cr:Field", "@id": name, "name": name.rpartition("/")[2], "description": described}
    return made | {"dataType": data_type} | ({"source": source} if source else {})


def _names(name: str, described: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The names behind the numbers of a label, as records that the file itself holds.

    The labels don't reference these records: a reader would join both tables, for which the one that is used here to
    test holds all images in memory.
    """
    keys = list(rows[0])
    types = {key: "sc:Integer" if key == "number" else "sc:Text" for key in keys}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": described,
        "key": {"@id": f"{name}/number"},
        "field": [_field(f"{name}/{key}", f"{key} of a row", types[key]) for key in keys],
        "data": [{f"{name}/{key}": value for key, value in row.items()} for row in rows],
    }


def describe(facts: Facts, about: About, sums: Mapping[str, str], sizes: Mapping[str, int]) -> dict[str, Any]:
    """The metadata.

    Args:
        facts: of the export.
        about: what config and tables say.
        sums: SHA-256 of the Parquet files and tars, by relative name.
        sizes: their bytes.
    """
    export, labels = about.settings["export"], about.labels
    images = [
        _field(
            f"{RECORDS}/image",
            "the picture",
            "sc:ImageObject",
            _source(column="image", transform={"jsonPath": "bytes"}),
        )
    ]
    for field in FIELDS:
        source = _source(column=field.name)
        if field.name == "split":  # taken from the file's name, so that readers that want one split skip other files
            source = _source(fileProperty="fullpath", transform={"regex": "^data/(train|val)-.+\\.parquet$"})
        data_type = ["sc:Text", "cr:Split"] if field.name == "split" else _TYPES.get(field.kind, "sc:Integer")
        images.append(_field(f"{RECORDS}/{field.name}", field.meaning, data_type, source))
    distribution: list[dict[str, Any]] = [
        {
            "@type": "cr:FileSet",
            "@id": FILES,
            "name": FILES,
            "description": "images with all fields",
            "encodingFormat": _FORMATS["parquet"],
            "includes": "data/*.parquet",
        }
    ]
    for name, value in sorted(sums.items()):
        distribution.append(
            {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "contentSize": f"{sizes[name]} B",
                "encodingFormat": _FORMATS[name.rpartition(".")[2]],
                "sha256": value,
            }
        )
    splits = " and ".join(f"{row['images']:,} in {row['split']}" for row in facts.splits)
    described = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": one_line(export["name"]),
        "alternateName": one_line(export["title"]),
        "description": (
            f"{count(facts.images, 'image')} ({splits}) of {count(len(labels.classes), 'class', 'classes')} on "
            f"{count(len(labels.backgrounds), 'background')}, made by a diffusion model from pasted cut-outs."
        ),
        "license": one_line(export["licence"]),
        "creator": [{"@type": "sc:Person", "name": one_line(creator)} for creator in export["creators"]],
        "url": export["url"],
        "version": export["version"],
        "datePublished": export["published"],
        "citeAs": CITATION,
        "keywords": ["synthetic images", "distribution shift", "spurious correlation"],
        "isLiveDataset": False,
        "rai:dataCollection": (
            f"A cut-out was pasted on a picture of a background, which made a guide. {' '.join(facts.modes)}"
        ),
        "rai:dataCollectionType": ["Synthetic data"],
        "rai:dataAnnotationProtocol": _verification(facts),
        "rai:dataLimitations": facts.limits,
        "distribution": distribution,
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": RECORDS,
                "name": RECORDS,
                "description": "one record per image",
                "key": {"@id": f"{RECORDS}/sample"},
                "field": images,
            },
            _names(
                "classes",
                "the classes, by the number that the field class holds",
                [
                    {"number": place, "class_id": row["class_id"], "name": row["name"], "words": one_line(row["label"])}
                    for place, row in enumerate(labels.classes)
                ],
            ),
            _names(
                "backgrounds",
                "the backgrounds, by the number that the field background holds",
                [{"number": place, "name": name} for place, name in enumerate(labels.background_names)],
            ),
        ],
    }
    return {name: value for name, value in described.items() if value not in ("", [])}


def _verification(facts: Facts) -> list[str]:
    totals = {row["verified_by"]: sum(row[split["split"]] for split in facts.splits) for row in facts.verified}
    return [
        "Classes and backgrounds are known from the making of the images; nobody labelled them.",
        f"People decided whether {count(totals.get('human', 0), 'image')} stay, a classifier alone decided about "
        f"{totals.get('model', 0):,}, and nothing judged {totals.get('none', 0):,}.",
    ]


def as_text(described: Mapping[str, Any]) -> str:
    """The metadata as JSON that can stand inside a page: no ``<``, with which a text could end its script."""
    text = json.dumps(described, indent=1, ensure_ascii=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text + "\n"
