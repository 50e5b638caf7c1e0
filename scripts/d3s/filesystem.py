"""What file systems can do beyond reading and writing."""

import os
import shutil
from pathlib import Path

_FICLONE = 0x40049409
"""Linux's request to share the blocks of a file (``FICLONE`` of ``linux/fs.h``)."""


def share_file(source: Path, target: Path) -> str:
    """Give a file a second name or a copy, taking no more disk where that can be had.

    A clone (reflink) is best, as it is a file of its own; Btrfs, XFS, OCFS2 and Bcachefs have it. A hard link shares
    the file itself, which is safe for files that are replaced and never changed, as all of this workflow are.

    Args:
        source: the file.
        target: made, or replaced.

    Returns:
        How it was done: ``clone``, ``link`` or ``copy``.
    """
    target.unlink(missing_ok=True)
    if _clone(source, target):
        return "clone"
    try:
        os.link(source, target)
        return "link"
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
        return "copy"


def _clone(source: Path, target: Path) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    try:
        with open(source, "rb") as reader, open(target, "wb") as writer:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        return True
    except OSError:
        target.unlink(missing_ok=True)
        return False
