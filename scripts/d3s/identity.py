"""Every random choice of the workflow, hashed from what it is for (DESIGN decision 6).

A choice depends on the seed of the config, on its purpose and on the identity of the thing that it is made for, and on
nothing else: not on the order of work, on counters, on ranks or on the clock. So any single image can be made again
alone, and adding a class, a background or an image changes no choice that was made before.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

_SCALE = 2.0**64


def digest(*parts: object) -> str:
    """The 128-bit digest, in hexadecimal, of any JSON-like values; equal values give equal digests everywhere."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def seed(root: int, purpose: str, *identity: object) -> int:
    """A seed in [0, 2**63) for a generator of random numbers that serves one purpose for one thing."""
    return int(digest(root, purpose, *identity)[:16], 16) >> 1


def uniform(root: int, purpose: str, *identity: object) -> float:
    """One number in [0, 1), fixed by what it is for."""
    return int(digest(root, purpose, *identity)[:16], 16) / _SCALE


def choose(candidates: Sequence[str], root: int, purpose: str, *identity: object) -> str:
    """One of the candidates, by highest random weight (rendezvous hashing).

    A candidate's weight does not depend on the others, so a new one takes over only the identities that it wins, and
    one that goes gives back only those that it had.

    Raises:
        ValueError: there are no candidates.
    """
    return max(candidates, key=lambda name: (digest(root, purpose, name, *identity), name))


def file_sha256(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bytes_digest(data: bytes) -> str:
    """The 128-bit digest of bytes, in hexadecimal."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def pixels_digest(shape: Iterable[int], data: bytes) -> str:
    """The digest of decoded pixels, which no encoder's version or compression level can change.

    Args:
        shape: height, width and channels.
        data: the raw 8-bit samples in that order.
    """
    head = "x".join(str(side) for side in shape).encode()
    return hashlib.blake2b(head + b":" + data, digest_size=16).hexdigest()
