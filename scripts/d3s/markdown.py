"""Untrusted texts and names in the Markdown of cards, and the licences that their heads name."""

import re
import unicodedata
from numbers import Integral

from markupsafe import Markup

LICENCES = {
    "apache-2.0",
    "bsd-3-clause",
    "cc-by-4.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "gpl-2.0",
    "gpl-3.0",
    "lgpl-3.0",
    "mit",
    "odbl",
    "openrail",
    "unlicense",
}
"""Licences that Hugging Face's cards know by these names; another one is ``other``, with its name beside it."""
_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Marks that turn the direction of writing, with which a text can look like another one."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "|": "&#124;"}


def one_line(text: object) -> str:
    """A text without line breaks, control characters and marks that turn the direction of writing."""
    kept = (
        " " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") or ord(letter) in _BIDI else letter
        for letter in str(text)
    )
    return " ".join("".join(kept).split())


def escape(value: object) -> Markup:
    """A value as text of Markdown: nothing in it is taken for HTML, for Markdown or for the end of a table's cell."""
    if isinstance(value, Markup):
        return value
    text = f"{value:,}" if isinstance(value, Integral) and not isinstance(value, bool) else one_line(value)
    text = "".join(_ENTITIES.get(letter, letter) for letter in text)
    text = re.sub(r"([\\`*_\[\]{}~$])", r"\\\1", text)
    # Addresses become links by themselves on some sites.
    return Markup(re.sub(r"(?i)\b(www)\.", r"\1&#46;", text.replace("://", "&#58;//")))


def code(value: object) -> Markup:
    """A name as code; in Markdown's code nothing can be escaped, so a name with unusual letters stays plain text."""
    text = str(value)
    return Markup(f"`{text}`") if re.fullmatch(r"[\w./@:+=, -]*\w[\w./@:+=, -]*", text, re.ASCII) else escape(text)


def licence_of(text: str) -> dict[str, str]:
    """A licence as a card's head has it: ``license``, and ``license_name`` beside it where that is ``other``."""
    licence = one_line(text)
    known = licence.lower() if licence.lower() in LICENCES else "other" if licence else "unknown"
    return {"license": known} | ({"license_name": licence} if known == "other" else {})
