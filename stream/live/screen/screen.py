"""Draws a `Scene` into pixels.

A current result comes into this module in one place, `read_verdict`; where that gives none, no
part is handed a class, a score or a saliency map of now, so none of them can be drawn.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stream.config import AnalysisConfig
from stream.live.screen.banners import banners_of, draw_banners
from stream.live.screen.film_strip import draw_keys
from stream.live.screen.help import draw_help
from stream.live.screen.layout import Box, lay_out
from stream.live.screen.panel import draw_panel, draw_score
from stream.live.screen.pen import Pen
from stream.live.screen.picture import PictureDrawer
from stream.live.screen.reading import Reading, read_verdict
from stream.live.screen.scene import Scene
from stream.live.screen.side import draw_footer, draw_header, draw_hud, draw_mark, mark_box
from stream.live.screen.strip import draw_strip, draw_strip_frame

DEFAULT_MARGIN = AnalysisConfig().margin


class Screen:
    """Draws scenes at one size; the picture returned is used again by the next `draw`.

    Parameters
    ----------
    size_wh : of the screen in pixels
    margin : half width of the uncertain band, see `stream.config.AnalysisConfig`

    Raises
    ------
    ValueError
        If the screen is smaller than `stream.live.screen.layout.MIN_WH`.
    """

    def __init__(self, size_wh: tuple[int, int], margin: float = DEFAULT_MARGIN) -> None:
        self._layout = lay_out(size_wh)
        self._pen = Pen(self._layout.unit_px)
        self._margin = margin
        self._image_bgr = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
        self._picture = PictureDrawer()
        self._banners_bgr: NDArray[np.uint8] = np.empty((0, 0, 3), np.uint8)
        self._empty_plot_bgr: NDArray[np.uint8] = np.empty((0, 0, 3), np.uint8)
        self._banner_boxes: tuple[Box, ...] = ()
        self._drawn: dict[str, object] = {}

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._layout.size_wh

    @property
    def regions(self) -> Mapping[str, Box]:
        """Boxes (left, top, right, bottom) by name: picture, panel, strip, keys, hud and so on."""
        layout = self._layout
        names = ("picture", "panel", "strip", "keys", "header", "hud", "footer")
        return {name: getattr(layout, name) for name in names}

    @property
    def banner_boxes(self) -> tuple[Box, ...]:
        """Where the banners of the last scene are, the most important first."""
        return self._banner_boxes

    def draw(self, scene: Scene) -> NDArray[np.uint8]:
        """Draw a scene.

        Returns
        -------
        shape (H, W, 3), uint8 BGR; overwritten by the next call
        """
        reading = read_verdict(scene, self._margin)
        cam = _map_of(scene) if reading else None
        self._draw_picture(scene, cam)
        self._draw_panel(reading, heat=cam is not None)
        self._draw_history(scene)
        self._draw_facts(scene)
        return self._image_bgr

    def _draw_picture(self, scene: Scene, cam: NDArray[np.float32] | None) -> None:
        picture_bgr, banners = self._view(self._layout.picture), banners_of(scene)
        self._picture.draw(picture_bgr, scene.picture, cam, scene.spec)
        if scene.help:
            draw_help(picture_bgr, self._pen)
        if self._is_new("banners", banners):
            drawn = draw_banners(picture_bgr.shape[1], self._pen, banners)
            self._banners_bgr, self._banner_boxes = drawn
        picture_bgr[: self._banners_bgr.shape[0]] = self._banners_bgr

    def _draw_panel(self, reading: Reading | None, *, heat: bool) -> None:
        panel_bgr = self._view(self._layout.panel)
        shown = reading and (reading.label, reading.kind, reading.finding, reading.threshold, heat)
        if self._is_new("panel", shown):
            draw_panel(panel_bgr, self._pen, reading, heat=heat)
        if reading is not None:
            draw_score(panel_bgr, self._pen, reading)

    def _draw_history(self, scene: Scene) -> None:
        pen, strip_bgr, spec = self._pen, self._view(self._layout.strip), scene.spec
        finding, threshold = (spec.positive_class, spec.threshold) if spec else ("", None)
        if self._is_new("strip", (finding, threshold)):
            self._empty_plot_bgr = draw_strip_frame(strip_bgr, pen, finding, threshold)
        draw_strip(strip_bgr, pen, scene.strip, self._empty_plot_bgr)
        if self._is_new("keys", scene.keys):
            draw_keys(self._view(self._layout.keys), pen, scene.keys)

    def _draw_facts(self, scene: Scene) -> None:
        pen, layout = self._pen, self._layout
        header_bgr = self._view(layout.header)
        if self._is_new("header", (scene.clock, scene.source, scene.recording)):
            draw_header(header_bgr, pen, scene)
        left, top, right, bottom = mark_box(header_bgr, pen)
        draw_mark(header_bgr[top:bottom, left:right], pen, scene.tick)
        if self._is_new("hud", scene.hud):
            draw_hud(self._view(layout.hud), pen, scene.hud)
        if self._is_new("footer", ()):
            draw_footer(self._view(layout.footer), pen)

    def _is_new(self, part: str, shown: object) -> bool:
        """Say whether a part must be drawn because it shows something else than before."""
        if part in self._drawn and self._drawn[part] == shown:
            return False
        self._drawn[part] = shown
        return True

    def _view(self, box: Box) -> NDArray[np.uint8]:
        left, top, right, bottom = box
        return self._image_bgr[top:bottom, left:right]


def _map_of(scene: Scene) -> NDArray[np.float32] | None:
    """Return the map to draw; none over a picture of the past."""
    if scene.verdict is None or not scene.heat or scene.frozen:
        return None
    cam = scene.verdict.cam
    return cam if cam.ndim == 2 and cam.size else None
