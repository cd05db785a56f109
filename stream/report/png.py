"""One key frame as a panel for print: original and saliency side by side at 600 DPI."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.report import wording
from stream.report.content import KeyFrame, ReportContent
from stream.report.overlay import as_rgb, draw_colour_bar, draw_overlay
from stream.report.scale_bar import ScaleBar, choose_bar
from stream.report.sheet import ACCENT, DPI, INK, MUTED, RAIL, Sheet, Style

_SIZE_MM = (160.0, 94.0)
_LEFT, _RIGHT = 6.0, 154.0
_BOX_MM, _GAP_MM, _IMAGES_TOP = (66.6, 50.0), 2.0, 16.5
_BAR_MM = (3.0, 48.0)
_LINE_MM_WIDE, _TICK_MM = 0.35, 0.9
_ROWS_TOP, _ROW_MM, _ROWS, _SCORES_RIGHT = 75.2, 4.1, 3, 76.0
_SCORE_GAP, _WORDS_LEFT, _LINE_MM = 3.0, 82.0, 3.4
_NOTES_TOP, _NOTE_MM = 88.4, 2.8
_TITLE, _PLAIN = Style(4.2, 650), Style(3.0)
_SMALL, _WORDS = Style(2.6), Style(2.45)
_CAPTION, _NOTE = Style(2.6, 400, MUTED), Style(2.1, 400, MUTED)


def draw_panel(
    content: ReportContent, key: KeyFrame, *, explained: bool = False, dpi: int = DPI
) -> Sheet:
    """Draw one key frame on 160 by 94 mm; the same content gives the same pixels.

    Parameters
    ----------
    explained : draw the integrated gradients, which must be there, in place of the class map
    """
    sheet = Sheet(_SIZE_MM, dpi)
    _draw_head(sheet, content, key)
    right = key.explained if explained else key.saliency
    assert right is not None
    caption = wording.GRADIENTS if explained else wording.SALIENCY
    bar = choose_bar(content, key.image.shape[1])
    _draw_picture(sheet, 0, as_rgb(key.image), wording.ORIGINAL, bar)
    overlay = draw_overlay(key.image, right)
    _draw_picture(sheet, 1, overlay, f"{caption} for {key.shown_class}", bar)
    _draw_bar(sheet, caption)
    _draw_scores(sheet, content.classes, key)
    _draw_words(sheet, key)
    meaning = wording.EXPLAINED_MEANING if explained else wording.SCALE_MEANING
    _draw_notes(sheet, (meaning, content.disclaimer))
    return sheet


def _draw_head(sheet: Sheet, content: ReportContent, key: KeyFrame) -> None:
    rank = f"Key frame {key.rank} of {len(content.key_frames)}"
    room = _RIGHT - _LEFT - sheet.measure(rank, _PLAIN) - 6
    sheet.write(sheet.fit(content.clip_name, _TITLE, room, keep_end=12), (_LEFT, 8.0), _TITLE)
    sheet.write_right(rank, (_RIGHT, 8.0), _PLAIN)
    marks = "".join(f"{mark} · " for mark in wording.mark_words(content))
    verdict = f"{marks}{wording.kind_words(content)} verdict: {content.verdict_label}"
    place = wording.place_words(key)
    room = _RIGHT - _LEFT - sheet.measure(place, _PLAIN) - 6
    sheet.write(place, (_LEFT, 13.2), _PLAIN)
    sheet.write_right(sheet.fit(verdict, _PLAIN, room), (_RIGHT, 13.2), _PLAIN)


def _draw_picture(
    sheet: Sheet, column: int, picture: NDArray[np.uint8], caption: str, bar: ScaleBar | None
) -> None:
    width, height = _BOX_MM
    left, bottom = _LEFT + column * (width + _GAP_MM), _IMAGES_TOP + height
    sheet.fill((left, _IMAGES_TOP, left + width, bottom), RAIL)
    edges = sheet.place(picture, (left, _IMAGES_TOP), _BOX_MM)
    length = bar.share * (edges[1] - edges[0]) if bar else 0.0
    end = _draw_scale(sheet, bar, length, (left + width, bottom)) if bar else left + width
    sheet.write(sheet.fit(caption, _CAPTION, end - left), (left, bottom + 3.4), _CAPTION)


def _draw_scale(sheet: Sheet, bar: ScaleBar, length: float, corner: tuple[float, float]) -> float:
    """Draw a scale bar of `length` mm below a corner to its left; return where it begins in mm."""
    right, bottom = corner
    left = right - length
    middle = bottom + 2.5
    sheet.fill((left, middle - _LINE_MM_WIDE / 2, right, middle + _LINE_MM_WIDE / 2), INK)
    for end in (left, right - _LINE_MM_WIDE):
        sheet.fill((end, middle - _TICK_MM, end + _LINE_MM_WIDE, middle + _TICK_MM), INK)
    words = wording.bar_words(bar)
    sheet.write_right(words, (left - 1.2, bottom + 3.4), _SMALL)
    return left - sheet.measure(words, _SMALL) - 4.0


def _draw_bar(sheet: Sheet, caption: str) -> None:
    left, top = _LEFT + 2 * (_BOX_MM[0] + _GAP_MM) + 1.0, _IMAGES_TOP + 1.0
    width, height = _BAR_MM
    sheet.place(np.rot90(draw_colour_bar((1024, 64))), (left, top), _BAR_MM)
    for level in (0.0, 0.5, 1.0):
        at = (left + width + 0.8, top + height * (1 - level) + 0.9)
        sheet.write(f"{level:g}", at, _CAPTION)
    lines = sheet.wrap(caption, _NOTE, _RIGHT - left + 1.0, 2)
    for row, line in enumerate(lines):
        sheet.write(line, (left, top + height + 3.4 + row * 2.5), _NOTE)


def _draw_scores(sheet: Sheet, classes: tuple[str, ...], key: KeyFrame) -> None:
    """Write up to nine classes in columns of three, each with a bar under it."""
    scores = [(name, float(prob)) for name, prob in zip(classes, key.probs, strict=True)]
    scores = sorted(scores, key=lambda score: -score[1])[: 3 * _ROWS]
    columns = -(-len(scores) // _ROWS)
    pitch = (_SCORES_RIGHT - _LEFT + _SCORE_GAP) / columns
    for index, (name, prob) in enumerate(scores):
        left = _LEFT + index // _ROWS * pitch
        right, base = left + pitch - _SCORE_GAP, _ROWS_TOP + index % _ROWS * _ROW_MM
        style = Style(2.6, 650) if name == key.shown_class else _SMALL
        sheet.write(sheet.fit(name, style, right - left - 6.0), (left, base), style)
        sheet.write_right(f"{prob:.2f}", (right, base), style)
        sheet.fill((left, base + 0.7, right, base + 1.2), RAIL)
        sheet.fill((left, base + 0.7, left + (right - left) * prob, base + 1.2), ACCENT)


def _draw_words(sheet: Sheet, key: KeyFrame) -> None:
    width = _RIGHT - _WORDS_LEFT
    lines = sheet.wrap(key.reason, _WORDS, width, 2)
    lines += sheet.wrap(wording.score_words(key), _WORDS, width, 2)
    for row, line in enumerate(lines):
        sheet.write(line, (_WORDS_LEFT, _ROWS_TOP + row * _LINE_MM), _WORDS)


def _draw_notes(sheet: Sheet, notes: tuple[str, ...]) -> None:
    for row, note in enumerate(notes):
        base = _NOTES_TOP + row * _NOTE_MM
        sheet.write(sheet.fit(note, _NOTE, _RIGHT - _LEFT), (_LEFT, base), _NOTE)
