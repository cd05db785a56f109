"""The scale bar of a picture in the page, drawn over its lower right corner."""

from __future__ import annotations

from markupsafe import Markup

from stream.report import wording
from stream.report.scale_bar import ScaleBar

_LETTERS, _EDGE, _TICK, _GAP = 0.042, 0.03, 0.012, 0.014
"""Height of the letters and the rest, as shares of the longer side of the picture."""

_SHEET = Markup(
    '<svg class="scale-bar" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    ' role="img" aria-label="Scale bar: {words}"><path class="halo" d="{line}"/><path d="{line}"/>'
    '<text x="{right:.1f}" y="{above:.1f}" text-anchor="end" font-size="{letters:.1f}">{words}'
    "</text></svg>"
)


def draw_scale(bar: ScaleBar, size_wh: tuple[int, int]) -> Markup:
    """Draw a bar as SVG of the shape of its picture, so that both scale alike on any screen.

    Parameters
    ----------
    size_wh : of the picture, in pixels
    """
    width, height = size_wh
    unit = max(size_wh)
    right, base = width - _EDGE * unit, height - _EDGE * unit
    left, tick = right - bar.share * width, _TICK * unit
    line = f"M{left:.1f} {base - tick:.1f}V{base:.1f}H{right:.1f}V{base - tick:.1f}"
    return _SHEET.format(
        words=wording.bar_words(bar),
        width=width,
        height=height,
        line=line,
        right=right,
        above=base - tick - _GAP * unit,
        letters=_LETTERS * unit,
    )
