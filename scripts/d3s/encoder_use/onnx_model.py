"""An encoder as an ONNX file, checked against the encoder that it was made from."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

from d3s.encoder import Encoder
from d3s.encoder_use.portable import OUTPUTS, Portable
from d3s.errors import D3SError
from d3s.shards import whole_file

OPSET = 18
TOLERANCE = 1e-3
"""Largest difference that passes, in units of an output's largest value: two libraries add up in different orders."""
BATCHES = (1, 3)
"""Batch sizes that are tried; the file promises any."""


def write_onnx(path: str | Path, encoder: Encoder) -> float:
    """Write an encoder as one ONNX file; input ``pixels``, outputs as ``OUTPUTS``, any batch size.

    Args:
        path: of the file.
        encoder: its input is N x 3 x side x side, normalised as ``encoder.json`` says.

    Returns:
        The largest difference that ``check_onnx`` saw.

    Raises:
        D3SError: the file gives other numbers than the encoder.
    """
    side = encoder.settings.input_size
    portable = Portable(encoder.cpu()).eval()
    with _silent("torch.onnx", "onnx_ir", "onnxscript"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecations inside the libraries
        made = torch.onnx.export(
            portable,
            (torch.zeros(2, 3, side, side),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["pixels"],
            output_names=list(OUTPUTS),
            dynamic_shapes={"pixels": {0: torch.export.Dim("batch")}},
            verbose=False,
        )
    assert made is not None
    model = made.model_proto
    _strip(model)
    onnx.checker.check_model(model)
    with whole_file(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))
        return check_onnx(temporary, portable, side)


def check_onnx(path: Path, portable: Portable, side: int) -> float:
    """The largest difference between the file's outputs and the module's, relative to each output's largest value.

    Raises:
        D3SError: it is above ``TOLERANCE``.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    draws = np.random.default_rng(0)
    worst = 0.0
    for size in BATCHES:
        pixels = draws.standard_normal((size, 3, side, side), dtype=np.float32)
        with torch.no_grad():
            wanted = portable(torch.from_numpy(pixels))
        found = session.run(list(OUTPUTS), {"pixels": pixels})
        for name, own, other in zip(OUTPUTS, wanted, found, strict=True):
            scale = max(float(own.abs().max()), 1e-6)
            difference = float(np.abs(own.numpy() - other).max()) / scale
            if own.shape != other.shape or not difference <= TOLERANCE:
                raise D3SError(
                    f"the ONNX file's {name} differ from the encoder's by {difference:.2g} of their largest value, "
                    f"more than {TOLERANCE}",
                    "report the backbone's name: one of its layers has no faithful translation; use the encoder itself",
                )
            worst = max(worst, difference)
    return worst


@contextmanager
def _silent(*names: str) -> Iterator[None]:
    """Loggers that would tell of each step of the export say nothing but errors."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _strip(model: onnx.ModelProto) -> None:
    """Take out what tells of the exporting process (lines of code, paths): the same encoder gives the same bytes."""
    del model.metadata_props[:]
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        del graph.metadata_props[:]
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
        for value in (*getattr(graph, "input", ()), *getattr(graph, "output", ()), *graph.value_info):
            if not isinstance(value, str):
                del value.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
