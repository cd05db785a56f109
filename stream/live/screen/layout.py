"""Where everything is on the screen: named boxes, all sizes in percent of the height."""

from __future__ import annotations

from dataclasses import dataclass

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""

MIN_WH = (320, 180)
_SIDE, _LEAST_SIDE, _SIDE_SHARE = 47.0, 42.0, 0.27
_BOTTOM = 19.5
_HEADER, _PANEL, _FOOTER = 12.0, 48.0, 4.5
_KEYS_SHARE = 0.56
_NARROWEST = 4 / 3


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of a screen.

    Parameters
    ----------
    size_wh : of the screen in pixels
    unit_px : a hundredth of its height; less where it is narrower than 4:3
    picture : the picture with its heat map, and the banners over its top
    panel : label and score, or that there is no current result
    strip, keys : history: the probability over time, the key frames
    header : time, source, recording, live mark
    hud : measured facts
    footer : what this is not
    """

    size_wh: tuple[int, int]
    unit_px: float
    picture: Box
    panel: Box
    strip: Box
    keys: Box
    header: Box
    hud: Box
    footer: Box


def lay_out(size_wh: tuple[int, int]) -> Layout:
    """Divide a screen: a column at the right, history below, the rest for the picture.

    Raises
    ------
    ValueError
        If the screen is smaller than `MIN_WH`.
    """
    width, height = size_wh
    if width < MIN_WH[0] or height < MIN_WH[1]:
        raise ValueError(f"screen {size_wh}: expected at least {MIN_WH}")
    unit = min(height, width / _NARROWEST) / 100
    side = width - round(min(_SIDE * unit, max(_LEAST_SIDE * unit, _SIDE_SHARE * width)))
    low = height - round(_BOTTOM * unit)
    split = side - round(_KEYS_SHARE * side)
    header, panel = round(_HEADER * unit), round((_HEADER + _PANEL) * unit)
    footer = height - round(_FOOTER * unit)
    return Layout(
        size_wh,
        unit,
        picture=(0, 0, side, low),
        panel=(side, header, width, panel),
        strip=(0, low, split, height),
        keys=(split, low, side, height),
        header=(side, 0, width, header),
        hud=(side, panel, width, footer),
        footer=(side, footer, width, height),
    )
