"""What the Qt inside OpenCV needs before its first window, and whether it can open one."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import cv2

from stream import console
from stream.errors import UsageError

_TRIAL_LIMIT_S = 20.0
_REMEDY = "use --no-window for a table in the terminal, or start inside a graphical session"
_GLUE = "libX11-xcb.so.1"


def check_display() -> None:
    """Find out whether a window can be opened, in a child: Qt ends a process that has no display.

    Raises
    ------
    UsageError
        If not, with the cause and what to do instead.
    """
    _point_at_fonts()
    _take_glue_of_the_system()
    if not os.environ.get("DISPLAY"):
        raise UsageError("window", "no display: DISPLAY is not set", _REMEDY)
    program = "import cv2; cv2.namedWindow('trial', cv2.WINDOW_GUI_NORMAL)"
    command = [sys.executable, "-c", program]
    try:
        trial = subprocess.run(  # noqa: S603 - our own interpreter
            command, capture_output=True, text=True, timeout=_TRIAL_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        problem = f"display {os.environ['DISPLAY']} does not answer in {_TRIAL_LIMIT_S:.0f} s"
        raise UsageError("window", problem, _REMEDY) from error
    if trial.returncode:
        problem = f"display {os.environ['DISPLAY']} cannot be used: {_cause(trial.stderr)}"
        raise UsageError("window", problem, _REMEDY)


def _cause(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    of_qt = [line for line in lines if line.startswith("qt.")]
    return (of_qt or lines[-1:] or ["no reason given"])[0]


def _point_at_fonts() -> None:
    """Name a folder that exists, or Qt complains at each start; no letter of ours is Qt's."""
    if not Path(os.environ.get("QT_QPA_FONTDIR", "")).is_dir():
        os.environ["QT_QPA_FONTDIR"] = str(Path(cv2.__file__).parent)


def _take_glue_of_the_system() -> None:
    """Have Qt use the libX11-xcb that was built with the libX11 it uses, which is the system's.

    OpenCV's wheel brings a libX11-xcb of its own. It writes into a structure private to libX11
    whose layout has changed, so Xlib goes on owning the queue of events: whenever the first thread
    waits for a reply, the events read along with it are lost. If "window mapped" is among them, Qt
    never draws, and the window stays black. Symbols loaded globally are found first.
    """
    try:
        ctypes.CDLL(_GLUE, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        console.warn(f"window: {_GLUE} is missing (Debian: libx11-xcb1); it may stay black")
