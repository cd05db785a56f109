"""Fonts, colours and paragraph styles of the PDF, and text that its fonts can show."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Paragraph, Table

from stream.report import sheet
from stream.report.wording import printable

PLAIN, BOLD = "Sonostream", "Sonostream-Bold"
FILES = {PLAIN: "Vera.ttf", BOLD: "VeraBd.ttf"}
"""Bitstream Vera comes with reportlab, so it is there on every machine."""
PAGE_WH = landscape(A4)
MARGIN, FOOT = 13 * mm, 15 * mm
WIDTH = PAGE_WH[0] - 2 * MARGIN
HEIGHT = PAGE_WH[1] - MARGIN - FOOT
COLUMN = (WIDTH - 8 * mm) / 2
ALL = (0, 0), (-1, -1)


def _colour(rgb: sheet.Colour) -> Any:
    return Color(*(level / 255 for level in rgb))


INK, MUTED, RAIL = _colour(sheet.INK), _colour(sheet.MUTED), _colour(sheet.RAIL)
ACCENT, PAPER = _colour(sheet.ACCENT), _colour((255, 255, 255))
WARN, WARN_LINE = _colour((255, 243, 214)), _colour((217, 167, 53))
UNCERTAIN, UNFAMILIAR = _colour((249, 226, 174)), _colour((216, 203, 239))
HATCH, TINT = _colour((201, 208, 214)), _colour((132, 180, 194))

BODY = ParagraphStyle("body", fontName=PLAIN, fontSize=9, leading=12, textColor=INK)
STRONG = ParagraphStyle("strong", BODY, fontName=BOLD)
RIGHT = ParagraphStyle("right", BODY, alignment=2)
STRONG_RIGHT = ParagraphStyle("strong right", STRONG, alignment=2)
NOTE = ParagraphStyle("note", BODY, fontSize=8, leading=10.4, textColor=MUTED)
SMALL = ParagraphStyle("small", BODY, fontSize=8, leading=10.4)
HEADING = ParagraphStyle(
    "heading", STRONG, fontSize=10, leading=13, spaceBefore=8, spaceAfter=3, keepWithNext=1
)
FACT = ParagraphStyle("fact", SMALL, fontSize=7, leading=9.2)
"""Letters so small that a column of `COLUMN` holds a digest in one line."""
SMALL_RIGHT = ParagraphStyle("small right", SMALL, alignment=2)
TEXT = ParagraphStyle("text", SMALL, spaceAfter=3)
TITLE = ParagraphStyle("title", STRONG, fontSize=15, leading=18.5)
LABEL = ParagraphStyle("label", STRONG, fontSize=18, leading=23)


def register_fonts() -> None:
    """Make both fonts known to reportlab; doing so again changes nothing."""
    for name, font in _fonts().items():
        registerFont(font)
        assert font.fontName == name


def drawable(text: str) -> str:
    r"""Return a text with escapes such as ``\u4e2d`` for what one of the fonts cannot draw."""
    known = _known()
    return "".join(
        char if ord(char) in known else char.encode("unicode_escape").decode()
        for char in printable(text)
    )


def shorten(text: str, most: int, keep_end: int = 12) -> str:
    """Return a text of at most `most` letters, cut before its last `keep_end` ones."""
    text = drawable(text)
    return text if len(text) <= most else f"{text[: most - keep_end - 1]}…{text[-keep_end:]}"


def write(text: str, style: ParagraphStyle = BODY) -> Paragraph:
    """Return a paragraph that says a text as it is, markup included."""
    return Paragraph(escape(drawable(text)), style)


def tabulate(rows: list[list[Any]], widths: list[float], *commands: tuple[Any, ...]) -> Table:
    """Return a table that fills its place from the left, without padding at the outer edges.

    Parameters
    ----------
    rows : flowables, or lists of them
    widths : of the columns, in points
    commands : further commands of reportlab's table style
    """
    table = Table(rows, colWidths=widths, hAlign="LEFT", splitInRow=1)
    style = [
        ("FONTNAME", *ALL, PLAIN),  # or the file would ask for a font that it does not bring along
        ("VALIGN", *ALL, "TOP"),
        ("LEFTPADDING", *ALL, 0),
        ("RIGHTPADDING", *ALL, 6),
        ("TOPPADDING", *ALL, 1.2),
        ("BOTTOMPADDING", *ALL, 1.2),
    ]
    table.setStyle([*style, *commands])
    return table


def tabulate_facts(facts: Mapping[str, str], width: float, name_width: float) -> Table:
    """Return two columns: what, in muted letters, and its value, whose long words are broken."""
    rows = [[write(name, NOTE), write(value, FACT)] for name, value in facts.items()]
    line = ("LINEBELOW", *ALL, 0.3, RAIL)
    return tabulate(rows, [name_width, width - name_width], line)


@cache
def _fonts() -> dict[str, TTFont]:
    return {name: TTFont(name, file) for name, file in FILES.items()}


@cache
def _known() -> frozenset[int]:
    """Return the code points that both fonts can draw."""
    plain, bold = (frozenset(font.face.charToGlyph) for font in _fonts().values())
    return plain & bold
