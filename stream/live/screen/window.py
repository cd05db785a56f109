"""The window that a person looks at: pictures in, names of keys out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.clock import MS, now_ns
from stream.closing import Closing
from stream.live.screen.keys_map import NAME_OF_CODE
from stream.live.screen.layout import MIN_WH
from stream.live.screen.qt import check_display

MOST_ROWS = 1080
"""A taller window is drawn with so many rows and enlarged: 4K would cost four times as much."""

_FLAGS = cv2.WINDOW_NORMAL | cv2.WINDOW_GUI_NORMAL | cv2.WINDOW_FREERATIO
"""Every picture is drawn at the size of the window. With WINDOW_KEEPRATIO OpenCV tells the size
of the last picture instead, and the window could never take another shape."""
WHEEL_NS = 250 * MS
"""The wheel has come to rest: a turn while a window opens would go by unseen, and zoom it."""
SETTLED_NS = 1000 * MS
"""A window that was opened just now may not have its size yet."""
_MOST_KEYS = 16


class Window(Closing):
    """A window of OpenCV, which belongs to the thread that opens it.

    Parameters
    ----------
    title : shown by the desktop
    size_wh : inner size at first
    full_screen : begin with the whole screen

    Raises
    ------
    UsageError
        If there is no display to open it on.
    """

    def __init__(
        self,
        title: str = "Sonostream",
        size_wh: tuple[int, int] = (1280, 720),
        *,
        full_screen: bool = False,
    ) -> None:
        check_display()
        self._title, self._size_wh, self._full_screen = title, size_wh, full_screen
        self._zoomed_ns, self._is_open = 0, False
        self._open()

    @property
    def size_wh(self) -> tuple[int, int]:
        """Size to draw at: what the window shows now, within `MIN_WH` and `MOST_ROWS`."""
        width, height = self._inner_wh()
        scale = min(1.0, MOST_ROWS / height)
        return max(MIN_WH[0], round(width * scale)), max(MIN_WH[1], round(height * scale))

    def show(self, image_bgr: NDArray[np.uint8]) -> None:
        """Show a picture (H, W, 3); it appears while `poll_keys` runs."""
        if self._is_open:
            cv2.imshow(self._title, image_bgr)

    def poll_keys(self) -> tuple[str, ...]:
        """Let the window work for about a millisecond.

        Returns
        -------
        names of `stream.live.screen.keys_map.KEYS` that were pressed, oldest first; "q" when the
        window was closed
        """
        names = list[str]()
        for _ in range(_MOST_KEYS):
            code = cv2.waitKeyEx(1)
            if code < 0:
                break
            if name := NAME_OF_CODE.get(code):
                names.append(name)
        if self._is_open and not self._is_visible():
            self._is_open = False
            names.append("q")
        if self._zoomed_ns and self._is_open and now_ns() - self._zoomed_ns > WHEEL_NS:
            self._undo_zoom()
        return tuple(names)

    def toggle_full_screen(self) -> None:
        """Fill the screen, or go back to a window."""
        self._full_screen = not self._full_screen
        if self._is_open:
            self._apply_full_screen()

    def close(self) -> None:
        """Close the window; may be called twice."""
        if self._is_open and self._is_visible():
            cv2.destroyWindow(self._title)
        self._is_open = False

    def _open(self) -> None:
        cv2.namedWindow(self._title, _FLAGS)
        cv2.resizeWindow(self._title, *self._size_wh)
        cv2.setMouseCallback(self._title, self._note_mouse)
        self._is_open, self._opened_ns = True, now_ns()
        if self._full_screen:
            self._apply_full_screen()

    def _inner_wh(self) -> tuple[int, int]:
        if self._is_open and self._is_visible():
            _, _, width, height = cv2.getWindowImageRect(self._title)
            if width > 0 and height > 0:
                return width, height
        return self._size_wh

    def _apply_full_screen(self) -> None:
        state = cv2.WINDOW_FULLSCREEN if self._full_screen else cv2.WINDOW_NORMAL
        cv2.setWindowProperty(self._title, cv2.WND_PROP_FULLSCREEN, state)

    def _is_visible(self) -> bool:
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) > 0
        except cv2.error:
            return False  # with its last window Qt's end of OpenCV goes too

    def _note_mouse(self, event: int, *_: object) -> None:
        if event in (cv2.EVENT_MOUSEWHEEL, cv2.EVENT_MOUSEHWHEEL):
            self._zoomed_ns = now_ns()

    def _undo_zoom(self) -> None:
        """Open the window anew: Qt zooms at the wheel, and a banner could be out of sight."""
        if not self._full_screen and now_ns() - self._opened_ns > SETTLED_NS:
            self._size_wh = self.size_wh
        self._zoomed_ns = 0
        cv2.destroyWindow(self._title)
        self._open()
