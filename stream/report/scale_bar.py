"""The scale bar under a picture: a round length that fits."""

from __future__ import annotations

from dataclasses import dataclass

from stream.report.content import ReportContent

_LENGTHS_MM = (50, 20, 10, 5)
_MOST_OF_WIDTH = 0.4
_SQUARE = 0.01


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """A bar drawn along the rows of a picture.

    Parameters
    ----------
    length_mm : what it stands for
    share : its length as a share of the picture's width
    square : rows are as far apart as columns, within one percent
    """

    length_mm: int
    share: float
    square: bool


def choose_bar(content: ReportContent, width_px: int) -> ScaleBar | None:
    """Return the longest bar of 5, 10, 20 or 50 mm that takes at most 40 % of the width.

    Parameters
    ----------
    width_px : columns of the picture whose spacing the content tells

    Returns
    -------
    the bar, or None where the spacing is not known or no such bar fits
    """
    if content.pixel_spacing_mm is None:
        return None
    row_mm, column_mm = content.pixel_spacing_mm
    square = abs(row_mm / column_mm - 1) <= _SQUARE
    shares = ((length, length / (column_mm * width_px)) for length in _LENGTHS_MM)
    return next((ScaleBar(mm, s, square) for mm, s in shares if s <= _MOST_OF_WIDTH), None)
