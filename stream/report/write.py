"""Writes the whole report of one clip into a folder."""

from __future__ import annotations

from pathlib import Path

from stream.report.content import ReportContent
from stream.report.files import make_folder, write_whole
from stream.report.html import encode_html
from stream.report.png import encode_panel
from stream.report.tables import encode_csv, encode_json


def write_report(content: ReportContent, folder: Path) -> tuple[Path, ...]:
    """Write tables, panels and page; the page comes last, so that it stands for a whole report.

    File names are fixed; nothing in them comes from the input.

    Parameters
    ----------
    content : what to show
    folder : the ``report`` folder of the session; made if absent

    Returns
    -------
    ``predictions.csv``, ``report.json``, ``frame_1.png``..., ``index.html``, as written

    Raises
    ------
    StorageError
        If the folder or a file cannot be written; files already complete stay.
    """
    make_folder(folder)
    written = [
        write_whole(folder / "predictions.csv", encode_csv(content)),
        write_whole(folder / "report.json", encode_json(content)),
    ]
    for number, key in enumerate(content.key_frames, 1):
        written.append(write_whole(folder / f"frame_{number}.png", encode_panel(content, key)))
        if key.explained is not None:
            panel = encode_panel(content, key, explained=True)
            written.append(write_whole(folder / f"frame_{number}_ig.png", panel))
    written.append(write_whole(folder / "index.html", encode_html(content)))
    return tuple(written)
