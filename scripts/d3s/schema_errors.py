"""What is said about a value that breaks a closed schema: the key, what is wrong with it, what it should be."""

import difflib

from jsonschema.exceptions import ValidationError

from d3s.errors import D3SError


def explain(error: ValidationError, where: str, file: str, rules: str) -> D3SError:
    """The error of a user for the error of a schema.

    Args:
        error: the schema's.
        where: what was checked; begins the message.
        file: what to mend, in words.
        rules: the file that holds the schema.
    """
    path = ": ".join(str(part) for part in error.absolute_path)
    prefix = f"{where}, {path}" if path else where
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = sorted(str(name) for name in set(error.instance) - set(known))
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the keys are: {', '.join(known)}"
        return D3SError(f"{prefix}: unknown key {unknown[0]!r}", hint)
    if error.validator == "required":
        return D3SError(f"{prefix}: {error.message}", f"add it to {file}")
    described = error.schema.get("description", "")
    meaning = f" ({described})" if described else ""
    return D3SError(f"{prefix}: {error.message}{meaning}", f"correct it; the rules are in {rules}")
