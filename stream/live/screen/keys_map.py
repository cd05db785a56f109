"""The keys of the window: the name that `Window.poll_keys` gives, and one line of help each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeyHelp:
    """One key.

    Parameters
    ----------
    name : as `Window.poll_keys` gives it
    codes : of `cv2.waitKeyEx`
    cap : what is printed on the key
    help : what it does
    """

    name: str
    codes: tuple[int, ...]
    cap: str
    help: str


KEYS = (
    KeyHelp("space", (0x20,), "space", "freeze, go on"),
    KeyHelp("left", (0xFF51, 0xFF96), "←", "one frame back"),
    KeyHelp("right", (0xFF53, 0xFF98), "→", "one frame forward"),
    KeyHelp("p", (ord("p"), ord("P")), "p", "pin this frame"),
    KeyHelp("h", (ord("h"), ord("H")), "h", "heat map on, off"),
    KeyHelp("s", (ord("s"), ord("S")), "s", "save a snapshot"),
    KeyHelp("r", (ord("r"), ord("R")), "r", "record video on, off"),
    KeyHelp("x", (ord("x"), ord("X")), "x", "restart what is OFF"),
    KeyHelp("f", (ord("f"), ord("F")), "f", "full screen on, off"),
    KeyHelp("?", (ord("?"),), "?", "this list on, off"),
    KeyHelp("escape", (0x1B,), "esc", "back to live"),
    KeyHelp("q", (ord("q"), ord("Q")), "q", "quit"),
)

NAME_OF_CODE = {code: key.name for key in KEYS for code in key.codes}
