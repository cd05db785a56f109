"""What all figures share: the page, its sentence and banner, colours, and names that fit."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Page
from matplotlib.ft2font import FT2Font
from matplotlib.layout_engine import ConstrainedLayoutEngine

from train.scoring.report import write_file

# Okabe and Ito, "Color Universal Design", 2008, without the yellow, which is lost on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v")
WARNING, GREY = "#B03A00", "#444444"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "text.parse_math": False,
    "axes.unicode_minus": False,
}
CHARS_PER_INCH = 15.5
NAME_LENGTH = 28


@dataclass(frozen=True, slots=True)
class Caption:
    """What stands on a figure besides the figure.

    Parameters
    ----------
    what : the sentence of what data and split it is of
    banner : warning above everything, or empty
    dpi : dots per inch of the PNG
    """

    what: str
    banner: str = ""
    dpi: int = 200


@contextmanager
def open_page(path: Path, size_in: tuple[float, float], caption: Caption) -> Iterator[Page]:
    """Yield a page to draw on; write it as PNG when done, the same bytes for the same drawing.

    Parameters
    ----------
    size_in : width and height in inches

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    width = int(size_in[0] * CHARS_PER_INCH)
    with mpl.style.context(["default", STYLE]):
        layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
        page = Page(figsize=size_in, dpi=caption.dpi, layout=layout)
        FigureCanvasAgg(page)
        if caption.banner:
            text = textwrap.fill(drawable(caption.banner), int(width * 0.8))
            page.suptitle(text, color=WARNING, fontsize=8, fontweight="bold")
        text = textwrap.fill(drawable(caption.what), width)
        page.supxlabel(text, color=GREY, fontsize=6.5)
        yield page
        data = io.BytesIO()
        page.savefig(data, format="png", dpi=caption.dpi, metadata={"Software": None})
    write_file(path, data.getvalue())


def drawable(text: str) -> str:
    """Return text on one line in which "?" stands for what the font cannot draw."""
    font = Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    known = FT2Font(str(font)).get_charmap()
    return "".join(c if c.isprintable() and ord(c) in known else "?" for c in text)


def short(name: str, length: int = NAME_LENGTH) -> str:
    """Return a drawable name of at most `length` letters, its middle left out."""
    name = drawable(name)
    half = (length - 1) // 2
    return name if len(name) <= length else f"{name[:half]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"


def colour(place: int) -> str:
    """Return the colour of the class or run at a place."""
    return COLOURS[place % len(COLOURS)]


def line(place: int) -> str:
    """Return the line style of a place; colour and line together tell 28 places apart."""
    return LINES[place % len(LINES)]


def marker(place: int) -> str:
    """Return the marker of a place; colour and marker together tell 35 places apart."""
    return MARKERS[place % len(MARKERS)]
