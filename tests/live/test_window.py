"""Facts about the window, on a display of its own."""

import ctypes
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from stream.errors import UsageError
from stream.live.screen.keys_map import KEYS, NAME_OF_CODE
from stream.live.screen.qt import check_display
from stream.live.screen.screen import Screen
from stream.live.screen.window import Window
from tests.scenes import make_scene
from tests.xvfb import xvfb

PROGRAMS = ("Xvfb", "xdotool", "ffmpeg")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
SCREEN_WH = (1600, 900)
PATIENCE_S = 20.0
KEYSYMS = {"left": "Left", "right": "Right", "?": "question", "escape": "Escape"}


@pytest.fixture(scope="module")
def display():
    """Have these tests' windows on a display of their own."""
    with xvfb(SCREEN_WH) as name, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", name)
        yield name


@contextmanager
def open_window(name):
    """Open a window with a picture in it, and wait until the display has it."""
    with Window(name) as window:
        image_bgr = Screen(window.size_wh).draw(make_scene())
        window.show(image_bgr)
        wait_for(window, lambda: window_id(name) is not None)
        yield window


def wait_for(window, is_done):
    """Let the window work until something is so."""
    end_s = time.monotonic() + PATIENCE_S
    while not is_done():
        window.poll_keys()
        assert time.monotonic() < end_s, "it did not happen in time"


def next_keys(window):
    """Return the keys of the first poll that gives any."""
    end_s = time.monotonic() + PATIENCE_S
    while not (keys := window.poll_keys()):
        assert time.monotonic() < end_s, "no key arrived in time"
    return keys


def window_id(name):
    """Return what the display calls a window, or None."""
    command = ["xdotool", "search", "--onlyvisible", "--name", f"^{name}$"]
    found = subprocess.run(command, capture_output=True, text=True).stdout.split()
    return int(found[-1]) if found else None


def xdotool(*words):
    subprocess.run(["xdotool", *words], check=True, capture_output=True)


def screenshot(path):
    """Return the display as BGR."""
    command = ["ffmpeg", "-loglevel", "error", "-y", "-f", "x11grab", "-draw_mouse", "0"]
    size = f"{SCREEN_WH[0]}x{SCREEN_WH[1]}"
    command += ["-video_size", size, "-i", os.environ["DISPLAY"], "-frames:v", "1", str(path)]
    subprocess.run(command, check=True)
    return cv2.imread(str(path))


def is_on_display(path, image_bgr):
    """Say whether a picture is on the display at its own size, at the top left."""
    shown = screenshot(path)[: image_bgr.shape[0], : image_bgr.shape[1]]
    return shown.shape == image_bgr.shape and np.array_equal(shown, image_bgr)


def test_the_window_shows_each_pixel_as_it_was_drawn(display, tmp_path):
    with open_window("pixels") as window:
        image_bgr = Screen(window.size_wh).draw(make_scene(clock="15:00:00"))
        window.show(image_bgr)
        wait_for(window, lambda: is_on_display(tmp_path / "shot.png", image_bgr))


def test_every_key_arrives_by_its_name(display):
    with open_window("keys") as window:
        for key in KEYS:
            xdotool("key", KEYSYMS.get(key.name, key.name))
            assert next_keys(window) == (key.name,)


def test_other_keys_are_ignored(display):
    with open_window("others") as window:
        xdotool("key", "z", "F5", "ctrl+plus", "Shift_L")
        xdotool("key", "space")
        assert next_keys(window) == ("space",)


def test_the_size_to_draw_follows_the_window(display):
    with open_window("size") as window:
        assert window.size_wh == (1280, 720)
        xdotool("windowsize", str(window_id("size")), "900", "700")
        wait_for(window, lambda: window.size_wh == (900, 700))


def test_a_window_taller_than_needed_is_drawn_smaller_and_enlarged(display):
    with open_window("tall") as window:
        xdotool("windowsize", str(window_id("tall")), "1600", "2160")
        wait_for(window, lambda: window.size_wh == (800, 1080))


def test_a_tiny_window_still_gets_a_picture(display):
    with open_window("tiny") as window:
        xdotool("windowsize", str(window_id("tiny")), "120", "90")
        wait_for(window, lambda: window.size_wh[0] < 1280)
        assert Screen(window.size_wh).draw(make_scene()).any()


