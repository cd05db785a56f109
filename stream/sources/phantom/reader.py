"""The phantom as a source of pictures."""

from __future__ import annotations

from collections.abc import Iterator

from engines.pixels import Pixels
from stream.closing import Closing
from stream.sources.base import Picture, Problem, SourceInfo
from stream.sources.phantom.scene import PhantomScene
from stream.sources.phantom.spec import PhantomSpec, parse_phantom


class PhantomReader(Closing):
    """Renders a clip frame by frame; holds no file and needs no sandbox.

    Parameters
    ----------
    spec : what to show
    """

    def __init__(self, spec: PhantomSpec) -> None:
        self.spec = spec
        self._closed = False

    @property
    def info(self) -> SourceInfo:
        """Facts known before the first picture."""
        spec = self.spec
        return SourceInfo(
            kind="phantom",
            name=spec.uri,
            size_wh=spec.size_wh,
            rate_hz=spec.rate_hz,
            frame_count=spec.frame_count,
            detail=f"synthetic {spec.organ}, {spec.finding}, {spec.geometry}",
            sha256="",
        )

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Always empty."""
        return ()

    def pictures(self) -> Iterator[Picture]:
        """Yield every picture in order; ends early once the reader is closed."""
        scene = PhantomScene(self.spec)
        for index in range(self.spec.frame_count):
            if self._closed:
                return
            image, _ = scene.frame(index)
            yield Picture(Pixels((image,)), round(index * 1e9 / self.spec.rate_hz))

    def close(self) -> None:
        """Stop rendering; may be called twice."""
        self._closed = True


def open_phantom(uri: str) -> PhantomReader:
    """Open a phantom by its URI.

    Raises
    ------
    UsageError
        If the URI names an organ, key or value that does not exist.
    """
    return PhantomReader(parse_phantom(uri))
