"""Soft masks of what stands out in a picture, by a pinned ONNX model through rembg."""

import warnings
from pathlib import Path

from PIL import Image

from d3s.errors import D3SError
from d3s.identity import file_sha256

NOT_FOR_MASKS = frozenset({"sam", "u2net_cloth_seg"})
"""Models of rembg that want to be shown what to cut out, or tell clothes apart."""


def find_model(name: str, file: str) -> Path:
    """The file of a model: the one that is named, else the one that rembg fetched earlier. Nothing is fetched here.

    Args:
        name: what rembg calls the model, such as ``u2net`` or ``isnet-general-use``.
        file: its path, or nothing.

    Raises:
        D3SError: rembg has no such model for pictures on this machine, or there is no such file.
    """
    kind = _session_class(name)
    if file:
        if not Path(file).is_file():
            raise D3SError(
                f"the model {file} is not there", "put it there, or correct foregrounds: segmentation: file:"
            )
        return Path(file)
    kept = kind.resolve_existing(f"{name}.onnx")
    if kept is None:
        raise D3SError(
            f"rembg has not fetched the model {name}: it would lie at {kind.model_dir()}/{name}.onnx",
            f"run 'rembg d {name}' where there is a network, or name the model's file under "
            "foregrounds: segmentation: file:",
        )
    return Path(kept)


def _session_class(name: str):  # type: ignore[no-untyped-def]
    from rembg.sessions import sessions

    usable = sorted(key for key, kind in sessions.items() if kind.is_local() and key not in NOT_FOR_MASKS)
    if name not in usable:
        raise D3SError(
            f"foregrounds: segmentation: model: rembg has no model {name!r} for this",
            f"take one of {', '.join(usable)}",
        )
    return sessions[name]


class Segmenter:
    """A model, loaded.

    Args:
        name: what rembg calls the model: it decides how pictures are prepared for it.
        file: its path, or nothing for rembg's own copy.
        sha256: of the file.

    Raises:
        D3SError: as ``find_model``; the file is another one than its SHA-256 says; or it is no model of this kind.
    """

    def __init__(self, name: str, file: str, sha256: str) -> None:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors

        path = find_model(name, file)
        found = file_sha256(path)
        if found != sha256:
            raise D3SError(
                f"the model {path} has the SHA-256 {found}, and the config says {sha256}",
                "put the file there that was meant, or correct foregrounds: segmentation: sha256:",
            )

        class Given(_session_class(name)):  # type: ignore[misc]
            """rembg's session, with a file that is there instead of one that it fetches."""

            @classmethod
            def download_models(cls, *args: object, **kwargs: object) -> str:
                return str(path)

        options = onnxruntime.SessionOptions()
        # One thread: sums in another order would give other bytes.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._path = path
        try:
            self._session = Given(name, options, providers=["CPUExecutionProvider"])
        except (errors.Fail, errors.InvalidProtobuf, errors.InvalidGraph, errors.InvalidArgument) as error:
            raise D3SError(
                f"{path} is no ONNX model that can be loaded ({str(error)[:200]})", "fetch the model's file again"
            ) from None
        self._errors = (errors.Fail, errors.InvalidArgument, errors.RuntimeException, IndexError)

    def mask(self, image: Image.Image) -> Image.Image:
        """The mask of an ``RGB`` picture, in greyscale and of its size; empty where the model sees nothing.

        Raises:
            D3SError: the model takes or gives something else than rembg's model of that name.
        """
        try:
            with warnings.catch_warnings():
                # A picture in which nothing stands out is divided by the range of its values, which is 0.
                warnings.simplefilter("ignore", RuntimeWarning)
                (mask,) = self._session.predict(image)
        except self._errors as error:
            raise D3SError(
                f"{self._path} doesn't work as the model that rembg has by this name ({str(error)[:200]})",
                "correct foregrounds: segmentation: model: or file:",
            ) from None
        return mask
