"""The window as the viewer uses it: a screen of the window's size, drawn and shown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream.live.screen.scene import Scene
from stream.live.screen.screen import Screen
from stream.live.screen.window import Window
from stream.live.supervisor.config import LiveConfig


class WindowDisplay:
    """See `stream.live.viewer.viewer.Display`.

    Parameters
    ----------
    config : of the session

    Raises
    ------
    UsageError
        If there is no screen.
    """

    def __init__(self, config: LiveConfig) -> None:
        self._window = Window(full_screen=config.full_screen)
        self._margin = config.analysis.margin
        self._screen = Screen(self._window.size_wh, self._margin)
        self._image_bgr: NDArray[np.uint8] | None = None

    def show(self, scene: Scene) -> None:
        """Draw and show, at the size that the window has now."""
        size_wh = self._window.size_wh
        if size_wh != self._screen.size_wh:
            self._screen = Screen(size_wh, self._margin)
        self._image_bgr = self._screen.draw(scene)
        self._window.show(self._image_bgr)

    def poll_keys(self) -> tuple[str, ...]:
        """Return the names of the keys pressed since the last call."""
        return self._window.poll_keys()

    def toggle_full_screen(self) -> None:
        """Go to full screen or back."""
        self._window.toggle_full_screen()

    def picture_bgr(self) -> NDArray[np.uint8] | None:
        """Return what is on the screen, (H, W, 3) BGR."""
        return self._image_bgr

    def close(self) -> None:
        """Take the window away."""
        self._window.close()
