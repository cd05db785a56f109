"""The panels of a report as they go into DICOM: drawn for screens, not for print."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.report.content import ReportContent
from stream.report.png import draw_panel

DPI = 300
"""1890 by 1110 pixels a panel; at the 600 of print, five of them uncompressed take 126 MB."""


def draw_panels(content: ReportContent) -> list[NDArray[np.uint8]]:
    """Draw the panels of all key frames, then those with integrated gradients where there are any.

    Returns
    -------
    shape (1110, 1890, 3), uint8 RGB, each
    """
    keys = content.key_frames
    panels = [draw_panel(content, key, dpi=DPI) for key in keys]
    explained = [key for key in keys if key.explained is not None]
    panels += [draw_panel(content, key, explained=True, dpi=DPI) for key in explained]
    return [panel.picture for panel in panels]
