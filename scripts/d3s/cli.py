"""What every script shares: arguments, logging, progress, and errors that say what to do."""

import argparse
import errno
import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from d3s.errors import BadInput, D3SError

T = TypeVar("T")
log = logging.getLogger("d3s")


def parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser with the options that all scripts have."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--log", type=Path, help="also write messages to this file")
    made.add_argument("--threads", type=int, default=1, help="processor threads (changes the last bits of results)")
    return made


def run(parse: Callable[[], argparse.Namespace], main: Callable[[argparse.Namespace], None]) -> None:
    """Run a script: log to the terminal and to ``--log``, and end a user's error with its remedy, not a traceback."""
    args = parse()
    _start_logging(args.log)
    try:
        main(args)
    except D3SError as error:
        log.error("%s", error)
        raise SystemExit(1) from None
    except BadInput as error:
        log.error("%s: %s", error.status, error.reason)
        raise SystemExit(1) from None
    except BrokenPipeError:
        raise SystemExit(1) from None
    except Exception as error:
        if _disk_is_full(error):
            full = D3SError(
                f"the disk is full, or your share of it ({error})",
                "make room (scripts/collect_garbage.py frees what nothing wants any more), then give the same command "
                "again: it goes on where it was",
            )
            log.error("%s", full)
            raise SystemExit(1) from None
        if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
            short = D3SError(
                f"there is not enough memory ({error})", "lower the batch_size of this stage in the config"
            )
            log.error("%s", short)
            raise SystemExit(1) from None
        if isinstance(error, OSError):
            log.exception("the system refused: %s", error)
            raise SystemExit(1) from None
        log.exception("a defect of this software; please report it with this log")
        raise SystemExit(2) from None


def _disk_is_full(error: Exception) -> bool:
    """Whether a write failed for lack of room; some libraries tell it in words alone."""
    told = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
    return told or os.strerror(errno.ENOSPC) in str(error)


def _start_logging(file: Path | None) -> None:
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(file, mode="w", encoding="utf-8"))
    script = Path(sys.argv[0]).stem
    logging.basicConfig(level=logging.INFO, handlers=handlers, format=f"{script}: %(message)s", force=True)
    for noisy in ("httpx", "httpcore", "filelock", "urllib3", "matplotlib", "fontTools", "diffusers", "transformers"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def set_threads(threads: int) -> None:
    """Fix the number of threads that torch computes with: a setting, because it changes the last bits of sums."""
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)


class _Lines:
    """A stream for tqdm that ends each report with a new line: two jobs at once, or a log, garble a moving bar."""

    def write(self, text: str) -> None:
        text = re.sub(r"[\r\n]+|\x1b\[A", "", text).strip()
        if text:
            sys.stderr.write(text + "\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(things: Iterable[T], total: int | None = None, what: str = "things", label: str = "") -> Iterator[T]:
    """Pass things on while reporting, every ten seconds, how many of how many are done and how long the rest takes."""
    name = f"{Path(sys.argv[0]).stem} {label}".strip()
    seconds = float(os.environ.get("D3S_PROGRESS_SECONDS", "10"))
    yield from tqdm(
        things,
        total=total,
        desc=name,
        unit=f" {what}",
        file=_Lines(),
        mininterval=seconds,
        miniters=1,
        delay=seconds,
        ascii=" -#",
        ncols=110,
    )
