"""A page of the PDF for one key frame, at print quality."""

from __future__ import annotations

from typing import Any

import numpy as np
from reportlab.lib.units import mm
from reportlab.platypus import Image, Spacer

from stream.report import wording
from stream.report.content import KeyFrame, ReportContent
from stream.report.overlay import draw_colour_bar, draw_overlay
from stream.report.pdf.drawing import draw_scale_bar, draw_share, place_overlay, place_picture
from stream.report.pdf.style import (
    ALL,
    BODY,
    NOTE,
    RIGHT,
    STRONG,
    STRONG_RIGHT,
    TITLE,
    WIDTH,
    shorten,
    tabulate,
    write,
)
from stream.report.scale_bar import choose_bar

_GAP, _BAR_ROOM = 3 * mm, 15 * mm
_MOST_HEIGHT, _BAR_MM = 104 * mm, (4, 60)
_SCORES = 8


def build_frame(content: ReportContent, key: KeyFrame) -> list[Any]:
    """Return the flowables of the page of a key frame."""
    rank = f"Key frame {key.rank} of {len(content.key_frames)}"
    marks = "".join(f"{mark} · " for mark in wording.mark_words(content))
    kind = wording.kind_words(content)
    verdict = f"{marks}{kind} verdict: {shorten(content.verdict_label, 60)}"
    head = [
        [write(f"{rank}: {wording.place_words(key)}", TITLE), write(verdict, RIGHT)],
        [write(shorten(content.clip_name, 110), NOTE), ""],
    ]
    meanings = [wording.SCALE_MEANING, wording.EXPLAINED_MEANING][: 2 - (key.explained is None)]
    return [
        tabulate(head, [0.66 * WIDTH, 0.34 * WIDTH], ("RIGHTPADDING", *ALL, 0)),
        Spacer(0, 4),
        _pictures(content, key),
        Spacer(0, 5),
        _words(content, key),
        Spacer(0, 4),
        *(write(meaning, NOTE) for meaning in meanings),
    ]


def _pictures(content: ReportContent, key: KeyFrame) -> Any:
    """Lay the original, its overlays and the colour scale side by side, captions below."""
    drawn = [(wording.SALIENCY, key.saliency), (wording.GRADIENTS, key.explained)]
    overlays = [(words, values) for words, values in drawn if values is not None]
    room = (WIDTH - _BAR_ROOM) / (1 + len(overlays))
    box_wh = (room - _GAP, _MOST_HEIGHT)
    shown = [(wording.ORIGINAL, place_picture(key.image, box_wh))]
    for words, values in overlays:
        caption = f"{words} for {shorten(key.shown_class, 50)}"
        shown.append((caption, place_overlay(draw_overlay(key.image, values), box_wh)))
    captions = [_caption(content, words, image, room - _GAP) for words, image in shown]
    images = [image for _, image in shown]
    rows = [[*images, _colour_bar()], [*captions, write(wording.SALIENCY, NOTE)]]
    return tabulate(rows, [room] * len(shown) + [_BAR_ROOM], ("RIGHTPADDING", *ALL, 0))


def _caption(content: ReportContent, words: str, image: Image, width: float) -> Any:
    """Return the words, and at the right end the scale bar where the spacing is known."""
    bar = choose_bar(content, image.imageWidth)
    if bar is None:
        return write(words, NOTE)
    scale = draw_scale_bar(bar, image.drawWidth)
    widths = [width - scale.width, scale.width]
    return tabulate([[write(words, NOTE), scale]], widths, ("RIGHTPADDING", *ALL, 0))


def _colour_bar() -> Any:
    width, height = (length * mm for length in _BAR_MM)
    upright = np.ascontiguousarray(np.rot90(draw_colour_bar((512, 32))))
    picture = place_picture(upright, (width, height))
    return [write("1", NOTE), picture, write("0", NOTE)]


def _words(content: ReportContent, key: KeyFrame) -> Any:
    third = WIDTH / 3
    said = [write("Why this frame", STRONG), write(key.reason)]
    return tabulate(
        [[said, _scores(content, key, third - 14), _parts(key, third - 14)]],
        [third] * 3,
        ("RIGHTPADDING", *ALL, 14),
    )


def _scores(content: ReportContent, key: KeyFrame, width: float) -> list[Any]:
    scores = sorted(zip(content.classes, map(float, key.probs), strict=True), key=lambda s: -s[1])
    rows = []
    for name, prob in scores[:_SCORES]:
        plain, right = (STRONG, STRONG_RIGHT) if name == key.shown_class else (BODY, RIGHT)
        bar = draw_share(prob, 0.32 * width)
        rows.append([write(shorten(name, 60), plain), write(f"{prob:.2f}", right), bar])
    middle = ("VALIGN", *ALL, "MIDDLE")
    table = tabulate(rows, [0.5 * width, 0.14 * width, 0.36 * width], middle)
    more = len(scores) - _SCORES
    rest = [write(f"and {more} more classes, in the tables", NOTE)] if more > 0 else []
    return [write("Class probabilities", STRONG), table, *rest]


def _parts(key: KeyFrame, width: float) -> list[Any]:
    rows = [[write("score", STRONG), write(f"{key.score:.3f}", STRONG_RIGHT)]]
    rows += [
        [write(wording.state_words(name)), write(f"{part:.3f}", RIGHT)]
        for name, part in key.score_parts.items()
    ]
    return [write("Ranking score", STRONG), tabulate(rows, [0.7 * width, 0.3 * width])]
