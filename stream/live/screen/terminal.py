"""The live view without a window: the same facts as a table, or as lines where nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from stream import console
from stream.clock import MS, now_ns
from stream.live.screen.banners import banners_of
from stream.live.screen.reading import WITHDRAWN, read_verdict
from stream.live.screen.scene import Scene
from stream.live.screen.screen import DEFAULT_MARGIN
from stream.report.wording import NOT_A_DEVICE, printable

TABLE_NS, LINE_NS = 100 * MS, 1000 * MS
"""Least time between two tables, and between two lines."""

Row = tuple[str, str, str]
"""Level, name, value; see `stream.console.live_table`."""


class TerminalDisplay:
    """See `stream.live.viewer.viewer.Display`.

    On a terminal a table is drawn at most ten times a second; elsewhere a line is printed when
    the banners or the label change, at most once a second.

    Parameters
    ----------
    margin : half width of the uncertain band, see `stream.config.AnalysisConfig`
    clock : tells the time in ns
    """

    def __init__(self, margin: float = DEFAULT_MARGIN, clock: Callable[[], int] = now_ns) -> None:
        self._margin, self._clock = margin, clock
        self._stack = ExitStack()
        self._show_table: Callable[[str, str, Sequence[Row]], None] | None = None
        if console.is_terminal():
            self._show_table = self._stack.enter_context(console.live_table())
        self._shown_ns: int | None = None
        self._gist: tuple[str, ...] | None = None

    def show(self, scene: Scene) -> None:
        """Show a scene, unless the last one was just now."""
        now, gap_ns = self._clock(), TABLE_NS if self._show_table else LINE_NS
        if self._shown_ns is not None and now - self._shown_ns < gap_ns:
            return
        if self._show_table is not None:
            self._show_table(title_of(scene), NOT_A_DEVICE, rows_of(scene, self._margin))
        elif gist_of(scene, self._margin) != self._gist:
            self._gist = gist_of(scene, self._margin)
            console.say(line_of(scene, self._margin))
        else:
            return
        self._shown_ns = now

    def poll_keys(self) -> tuple[str, ...]:
        """Return no keys: a terminal session is ended by Ctrl-C."""
        return ()

    def toggle_full_screen(self) -> None:
        """Do nothing: there is no window."""

    def picture_bgr(self) -> NDArray[np.uint8] | None:
        """Return None: there is no picture on the screen."""
        return None

    def close(self) -> None:
        """Leave the last table where it is."""
        self._stack.close()
        self._show_table = None


def rows_of(scene: Scene, margin: float) -> list[Row]:
    """Return everything that the screen shows in letters, in the screen's order."""
    rows: list[Row] = [
        (banner.level, printable(banner.title), printable(banner.cause))
        for banner in banners_of(scene)
    ]
    reading = read_verdict(scene, margin)
    if reading is None:
        rows.append(("result", "result", WITHDRAWN))
    else:
        low, high = reading.band
        rows += [
            ("result", "result", printable(reading.label)),
            ("result", f"probability of {reading.finding}", f"{reading.probability:.2f}"),
            ("", "newest frame", f"{reading.newest:.2f}"),
            ("", "threshold", f"{reading.threshold:.2f}, uncertain {low:.2f} to {high:.2f}"),
        ]
    rows += [("", printable(name), printable(value)) for name, value in scene.hud]
    rows.append(("", "recording", "yes" if scene.recording else "no"))
    keys = "   ".join(
        f"{printable(key.clock)} {key.probability:.2f}{' pinned' if key.pinned else ''}"
        for key in scene.keys
    )
    return [*rows, ("", "key frames so far", keys or "none yet")]


def title_of(scene: Scene) -> str:
    """Return wall time and source."""
    return f"{printable(scene.clock)}   {printable(scene.source)}"


def gist_of(scene: Scene, margin: float) -> tuple[str, ...]:
    """Return what makes a new line worth printing when it changes."""
    reading = read_verdict(scene, margin)
    titles = (banner.title for banner in scene.banners)
    return (reading.label if reading else WITHDRAWN, "frozen" if scene.frozen else "", *titles)


def line_of(scene: Scene, margin: float) -> str:
    """Return time, result and banners in one line."""
    reading = read_verdict(scene, margin)
    words = WITHDRAWN
    if reading is not None:
        words = f"{reading.label} ({reading.finding} {reading.probability:.2f})"
    banners = [f"{b.title} ({b.cause})" if b.cause else b.title for b in banners_of(scene)]
    return printable(" | ".join([scene.clock, words, *banners]))