def test_the_wheel_cannot_zoom_a_banner_out_of_sight(display, tmp_path):
    with open_window("wheel") as window:
        image_bgr = Screen(window.size_wh).draw(make_scene(clock="16:00:00"))
        window.show(image_bgr)
        wait_for(window, lambda: is_on_display(tmp_path / "before.png", image_bgr))
        xdotool("mousemove", "600", "400", "click", "4", "click", "4", "click", "4")

        def is_whole():
            for _ in range(30):  # about a second of the viewer's: a window works while it is polled
                window.show(image_bgr)
                window.poll_keys()
            return is_on_display(tmp_path / "after.png", image_bgr)

        wait_for(window, is_whole)


def test_full_screen_can_be_toggled(display):
    with open_window("full") as window:
        states = []
        for _ in range(2):
            window.toggle_full_screen()
            window.poll_keys()
            states.append(cv2.getWindowProperty("full", cv2.WND_PROP_FULLSCREEN))
    assert states == [cv2.WINDOW_FULLSCREEN, cv2.WINDOW_NORMAL]


class _ClientMessage(ctypes.Structure):
    """`XClientMessageEvent` of Xlib, padded to the size of `XEvent`."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
        ("rest", ctypes.c_long * 24),
    )


def press_close_button(window):
    """Do what a desktop does when the user closes a window: WM_DELETE_WINDOW."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = ctypes.c_ulong
    server = ctypes.c_void_p(x11.XOpenDisplay(None))
    protocols = x11.XInternAtom(server, b"WM_PROTOCOLS", 0)
    data = (ctypes.c_long * 5)(x11.XInternAtom(server, b"WM_DELETE_WINDOW", 0))
    message = _ClientMessage(33, 0, 1, server, window, protocols, 32, data)
    x11.XSendEvent(server, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(message))
    x11.XCloseDisplay(server)


def test_closing_the_window_is_quitting(display):
    try:
        ctypes.CDLL("libX11.so.6")
    except OSError:
        pytest.skip("libX11 is not installed, so the close button cannot be pressed")
    with open_window("closed") as window:
        press_close_button(window_id("closed"))
        assert next_keys(window) == ("q",)
        window.show(np.zeros((720, 1280, 3), np.uint8))
        assert window.poll_keys() == ()
        assert window_id("closed") is None


def test_a_closed_window_can_be_closed_again(display):
    with open_window("twice") as window:
        window.close()
        window.close()
        assert window_id("twice") is None


@pytest.mark.parametrize("name", [None, ":9999", "nonsense", "127.0.0.1:7"])
def test_without_a_display_the_remedy_is_named(monkeypatch, name):
    if name is None:
        monkeypatch.delenv("DISPLAY", raising=False)
    else:
        monkeypatch.setenv("DISPLAY", name)
    with pytest.raises(UsageError, match="--no-window"):
        check_display()


def test_qt_says_nothing_where_all_is_well(display):
    program = (
        "import numpy as np; from stream.live.screen.window import Window\n"
        "with Window('quiet') as window:\n"
        "    window.show(np.zeros((720, 1280, 3), np.uint8)); window.poll_keys()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_qt_shares_the_queue_of_events_by_the_librarys_own_rule(display, tmp_path):
    """Else Xlib takes "window mapped" away from Qt now and then, and the window stays black."""
    program = "from stream.live.screen.window import Window; Window('bound').close()"
    trace = {"LD_DEBUG": "bindings", "LD_DEBUG_OUTPUT": str(tmp_path / "ld")}
    process = subprocess.Popen([sys.executable, "-c", program], env=os.environ | trace)
    assert process.wait(PATIENCE_S) == 0
    lines = (tmp_path / f"ld.{process.pid}").read_text().splitlines()
    (bound,) = [line for line in lines if "`XSetEventQueueOwner'" in line and "XcbQpa" in line]
    assert "opencv" not in bound.partition(" to ")[2]


def test_no_two_keys_share_a_name_or_a_code():
    assert len({key.name for key in KEYS}) == len(KEYS)
    assert len(NAME_OF_CODE) == sum(len(key.codes) for key in KEYS)
