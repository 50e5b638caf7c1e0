"""Panoramas as a source of background templates: decode, tone-map where the range is high, cut perspective views."""

import base64
import re
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from d3s.errors import BadInput
from d3s.imageio import read_image

_BASE64 = re.compile(r"base64,([A-Za-z0-9+/]+=*)")


def read_display(path: str | Path, exposure: float) -> np.ndarray:
    """Read an equirectangular panorama as display values.

    Args:
        path: OpenEXR (``.exr``, ``.exr.js``), or an ordinary picture, whose exposure was settled when it was taken.
        exposure: ``key`` of ``tone_map``, for OpenEXR.

    Returns:
        Height x width x 3, float32 in [0, 1].

    Raises:
        BadInput: what ``read_panorama`` and ``read_image`` raise.
    """
    path = Path(path)
    if path.suffix.lower() in (".exr", ".js"):
        light = read_panorama(path)
        return repair_highlights(tone_map(light, key=exposure), light)
    display = np.asarray(read_image(path).convert("RGB"), dtype=np.float32) / 255.0
    _check_sides(display, path.name)
    return display


def read_panorama(path: str | Path) -> np.ndarray:
    """Read an equirectangular panorama as linear light.

    Args:
        path: an ``.exr`` file, or an ``.exr.js`` module that holds one as a base64 data address.

    Returns:
        Height x width x 3, float32, finite; the codec's ringing around lamps leaves some negative values.

    Raises:
        BadInput: ``missing``, ``not_a_panorama``.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput("missing", f"{path.name} does not exist")
    if path.suffix == ".js":
        found = _BASE64.search(path.read_text(encoding="utf-8", errors="replace"))
        if found is None:
            raise BadInput("not_a_panorama", f"{path.name} holds no base64 data")
        try:
            data = base64.b64decode(found.group(1))
        except ValueError as error:
            raise BadInput("not_a_panorama", f"{path.name} is cut short or damaged ({error})") from None
    else:
        data = path.read_bytes()
    with tempfile.NamedTemporaryFile(suffix=".exr") as file:  # the reader takes paths only
        file.write(data)
        file.flush()
        light = _decode_exr(file.name, path.name)
    _check_sides(light, path.name)
    return np.nan_to_num(light, posinf=65504.0)


def _check_sides(panorama: np.ndarray, name: str) -> None:
    height, width = panorama.shape[:2]
    if width != 2 * height:
        raise BadInput("not_a_panorama", f"{name} is {width} x {height}, not twice as wide as high")


def _decode_exr(path: str, name: str) -> np.ndarray:
    import OpenEXR

    try:
        with OpenEXR.File(path) as file:
            channels = file.channels()
            for group in ("RGB", "RGBA"):
                if group in channels:
                    return np.asarray(channels[group].pixels, dtype=np.float32)[..., :3]
    except (RuntimeError, ValueError, OSError) as error:
        raise BadInput("not_a_panorama", f"{name} can't be read as OpenEXR ({error})") from None
    raise BadInput("not_a_panorama", f"{name} has no RGB channels")


def tone_map(light: np.ndarray, key: float = 0.18, white: float = 4.0) -> np.ndarray:
    """Map linear light to display values (Reinhard et al. 2002, equation 4, then gamma 2.2).

    Args:
        light: height x width x 3, linear.
        key: how bright the log-average becomes; 0.18 is a normal exposure, 0.05 a night.
        white: the scaled luminance that becomes pure white; what is brighter is burnt out.

    Returns:
        Height x width x 3, float32 in [0, 1].
    """
    light = np.clip(light, 0.0, None)
    luminance = light @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    # A sun of a few pixels must not decide how bright the scene is.
    capped = np.minimum(luminance, np.percentile(luminance, 99.0))
    scaled = light * (key / np.exp(np.mean(np.log(capped + 1e-4))))
    luminance = scaled @ np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
    compressed = (1.0 + luminance / white**2) / (1.0 + luminance)
    return np.clip(scaled * compressed[..., None], 0.0, 1.0).astype(np.float32) ** (1 / 2.2)


def repair_highlights(display: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Fill what the lossy codec destroyed around the sun and lamps: black holes and blocks of false colour.

    A pixel is damaged when a channel of it is not positive, or far below another one, within a block of 8 x 8 (the
    codec's own) of something burnt out. It is filled with the mean of the sound pixels around it, nearer ones first.

    Args:
        display: height x width x 3, tone-mapped, in [0, 1].
        light: height x width x 3, the linear panorama that it was made from.

    Returns:
        A repaired copy of ``display``.
    """
    brightest = light.max(axis=2)
    burnt_out = brightest > 12 * np.percentile(brightest, 90)
    near = ndimage.maximum_filter(burnt_out, size=25, mode="wrap")
    false_colour = light.min(axis=2) <= 0.02 * brightest
    damaged = ndimage.binary_dilation(near & false_colour, iterations=2)
    repaired = display.copy()
    weight = (~damaged).astype(np.float32)
    for radius in (1.5, 3.0, 6.0, 12.0):
        missing = weight == 0
        if not missing.any():
            break
        total = ndimage.gaussian_filter(weight, radius, mode="wrap", truncate=3)
        for channel in range(3):
            mean = ndimage.gaussian_filter(repaired[..., channel] * weight, radius, mode="wrap", truncate=3)
            filled = missing & (total > 1e-3)
            repaired[..., channel][filled] = mean[filled] / total[filled]
        weight[missing & (total > 1e-3)] = 1.0
    return repaired


def perspective_view(
    panorama: np.ndarray, yaw: float, pitch: float, field_of_view: float, size: int, supersample: int = 3
) -> Image.Image:
    """Cut a square perspective view out of an equirectangular panorama.

    Args:
        panorama: height x width x 3, display values in [0, 1].
        yaw: degrees to the right of the panorama's left edge, of the view's centre.
        pitch: degrees above the horizon.
        field_of_view: degrees across the view.
        size: side of the view in pixels.
        supersample: rays per pixel and axis, averaged.

    Returns:
        An ``RGB`` picture.
    """
    height, width = panorama.shape[:2]
    side = size * supersample
    reach = np.tan(np.radians(field_of_view) / 2)
    axis = ((np.arange(side) + 0.5) / side * 2 - 1) * reach
    right, down = np.meshgrid(axis, axis)
    tilt = np.radians(pitch)
    up = -down * np.cos(tilt) + np.sin(tilt)
    ahead = down * np.sin(tilt) + np.cos(tilt)
    longitude = np.radians(yaw) + np.arctan2(right, ahead)
    latitude = np.arctan2(up, np.hypot(right, ahead))
    column = (longitude / (2 * np.pi) * width) % width - 0.5
    row = np.clip((0.5 - latitude / np.pi) * height - 0.5, 0, height - 1)
    left = np.floor(column).astype(int)
    top = np.minimum(np.floor(row).astype(int), height - 2)
    x, y = (column - left)[..., None], (row - top)[..., None]
    west, east = left % width, (left + 1) % width
    upper = panorama[top, west] * (1 - x) + panorama[top, east] * x
    lower = panorama[top + 1, west] * (1 - x) + panorama[top + 1, east] * x
    rays = upper * (1 - y) + lower * y
    view = rays.reshape(size, supersample, size, supersample, 3).mean(axis=(1, 3))
    return Image.fromarray(np.clip(np.rint(view * 255), 0, 255).astype(np.uint8))
