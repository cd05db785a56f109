"""The report as one PDF: a summary, a page for each key frame, method and provenance."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reportlab import rl_config
from reportlab.lib.units import mm
from reportlab.platypus import (
    BaseDocTemplate,
    Frame,
    KeepInFrame,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
)

from stream import __version__
from stream.report import wording
from stream.report.content import ReportContent
from stream.report.pdf.frame import build_frame
from stream.report.pdf.method import build_method
from stream.report.pdf.style import (
    BOLD,
    COLUMN,
    FOOT,
    HEIGHT,
    INK,
    MARGIN,
    MUTED,
    PAGE_WH,
    PLAIN,
    WIDTH,
    drawable,
    register_fonts,
    shorten,
)
from stream.report.pdf.summary import build_summary

_COLUMNS = "columns"


def encode_pdf(content: ReportContent) -> bytes:
    """Return the report as PDF with its fonts embedded; the same content gives the same bytes.

    Frames are stored without loss, overlays as JPEG. The summary and each key frame take one
    page; what would not fit there is made smaller.
    """
    register_fonts()
    file = io.BytesIO()
    document = BaseDocTemplate(
        file,
        pagesize=PAGE_WH,
        title=drawable(f"{content.clip_name}: Sonostream {wording.kind_words(content)} report"),
        author=f"Sonostream {__version__}",
        subject=content.disclaimer,
        creator="Sonostream",
        lang="en",
        initialFontName=PLAIN,
        invariant=1,
    )
    name = shorten(content.clip_name, 90)
    document.addPageTemplates(
        [
            PageTemplate(kind, frames, onPage=lambda canvas, page: _draw_foot(canvas, page, name))
            for kind, frames in (("page", _columns(1, WIDTH)), (_COLUMNS, _columns(2, COLUMN)))
        ]
    )
    pages = [build_summary(content), *(build_frame(content, key) for key in content.key_frames)]
    story = [part for page in pages for part in (PageBreak(), _one_page(page))][1:]
    with _binary_streams():
        document.build([*story, NextPageTemplate(_COLUMNS), PageBreak(), *build_method(content)])
    return file.getvalue()


def _columns(count: int, width: float) -> list[Frame]:
    """Return so many columns from margin to margin."""
    pitch = WIDTH - width
    lefts = [MARGIN + number * pitch for number in range(count)]
    return [Frame(left, FOOT, width, HEIGHT, 0, 0, 0, 0) for left in lefts]


@contextmanager
def _binary_streams() -> Iterator[None]:
    """Keep reportlab from writing pictures as ASCII, which takes longer than all the rest."""
    before, rl_config.useA85 = rl_config.useA85, 0
    try:
        yield
    finally:
        rl_config.useA85 = before


def _one_page(parts: list[Any]) -> KeepInFrame:
    return KeepInFrame(WIDTH, HEIGHT, parts, mode="shrink")


def _draw_foot(canvas: Any, document: Any, name: str) -> None:
    canvas.setFont(BOLD, 7.5)
    canvas.setFillColor(INK)
    canvas.drawString(MARGIN, FOOT - 6 * mm, wording.NOT_A_DEVICE)
    canvas.setFont(PLAIN, 7.5)
    canvas.setFillColor(MUTED)
    canvas.drawCentredString(PAGE_WH[0] / 2, FOOT - 6 * mm, name)
    canvas.drawRightString(PAGE_WH[0] - MARGIN, FOOT - 6 * mm, f"Page {document.page}")
