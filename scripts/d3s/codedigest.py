"""The digest of the code that a rule runs: its parameter ``code`` (DESIGN decision 2).

It covers the syntax trees, without comments and documentation, of a script and of every module of the project that it
imports, transitively, and it is computed without importing any of them. So a changed function reruns the rules that use
its module and no others; a comment, a new layout or a fresh clone reruns nothing.

Standard library alone: the Snakefile computes these digests each time it is parsed.
"""

import ast
import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from d3s.errors import D3SError

_FILE_NAME = re.compile(r"([\w-][\w.-]{0,99}/){0,3}[\w-][\w.-]{0,99}\.\w{1,12}", re.ASCII)
"""What a text literal must look like to be taken for the name of a file beside the module."""


def code_digest(script: str | Path, plugins: Sequence[str] = ()) -> str:
    """The digest of a script and of all that it imports from the project.

    Args:
        script: the script; modules are looked for beside it, as Python does.
        plugins: modules that it imports by a name known only at run time, such as ``d3s.objectives.erm``.

    Returns:
        32 hexadecimal digits, the same for any version of Python and any place of the project on disk.

    Raises:
        D3SError: the script or a module of the project is missing or is not valid Python.
    """
    whole = hashlib.blake2b(digest_size=16)
    for name, file in closure(script, plugins).items():
        tree, _, texts = _parsed(file)
        whole.update(f"{name}={tree}\n".encode())
        for text in texts:
            beside = file.parent / text
            if beside.suffix != ".py" and beside.is_file():
                whole.update(f"{name}/{text}={_hash(beside.read_bytes())}\n".encode())
    return whole.hexdigest()


def closure(script: str | Path, plugins: Sequence[str] = ()) -> dict[str, Path]:
    """The files of a script and of all modules of the project that it imports, transitively, by module name, sorted.

    Raises:
        D3SError: as ``code_digest``.
    """
    script = Path(script)
    root = script.parent
    if not script.is_file():
        raise D3SError(f"the script {script} does not exist", "correct its path, or restore the file")
    found = {"__main__": script}
    waiting = [(name, script) for name in plugins] + [(name, script) for name in _imported("__main__", script, root)]
    while waiting:
        name, user = waiting.pop()
        if name in found:
            continue
        file = _file_of(name, root)
        if file is None:
            if (root / Path(*name.split("."))).is_dir():
                continue  # a package without an __init__.py holds no code of its own
            raise D3SError(
                f"{user} imports {name}, and {root} holds no such module", "correct the import, or restore the file"
            )
        found[name] = file
        waiting += [(other, file) for other in _imported(name, file, root)]
    return dict(sorted(found.items()))


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _file_of(name: str, root: Path) -> Path | None:
    place = root.joinpath(*name.split("."))
    for file in (place.with_name(place.name + ".py"), place / "__init__.py"):
        if file.is_file():
            return file
    return None


def _imported(name: str, file: Path, root: Path) -> Iterator[str]:
    """The modules of the project that a module imports, and the packages that they lie in (Python runs those first)."""
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    for level, module, names in _parsed(file)[1]:
        parts = package[: len(package) - level + 1] if level else []
        parts += module.split(".") if module else []
        if not _is_ours(parts, root):
            continue
        yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
        # In "from d3s import shards" the name is a module; in "from d3s.shards import write_tar" it is not.
        yield from (inner for each in names if _file_of(inner := ".".join([*parts, each]), root))


def _is_ours(parts: Sequence[str], root: Path) -> bool:
    return bool(parts) and (parts[0] == "d3s" or _file_of(parts[0], root) is not None or (root / parts[0]).is_dir())


Import = tuple[int, str, tuple[str, ...]]
"""An import statement: how many leading dots, the module, and the names taken from it."""


Parsed = tuple[str, tuple[Import, ...], tuple[str, ...]]
"""The digest of a file's syntax tree, its imports, and its texts that may name a file."""
_known: dict[str, Parsed] = {}
"""By the digest of a file's bytes."""
_used: dict[str, Parsed] = {}


def recall(path: Path) -> None:
    """Know what an earlier process found in files, so that those that did not change need not be parsed.

    Args:
        path: of ``remember``; one that is missing or damaged, or of other code than this, is passed over.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["code"] == _own_digest():
            for key, (tree, imports, texts) in kept["files"].items():
                _known[key] = (tree, tuple((level, name, tuple(each)) for level, name, each in imports), tuple(texts))


def remember(path: Path) -> None:
    """Write down what was found in the files of this process, if that is news; a disk that is full does not matter."""
    text = json.dumps({"code": _own_digest(), "files": _used}, sort_keys=True)
    with suppress(OSError):
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)


def _own_digest() -> str:
    return _hash(Path(__file__).read_bytes())


def _parsed(file: Path) -> Parsed:
    source = file.read_bytes()
    key = _hash(source)
    if key not in _known:
        try:
            _known[key] = _parse(source)
        except (SyntaxError, ValueError) as error:
            raise D3SError(f"{file} is not valid Python ({error})", "mend the file") from None
    _used[key] = _known[key]
    return _known[key]


def _parse(source: bytes) -> Parsed:
    tree = ast.parse(source)
    imports: list[Import] = []
    texts: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _FILE_NAME.fullmatch(node.value):
            texts.add(node.value)
    text: list[str] = []
    _canonical(tree, text)
    canonical = "".join(text).encode("utf-8", errors="surrogatepass")
    return _hash(canonical), tuple(imports), tuple(sorted(texts))


_UNSAID = frozenset({"ctx", "kind", "type_comment"})
"""Fields of a syntax tree that change nothing that the code does."""


def _canonical(node: object, out: list[str]) -> None:
    """Append a syntax tree as text, without positions, bare texts (documentation) and empty fields.

    ``ast.dump`` would do, but its text changes between versions of Python, which would rerun everything. Plain appends,
    since the Snakefile does this each time it is parsed and generators took twice the time.
    """
    if isinstance(node, ast.AST):
        out.append(f"{type(node).__name__}(")
        for field in node._fields:
            value = getattr(node, field, None)
            if value is None or value == [] or field in _UNSAID:
                continue
            out.append(f"{field}=")
            _canonical(value, out)
            out.append(",")
        out.append(")")
    elif isinstance(node, list):
        out.append("[")
        for item in node:
            if not _is_documentation(item):
                _canonical(item, out)
                out.append(",")
        out.append("]")
    else:
        out.append(f"{type(node).__name__}:{node!r}")


def _is_documentation(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
