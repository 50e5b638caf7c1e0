"""The arguments that the scripts have in common which ask a classifier."""

import argparse
from pathlib import Path

import torch

from d3s.array_store import ArrayStore
from d3s.classifier_library import IMAGENET_CLASSES
from d3s.classifier_table import PREDICTIONS, Entry, read_entry
from d3s.classifiers import DTYPES, Classifier, load_classifier
from d3s.devices import choose_device
from d3s.errors import BadInput, D3SError


def add_arguments(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add the arguments that name a classifier and say how it is asked."""
    parser.add_argument("--classifiers", type=Path, required=required, help="list of classifiers (YAML)")
    parser.add_argument("--classifier", required=required, help="name of the one that is asked")
    parser.add_argument("--classifier-digest", help="digest of its entry when the job was planned")
    parser.add_argument("--weights", type=Path, required=required, help="its converted weights (safetensors)")
    parser.add_argument("--batch-size", type=int, default=16, help="pictures per call")
    parser.add_argument("--store", type=Path, help="folder of finished answers; without it, none are kept")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float32", help="that it computes with on a GPU")


def entry_of(args: argparse.Namespace, *more: str) -> Entry:
    """The entry that the arguments name.

    Args:
        args: of ``add_arguments``.
        more: keys that the job depends on, beside those that answers depend on.

    Raises:
        D3SError: as ``read_entry``.
    """
    return read_entry(args.classifiers, args.classifier, (*PREDICTIONS, *more), args.classifier_digest)


def load_asked(
    args: argparse.Namespace, entry: Entry, outputs: int = IMAGENET_CLASSES
) -> tuple[Classifier, ArrayStore | None]:
    """The classifier that the arguments name, ready to be asked, and where its answers are kept.

    Raises:
        D3SError, BadInput: as ``load_classifier``.
    """
    device: torch.device = choose_device(args.device)
    return load_classifier(entry, args.weights, args.batch_size, device, args.store, outputs, args.dtype)


def load_needed(args: argparse.Namespace) -> tuple[Classifier, ArrayStore | None]:
    """As ``load_asked``, for jobs that can't do without the classifier.

    Raises:
        D3SError: also where its weights can't be had.
    """
    try:
        return load_asked(args, entry_of(args))
    except BadInput as bad:
        raise D3SError(
            f"the classifier {args.classifier} can't be asked ({bad.status}: {bad.reason})",
            f"mend its entry in {args.classifiers}, or delete {args.weights} and run again to try anew",
        ) from None
