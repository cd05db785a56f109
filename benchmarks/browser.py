"""Drives a real Chromium over its DevTools protocol: keys, mouse, JavaScript, screenshots."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.sync.client import ClientConnection, connect

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
DRIVEN = ("--headless=new", "--mute-audio", "--remote-debugging-port=0")
STILL = ("--headless", "--enable-logging=stderr", "--window-size=1280,1600")
WAIT_S = 60.0
_SHIFT = 8
_CODES = {
    " ": ("Space", 32),
    "ArrowLeft": ("ArrowLeft", 37),
    "ArrowUp": ("ArrowUp", 38),
    "ArrowRight": ("ArrowRight", 39),
    "ArrowDown": ("ArrowDown", 40),
    "Enter": ("Enter", 13),
    "Escape": ("Escape", 27),
    "Tab": ("Tab", 9),
    "Home": ("Home", 36),
    "End": ("End", 35),
    "?": ("Slash", 191),
}


def _code(key: str) -> tuple[str, int]:
    if key in _CODES:
        return _CODES[key]
    return (f"Digit{key}", ord(key)) if key.isdigit() else (f"Key{key.upper()}", ord(key.upper()))


class Page:
    """One tab.

    Attributes
    ----------
    log : what the page wrote to its console, and errors, in order
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._number = socket, 0
        self.log: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """Call the protocol and return its answer."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=WAIT_S))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self._note(message)

    def open(self, address: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=address)

    def run(self, script: str) -> Any:
        """Return the value of an expression; promises are awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script: str, wait_s: float = WAIT_S) -> Any:
        """Wait until an expression is true and return its value."""
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
            value = answer["result"].get("value")
            if value and "exceptionDetails" not in answer:
                return value
            time.sleep(0.03)
        raise AssertionError(f"not true in {wait_s} s: {script}; log: {self.log}")

    def press(self, key: str, *, shift: bool = False, ctrl: bool = False) -> None:
        """Press and release a key as a person does."""
        code, number = _code(key)
        text = key if len(key) == 1 and not ctrl else "\r" if key == "Enter" and not ctrl else ""
        facts = {
            "key": key.upper() if shift and key.isalpha() and len(key) == 1 else key,
            "code": code,
            "windowsVirtualKeyCode": number,
            "modifiers": (_SHIFT if shift else 0) | (2 if ctrl else 0),
        }
        down = {"type": "keyDown", "text": text} if text else {"type": "rawKeyDown"}
        self.call("Input.dispatchKeyEvent", **down, **facts)
        self.call("Input.dispatchKeyEvent", type="keyUp", **facts)

    def write(self, text: str) -> None:
        """Type text into what has the focus."""
        self.call("Input.insertText", text=text)

    def click(self, selector: str, share_x: float = 0.5, share_y: float = 0.5) -> None:
        """Click into an element, at a share of its width and height."""
        box = self.run(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
        )
        at = {"x": box[0] + share_x * box[2], "y": box[1] + share_y * box[3]}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **at)

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window's inside."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def picture(self, path: Path | None = None) -> NDArray[np.uint8]:
        """Return a screenshot, (H, W, 3) RGB; also write it to `path`."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if path is not None:
            path.write_bytes(data)
        shown = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert shown is not None
        return shown.astype(np.uint8, copy=False)

    def print(self, path: Path) -> Path:
        """Write what a printer would get as PDF."""
        options = {"printBackground": True, "preferCSSPageSize": True}
        path.write_bytes(base64.b64decode(self.call("Page.printToPDF", **options)["data"]))
        return path

    def _note(self, message: Any) -> None:
        kind, facts = message.get("method"), message.get("params", {})
        if kind == "Runtime.exceptionThrown":
            self.log.append(str(facts["exceptionDetails"]))
        elif kind == "Log.entryAdded":
            entry = facts["entry"]
            self.log.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")
        elif kind == "Runtime.consoleAPICalled":
            self.log.append(str(facts["args"]))


def photograph(page: Path, *flags: str) -> tuple[NDArray[np.uint8], str]:
    """Return a picture of a page, (H, W, 3) RGB, and what the browser logged; skip without one."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("chromium is not installed; `make system-deps` installs it")
    shot = page.with_name("page.png")
    places = (f"--user-data-dir={page.with_name('profile')}", f"--screenshot={shot}")
    command = [browser, *FLAGS, *STILL, *flags, *places, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    picture = cv2.imread(str(shot), cv2.IMREAD_COLOR_RGB)
    assert picture is not None, done.stderr
    return picture.astype(np.uint8, copy=False), done.stderr


@contextmanager
def open_browser(profile: Path, size_wh: tuple[int, int] = (1280, 720)) -> Iterator[Page]:
    """Yield a page of a new Chromium, which ends with the block."""
    command = [
        shutil.which("chromium") or "chromium",
        *FLAGS,
        *DRIVEN,
        f"--user-data-dir={profile}",
        "about:blank",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with connect(_address(profile, process), max_size=1 << 26, open_timeout=WAIT_S) as socket:
            page = Page(socket)
            page.resize(*size_wh)
            yield page
    finally:
        process.terminate()
        process.wait(20)


def _address(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """Return the WebSocket address of the first tab once the browser has written its port."""
    end, told = time.monotonic() + WAIT_S, profile / "DevToolsActivePort"
    while time.monotonic() < end and process.poll() is None:
        if told.exists() and len(lines := told.read_text().splitlines()) == 2:
            with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json", timeout=WAIT_S) as got:
                tabs = [tab for tab in json.load(got) if tab["type"] == "page"]
            if tabs:
                return str(tabs[0]["webSocketDebuggerUrl"])
        time.sleep(0.05)
    raise AssertionError(f"chromium did not start: {process.poll()}")
