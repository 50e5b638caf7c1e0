"""The config: checked by a closed schema and against its tables before any job starts."""

import difflib
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from d3s.benchmark_kind import build_benchmark, check_benchmarks
from d3s.classifier_table import Entry, read_classifiers
from d3s.errors import D3SError
from d3s.label_maps import read_label_map
from d3s.prompts import check_families
from d3s.released import check_tables
from d3s.schema_errors import explain
from d3s.source import build_source, check_settings
from d3s.tables import FETCHED_KINDS, Row, read_table

MOST_PER_SHARD = 3_400
"""Images: about an hour of one data-centre GPU."""
SCHEMA_FILE = Path(__file__).with_name("config_schema.yaml")
OBJECTIVES = Path(__file__).with_name("objectives")
TRAINING_SETTINGS = ("objective", "weight_decay")
"""Of encoders: settings:, what is not the objective's own: which it is, and how its training differs from others."""


@cache
def load_schema() -> dict[str, Any]:
    """The config's schema, as a mapping that nobody changes; read once, since YAML is slow to read."""
    schema: dict[str, Any] = yaml.safe_load(SCHEMA_FILE.read_text(encoding="utf-8"))
    return schema


def with_defaults(given: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of ``given`` in which every key that is left out has the schema's default, at every depth."""
    filled = dict(given)
    rules = schema.get("properties", {})
    for name, rule in rules.items():
        if name not in filled and "default" in rule:
            filled[name] = rule["default"]
    others = schema.get("additionalProperties")
    for name, value in filled.items():
        rule = rules.get(name, others)
        if isinstance(value, dict) and isinstance(rule, dict):
            filled[name] = with_defaults(value, _resolved(rule))
        elif isinstance(value, list) and isinstance(rule, dict) and isinstance(rule.get("items"), dict):
            of_each = _resolved(rule["items"])
            filled[name] = [with_defaults(one, of_each) if isinstance(one, dict) else one for one in value]
    return filled


def _resolved(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """A rule of the schema, or the definition that it refers to."""
    definition: Mapping[str, Any] = load_schema()["$defs"][rule["$ref"].split("/")[-1]] if "$ref" in rule else rule
    return definition


def check_config(given: Mapping[str, Any]) -> dict[str, Any]:
    """Validate a config and fill in its defaults.

    Raises:
        D3SError: naming the key, what is wrong with it and what it should be.
    """
    schema = load_schema()
    errors = sorted(
        Draft202012Validator(schema).iter_errors(given), key=lambda error: list(map(str, error.absolute_path))
    )
    if errors:
        raise explain(errors[0], "config", "the config", "scripts/d3s/config_schema.yaml")
    config = with_defaults(given, schema)
    _check_origin(config)
    usual = with_defaults({}, schema["properties"]["foregrounds"])
    table_needed = not config["released"]["folder"]
    check_settings(config["foregrounds"], usual, config["tables"]["exemplars"], table_needed)
    for low, high in (config["guides"][name] for name in ("scale", "x", "y")):
        if low > high:
            raise D3SError(f"guides: the range [{low}, {high}] runs backwards", "write the smaller number first")
    _check_sizes(config)
    check_benchmarks(config["benchmarks"])
    _check_encoders(config)
    named = {given["name"] for given in config["benchmarks"]}
    for name in config["correlation"]["benchmarks"]:
        if name not in named:
            raise D3SError(
                f"correlation: benchmarks: names {name!r}, which is not under benchmarks:",
                "add it there, or take it out",
            )
    if config["backgrounds"]["size"] < config["guides"]["size"]:
        raise D3SError(
            "backgrounds: size: is smaller than guides: size:", "templates must have at least the guides' resolution"
        )
    generator = config["generator"]
    if bool(generator["hub"]) != bool(generator["revision"]) or (generator["variant"] and not generator["hub"]):
        raise D3SError(
            "generator: hub: and revision: go together, and variant: needs both",
            "copy the 40 digits of a commit from the model's page; leave all three out for a model that is there",
        )
    if generator["mode"] != "text2image" and int(generator["steps"] * generator["strength"]) < 1:
        raise D3SError(
            f"generator: strength: {generator['strength']} of steps: {generator['steps']} leaves no step to run",
            "raise one of them until their product is 1 or more",
        )
    return config


def objective_of(encoders: Mapping[str, Any], name: str) -> str:
    """The module of d3s.objectives that encoders of a name are trained with: the name itself, unless settings say."""
    return str(encoders["settings"].get(name, {}).get("objective", name))


def _check_encoders(config: Mapping[str, Any]) -> None:
    """Objectives exist, LEACE is applied to trained encoders, and the second stream is a benchmark of the config."""
    encoders = config["encoders"]
    known = sorted(path.stem for path in OBJECTIVES.glob("[a-z]*.py"))
    for name in encoders["objectives"]:
        if (module := objective_of(encoders, name)) not in known:
            raise D3SError(
                f"encoders: objectives: {name}: there is no objective {module!r}",
                f"take one of {', '.join(known)}; or, to train one with other settings, write  settings: {name}: "
                "{objective: ONE_OF_THEM}",
            )
        decay = encoders["settings"].get(name, {}).get("weight_decay", 0.0)
        if isinstance(decay, bool) or not isinstance(decay, int | float) or decay < 0:
            raise D3SError(f"encoders: settings: {name}: weight_decay: is {decay!r}", "give 0 or more")
    for name in encoders["leace"]:
        if name not in encoders["objectives"]:
            raise D3SError(f"encoders: leace: names {name}, which no encoder is trained with", "add it to objectives:")
    named = encoders["second"]["benchmark"]
    if named and named not in [benchmark["name"] for benchmark in config["benchmarks"]]:
        raise D3SError(
            f"encoders: second: benchmark: {named!r} is not one of benchmarks:",
            "add the folder of pictures to benchmarks: (kind: imagefolder), and give its name here",
        )


def _check_sizes(config: Mapping[str, Any]) -> None:
    """No shard may hold too many images, of any split."""
    crossed = config["crossed"]
    own, design = max(config["images_per_cell"].values()), math.prod(crossed.values())
    largest = config["classes_per_chunk"] * max(own, design)
    if largest <= MOST_PER_SHARD or config["released"]["folder"]:
        return
    if design > MOST_PER_SHARD:
        raise D3SError(
            f"crossed: {' x '.join(map(str, crossed.values()))} are {design} images of each class on each background, "
            f"and a shard holds {MOST_PER_SHARD} at most",
            "lower exemplars:, placements: or noises:",
        )
    raise D3SError(
        f"classes_per_chunk: {config['classes_per_chunk']} gives shards of {largest} images, and {MOST_PER_SHARD} "
        "are the most: a longer job is too much to lose",
        f"set it to {max(1, MOST_PER_SHARD // max(own, design))} or less; that makes no image again",
    )


def _check_origin(config: Mapping[str, Any]) -> None:
    """Images are generated or imported: what generating takes is needed unless a released data set is named."""
    released = config["released"]["folder"]
    for section, key in (("tables", "templates"), ("generator", "model")):
        if not released and not config[section][key]:
            raise D3SError(f"config, {section}: '{key}' is a required property", "add it to the config")
    if released and config["generator"]["model"]:
        raise D3SError(
            "the config has both released: folder: and generator: model:",
            "remove one of them: images are either imported or generated",
        )
    if released and config["crossed"]["exemplars"]:
        raise D3SError(
            "crossed: a crossed design is generated, and the images of this config are imported (released: folder:)",
            "remove crossed: from the config",
        )


def read_config(path: str | Path) -> dict[str, Any]:
    """Read and check a config file.

    Raises:
        D3SError: it does not exist, is not YAML, or breaks the schema.
    """
    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise D3SError(f"the config {path} can't be read ({error.strerror})", "correct its path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise D3SError(f"the config {path} is not valid YAML ({error})", "mend it there") from None
    return check_config(given if isinstance(given, dict) else {})


def find_annotations(config: Mapping[str, Any]) -> list[Path]:
    """The files of people's votes in the config's folder, by name; hidden ones and other kinds of file are passed over.

    Raises:
        D3SError: the folder can't be read, though it exists or was named; or a file's name holds a brace, which
            Snakemake takes for a wildcard, or is not UTF-8.
    """
    folder = Path(config["annotations"]["folder"])
    usual = load_schema()["properties"]["annotations"]["properties"]["folder"]["default"]
    if str(folder) == usual and not folder.exists():
        return []
    try:
        files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    except OSError as error:
        raise D3SError(
            f"the folder of annotations {folder} can't be read ({error.strerror})",
            "make it, or correct its path under annotations: folder:",
        ) from None
    files = [path for path in files if path.suffix.lower() in {".json", ".csv"}]
    for path in files:
        if set(path.name) & set("{}"):
            raise D3SError(f"the name of {path} holds a brace", "rename the file")
        try:
            path.name.encode()
        except UnicodeEncodeError:
            raise D3SError(f"the name of {str(path)!a} is not UTF-8", "rename the file") from None
    return files


@dataclass(frozen=True)
class Tables:
    """The tables of a config, checked against each other."""

    classes: list[Row]
    exemplars: list[Row]
    backgrounds: list[Row]
    templates: list[Row]
    classifiers: list[Entry]
    sources: list[Row]
    assets: list[Row]


def load_tables(config: Mapping[str, Any]) -> Tables:
    """Read all tables and check that they fit together.

    Raises:
        D3SError: naming the table and the row: an unknown class, background or source; a class without exemplars; a
            background without templates; paths that lead out of the project; or the source of exemplars is not there.
    """
    paths = config["tables"]
    read = {kind: read_table(path, kind) for kind, path in paths.items() if path and kind != "classifiers"}
    listed = read_classifiers(paths["classifiers"])
    tables = Tables(**{kind: read.get(kind, []) for kind in Tables.__annotations__} | {"classifiers": listed})
    _check_links(tables.exemplars, "class_id", tables.classes, paths["exemplars"], paths["classes"])
    released = config["released"]["folder"]
    if released:
        check_tables(tables.classes, tables.backgrounds)
    else:
        _check_templates(tables, paths)
        check_families(config["prompts"], tables.backgrounds, paths["backgrounds"])
    with_exemplars = {row["class_id"] for row in tables.exemplars}
    for row in tables.classes if tables.exemplars else []:
        if row["class_id"] not in with_exemplars:
            raise D3SError(
                f"the class {row['name']!r} ({row['class_id']}) has no exemplars",
                f"add rows for it to {paths['exemplars']}, or remove it from {paths['classes']}",
            )
    for name, count in Counter(row["name"] for row in tables.classes).items():
        if count > 1:
            raise D3SError(f"two classes are named {name!r} in {paths['classes']}", "give each class a name of its own")
    for row in tables.assets:
        if Path(row["file"]).is_absolute() or ".." in Path(row["file"]).parts or ".." in Path(row["member"]).parts:
            raise D3SError(f"{paths['assets']}: {row['file']!r} leads out of the project", "use a path inside it")
    for row in tables.sources:
        if row["kind"] == "pypi" and not row["sha256"]:
            raise D3SError(
                f"{paths['sources']}: {row['source']} is a package of PyPI and has no sha256",
                "write the SHA-256 of its archive there: pip download runs the script of a source archive",
            )
    if tables.assets:
        fetched = [row for row in tables.sources if row["kind"] in FETCHED_KINDS]
        _check_links(tables.assets, "source", fetched, paths["assets"], f"the fetched ones of {paths['sources']}")
    chosen = config["foregrounds"]["source"]
    if chosen["licence_source"]:
        named = {"source": chosen["licence_source"]}
        where = paths["sources"] or "tables: sources:, which the config has not"
        _check_links([named], "source", tables.sources, "config, foregrounds: source: licence_source", where)
    build_source(chosen, tables.exemplars).check(tables.classes)
    _check_usual_backgrounds(tables, paths)
    for benchmark in config["benchmarks"]:
        build_benchmark(benchmark).check(read_label_map(benchmark["labels"]) if benchmark["labels"] else None)
    return tables


def _check_usual_backgrounds(tables: Tables, paths: Mapping[str, str]) -> None:
    """The backgrounds in which classes are usually photographed are among the data set's own."""
    for row in tables.classes:
        named = [{"usual_backgrounds": name} for name in row["usual_backgrounds"].split()]
        known = [{"usual_backgrounds": other["background"]} for other in tables.backgrounds]
        _check_links(named, "usual_backgrounds", known, f"{paths['classes']}, {row['name']}", paths["backgrounds"])


def _check_templates(tables: Tables, paths: Mapping[str, str]) -> None:
    """Each template is some background's, and each background has some: its own, or those that its row names."""
    given, wanted = {row["background"] for row in tables.templates}, {row["templates"] for row in tables.backgrounds}
    for row in tables.templates:
        if row["background"] not in wanted:
            near = difflib.get_close_matches(row["background"], sorted(wanted), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"add it to {paths['backgrounds']}"
            raise D3SError(
                f"{paths['templates']}: background {row['background']!r} is not in {paths['backgrounds']}", hint
            )
    for row in tables.backgrounds:
        if row["templates"] not in given:
            whose = "" if row["templates"] == row["background"] else f" (those of {row['templates']!r})"
            raise D3SError(
                f"the background {row['background']!r} has no templates{whose}",
                f"add rows for it to {paths['templates']}, or remove it from {paths['backgrounds']}",
            )


def _check_links(rows: list[Row], column: str, targets: list[Row], table: str, target_table: str) -> None:
    known = {row[column] for row in targets}
    for row in rows:
        if row[column] not in known:
            near = difflib.get_close_matches(row[column], sorted(known), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"add it to {target_table}"
            raise D3SError(f"{table}: {column} {row[column]!r} is not in {target_table}", hint)
