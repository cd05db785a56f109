"""The written result of a recipe as a PDF: method, figures, curves, frames, what to mistrust."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import cm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    Flowable,
    Image,
    KeepTogether,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
)

from stream.errors import UsageError
from train.attribution.drawing import find_font
from train.figures.canvas import drawable
from train.scoring.metrics import Figure
from train.scoring.report import write_file

NOT_A_DEVICE = "Not a medical device: for research only, not for diagnosis or treatment."
PLAIN, BOLD = "DejaVu", "DejaVu-Bold"
WIDTH = A4[0] - 4 * cm - 12
"""Of text: the page less its margins and the frame's padding."""
CURVE_WH = (WIDTH / 2 - 0.2 * cm, 7 * cm)
FRAME_WH = (WIDTH, 8 * cm)
ALL = (0, 0), (-1, -1)
EMBEDDED = ("FONTNAME", *ALL, PLAIN)
"""Every table names its font, or the file would ask for one that it does not bring along."""
LINE, ALARM, WASH = HexColor(0x999999), HexColor(0xC00000), HexColor(0xFDECEA)
BODY = ParagraphStyle("body", fontName=PLAIN, fontSize=9, leading=12.5, spaceAfter=4)
CELL = ParagraphStyle("cell", BODY, fontSize=8, leading=10.5, spaceAfter=0)
STRONG = ParagraphStyle("strong", CELL, fontName=BOLD)
CAPTION = ParagraphStyle("caption", CELL, spaceBefore=2, spaceAfter=8)
HEADING = ParagraphStyle(
    "heading", BODY, fontName=BOLD, fontSize=11, leading=14, spaceBefore=9, keepWithNext=1
)
TITLE = ParagraphStyle("title", HEADING, fontSize=16, leading=20, spaceBefore=0, spaceAfter=6)


@dataclass(frozen=True)
class Result:
    """One figure of merit, and what was published.

    Parameters
    ----------
    name : such as ``accuracy``
    figure : measured, with its interval; None where the data does not define it
    published : of the system that the recipe rebuilds, or None
    """

    name: str
    figure: Figure | None
    published: float | None = None


@dataclass(frozen=True)
class Picture:
    """A picture file and the line below it."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Paper:
    """What a PDF says.

    Parameters
    ----------
    title : of the document
    method : paragraphs
    split : which part was held out, how, and how large the parts are
    results : rows of the table
    interval : how intervals were made
    published_where : source of the published figures
    curves : two beside each other
    frames : by part, such as the five frames of the test part with their plots
    warnings : what a reader has to know before the figures, such as a leak that was allowed or a
        random start
    """

    title: str
    method: tuple[str, ...]
    split: str
    results: tuple[Result, ...]
    interval: str = ""
    published_where: str = ""
    curves: tuple[Picture, ...] = ()
    frames: Mapping[str, tuple[Picture, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def write_paper(paper: Paper, path: Path) -> None:
    """Write a paper as PDF with its fonts embedded; the same paper gives the same bytes.

    Raises
    ------
    UsageError
        If a picture cannot be read.
    StorageError
        If the file cannot be written.
    """
    registerFont(TTFont(PLAIN, find_font()))
    registerFont(TTFont(BOLD, find_font("DejaVuSans-Bold")))
    file = io.BytesIO()
    title = drawable(paper.title)
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=2 * cm,
        rightMargin=2 * cm,
        topMargin=1.8 * cm,
        bottomMargin=2 * cm,
        title=title,
        author="Sonostream",
        initialFontName=PLAIN,
        invariant=1,
    )

    def number(canvas: Canvas, template: SimpleDocTemplate) -> None:
        canvas.setFont(PLAIN, 7)
        canvas.drawString(2 * cm, 1.2 * cm, NOT_A_DEVICE)
        canvas.drawRightString(A4[0] - 2 * cm, 1.2 * cm, f"Page {template.page}")

    document.build(_compose(paper), onFirstPage=number, onLaterPages=number)
    write_file(path, file.getvalue())


def _compose(paper: Paper) -> list[Flowable]:
    story = [_text(paper.title, TITLE), *_warn((*paper.warnings, NOT_A_DEVICE))]
    story += [_text("Method", HEADING), *(_text(part) for part in paper.method)]
    story += [_text("Split", HEADING), _text(paper.split)]
    story += [_text("Figures", HEADING), _tabulate(paper.results)]
    notes = [paper.interval]
    if paper.published_where:
        notes.append(f"Published: {paper.published_where}")
    story += [_text(note, CAPTION) for note in notes if note]
    parts = {"Curves": _pair(paper.curves)}
    for part, pictures in paper.frames.items():
        parts[f"Frames: {part}"] = [_show(picture, FRAME_WH) for picture in pictures]
    for heading, blocks in parts.items():
        for place, block in enumerate(blocks):
            story.append(KeepTogether(block if place else [_text(heading, HEADING), *block]))
    return story


def _text(text: str, style: ParagraphStyle = BODY) -> Paragraph:
    return Paragraph(escape(drawable(text)), style)


def _warn(lines: Sequence[str]) -> list[Flowable]:
    box = Table([[_text(line, STRONG)] for line in lines], colWidths=[WIDTH], splitInRow=1)
    box.setStyle([EMBEDDED, ("BACKGROUND", *ALL, WASH), ("BOX", *ALL, 0.8, ALARM)])
    return [box, Spacer(0, 6)]


def _tabulate(results: Sequence[Result]) -> Table:
    head = [_text(name, STRONG) for name in ("", "measured (95 % interval)", "published")]
    rows = [
        [
            _text(result.name, CELL),
            _text("undefined" if result.figure is None else str(result.figure), CELL),
            _text("-" if result.published is None else f"{result.published:.4g}", CELL),
        ]
        for result in results
    ]
    shares = (0.45, 0.37, 0.18)
    table = Table([head, *rows], colWidths=[WIDTH * s for s in shares], repeatRows=1)
    table.setStyle([EMBEDDED, ("LINEBELOW", *ALL, 0.4, LINE), ("VALIGN", *ALL, "TOP")])
    return table


def _pair(pictures: Sequence[Picture]) -> list[list[Flowable]]:
    """Return rows of two pictures beside each other."""
    cells = [_show(picture, CURVE_WH) for picture in pictures]
    cells += [[]] * (len(cells) % 2)
    style = [EMBEDDED, ("VALIGN", *ALL, "TOP"), ("LEFTPADDING", *ALL, 0)]
    return [
        [Table([cells[start : start + 2]], colWidths=[WIDTH / 2] * 2, style=style)]
        for start in range(0, len(cells), 2)
    ]


def _show(picture: Picture, room_wh: tuple[float, float]) -> list[Flowable]:
    """Return a picture, as large as fits, and its caption."""
    try:
        width, height = ImageReader(str(picture.path)).getSize()
    except OSError as error:
        raise UsageError(
            str(picture.path), "not a picture that can be read", "draw the figures first"
        ) from error
    scale = min(room_wh[0] / width, room_wh[1] / height)
    image = Image(str(picture.path), width * scale, height * scale, hAlign="LEFT")
    return [image, _text(picture.caption, CAPTION)]
