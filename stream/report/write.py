"""Writes the report of one clip or session into a folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from stream.report.content import ReportContent
from stream.report.files import make_folder, write_whole
from stream.report.html import encode_html
from stream.report.plain import encode_frame, encode_map
from stream.report.png import draw_panel
from stream.report.tables import encode_csv, encode_json

Format = Literal["csv", "png", "pdf", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
DEFAULT: frozenset[Format] = frozenset({"csv", "png", "html"})
PDF, PAGE = "report.pdf", "index.html"


class Encoded(NamedTuple):
    """A file of a report; its name is fixed, nothing in it comes from the input."""

    format: Format
    name: str
    data: bytes


def format_of(name: str) -> Format | None:
    """Return the format that a file of a report belongs to; None for what is no part of any."""
    named: dict[str, Format] = {"predictions.csv": "csv", "report.json": "csv"}
    named |= {PDF: "pdf", PAGE: "html"}
    is_picture = name.startswith("frame_") and name.endswith(".png")
    return "png" if is_picture else named.get(name)


def write_report(
    content: ReportContent, folder: Path, formats: Set[Format] = DEFAULT
) -> tuple[Path, ...]:
    """Write the files of each format; the page comes last, so that it stands for a whole report.

    Parameters
    ----------
    content : what to show
    folder : the ``report`` folder of the session; made if absent
    formats : `csv` stands for both tables, CSV and JSON

    Returns
    -------
    paths of the files, as written

    Raises
    ------
    StorageError
        If the folder or a file cannot be written; files already complete stay.
    """
    return write_files(encode_report(content, formats), folder)


def write_files(files: Iterable[Encoded], folder: Path) -> tuple[Path, ...]:
    """Write encoded files in their order; see `write_report`."""
    make_folder(folder)
    return tuple(write_whole(folder / file.name, file.data) for file in files)


def encode_report(content: ReportContent, formats: Set[Format]) -> Iterator[Encoded]:
    """Yield every file of the formats; the same content gives the same bytes on one processor.

    They are ``predictions.csv`` and ``report.json``; ``frame_1.png``, ``frame_1_plain.png``,
    ``frame_1_map.png`` and, where there are integrated gradients, ``frame_1_ig.png``, and so on
    for each key frame; ``report.pdf``; ``index.html``.
    """
    if "csv" in formats:
        yield Encoded("csv", "predictions.csv", encode_csv(content))
        yield Encoded("csv", "report.json", encode_json(content))
    if "png" in formats:
        yield from _encode_pictures(content)
    if "pdf" in formats:
        from stream.report.pdf.document import encode_pdf  # takes 0.2 s to import

        yield Encoded("pdf", PDF, encode_pdf(content))
    if "html" in formats:
        yield Encoded("html", PAGE, encode_html(content))


def _encode_pictures(content: ReportContent) -> Iterator[Encoded]:
    for number, key in enumerate(content.key_frames, 1):
        yield Encoded("png", f"frame_{number}.png", draw_panel(content, key).encode_png())
        yield Encoded("png", f"frame_{number}_plain.png", encode_frame(content, key))
        yield Encoded("png", f"frame_{number}_map.png", encode_map(content, key))
        if key.explained is not None:
            panel = draw_panel(content, key, explained=True)
            yield Encoded("png", f"frame_{number}_ig.png", panel.encode_png())
