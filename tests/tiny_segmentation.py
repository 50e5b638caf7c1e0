"""A segmentation model of a few nodes, with the signature of rembg's u2netp: what is bright stands out."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from d3s.identity import file_sha256


def make_tiny_model(file: Path, side: int = 320) -> str:
    """Write the model; give its SHA-256.

    Args:
        file: to write.
        side: of its inputs, in pixels.
    """
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    mean = helper.make_node("ReduceMean", ["picture", "axes"], ["brightness"], keepdims=1)
    graph = helper.make_graph(
        [mean],
        "brightness",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("brightness", TensorProto.FLOAT, [1, 1, side, side])],
        [axes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(model.SerializeToString())
    return file_sha256(file)
