"""A video, or a folder of its frames in the order of their names."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import av
from av.container import InputContainer
from av.video.stream import VideoStream
from PIL import Image

from d3s.backgrounds import fit_square, square_photo
from d3s.errors import BadInput
from d3s.frames import Frame, plan_frames
from d3s.imageio import MAX_PIXELS
from d3s.tables import Row
from d3s.template_source import Template, TemplateSettings
from d3s.template_sources.folder import list_pictures

FORMATS = "mov,mp4,matroska,webm,avi,mpeg,mpegts,ogg,flv,asf,gif"
"""Kinds of files that are opened. A playlist is none of them: it could name any file of this machine."""


def find(row: Row, rows: Sequence[Row], settings: TemplateSettings) -> Iterator[Template]:
    """Its frames, evenly spread; those of one stretch of the video share a group.

    Raises:
        BadInput: ``missing``, ``not_a_video``, ``too_large``, ``empty`` or ``too_short``.
    """
    path = Path(row["file"])
    if path.is_dir():
        names = sorted(list_pictures(path), key=_natural)
        if not names:
            raise BadInput("empty", f"the folder {path.name} holds no pictures")
        for frame in _plan(row, range(len(names)), settings):
            make = partial(square_photo, path / names[frame.number], settings.views.size)
            yield _template(row, frame, make, names[frame.number])
        return
    with open_video(path) as video:
        for frame in _plan(row, video.seconds, settings):
            make = partial(video.square, frame, settings.views.size)
            yield _template(row, frame, make, f"{video.seconds[frame.number]:.3f} s")


def _plan(row: Row, times: Sequence[float], settings: TemplateSettings) -> list[Frame]:
    counts = {"train": settings.train_frames, "val": settings.val_frames}
    interval = float(row["interval"]) if row["interval"] else None
    try:
        return plan_frames(times, row["split"], counts, interval, settings.most)
    except BadInput as error:
        raise BadInput(error.status, f"{Path(row['file']).name}: {error.reason}") from None


def _template(row: Row, frame: Frame, make: partial[Image.Image], picture: str) -> Template:
    source = row["template_source"]
    group = f"{source}:{frame.split}:{frame.block}"
    return Template(f"{source}-{frame.number:06d}", frame.split, group, make, picture)


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that puts ``frame9`` before ``frame10``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


class Video:
    """The frames of an open video, which are best asked for in their order.

    Attributes:
        seconds: time of each frame.
    """

    def __init__(self, container: InputContainer, name: str) -> None:
        if not container.streams.video:
            raise BadInput("not_a_video", f"{name} holds no pictures")
        self._container, self._name = container, name
        self._stream: VideoStream = container.streams.video[0]
        _check_size(self._stream.codec_context.width, self._stream.codec_context.height, name)
        found = {}
        try:
            for packet in container.demux(self._stream):
                if packet.pts is not None and not packet.is_discard:
                    found[packet.pts] = packet.is_keyframe
        except av.FFmpegError:
            pass  # it is cut short; what was read so far can be used
        if not found:
            raise BadInput("not_a_video", f"{name} holds no frames")
        self._times = sorted(found)
        self._keys = [time for time in self._times if found[time]]
        self._decoded: Iterator[av.VideoFrame] = iter(())
        self._at: int | None = None
        base = float(self._stream.time_base or 1)
        self.seconds = [time * base for time in self._times]

    def square(self, frame: Frame, size: int) -> Image.Image:
        """The central square of a frame, upright; of the next one up to ``frame.latest`` if it can't be decoded.

        Raises:
            BadInput: ``truncated`` or ``too_large``.
        """
        wanted, latest = self._times[frame.number], self._times[frame.latest]
        try:
            self._go_to(wanted)
            for decoded in self._decoded:
                if decoded.pts is None or decoded.pts < wanted:
                    continue
                self._at = decoded.pts
                if decoded.pts > latest:
                    break
                _check_size(decoded.width, decoded.height, self._name)
                picture = decoded.to_image()
                return fit_square(picture.rotate(decoded.rotation, expand=True) if decoded.rotation else picture, size)
        except av.FFmpegError:
            self._at = None
        raise BadInput("truncated", f"{self._name} can't be decoded at {self.seconds[frame.number]:.3f} s")

    def _go_to(self, wanted: int) -> None:
        """Stand before a frame: by going on, unless that passed it or a later frame is a place to start from."""
        key = max((time for time in self._keys if time <= wanted), default=self._times[0])
        if self._at is None or self._at >= wanted or key > self._at:
            self._container.seek(key, stream=self._stream)
            self._decoded, self._at = self._container.decode(self._stream), key - 1


@contextmanager
def open_video(path: Path) -> Iterator[Video]:
    """Open a video.

    Raises:
        BadInput: ``missing``, ``not_a_video`` or ``too_large``.
    """
    options = {"format_whitelist": FORMATS, "fflags": "+genpts"}
    try:
        # An open file, since a name can be an address of many kinds to the library.
        with open(path, "rb") as file, av.open(file, mode="r", options=options) as container:
            yield Video(container, path.name)
    except FileNotFoundError:
        raise BadInput("missing", f"there is no video {path.name}") from None
    except (av.FFmpegError, OSError) as error:
        raise BadInput("not_a_video", f"{path.name} can't be read as a video ({error})") from None


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise BadInput("too_large", f"{name} is {width} x {height}; the limit is {MAX_PIXELS:,} pixels")
