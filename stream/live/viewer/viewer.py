"""The viewer process: draws on its own timer, passes keys on, never waits for anybody."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.clock import MS, host_id, now_ns
from stream.errors import StorageError
from stream.live.recorder.ranking import decode_ranking
from stream.live.screen.scene import Scene
from stream.live.supervisor.config import LiveConfig
from stream.live.supervisor.role import Post, Stop
from stream.live.viewer.viewing import Viewing
from stream.live.wire.channels import Poller
from stream.live.wire.codec import Received
from stream.live.wire.frames import FrameTaker
from stream.live.wire.links import every_result, hear_news, take_all
from stream.live.wire.messages import (
    FrameHeader,
    ModelNote,
    Order,
    Ranking,
    ResultHeader,
    Status,
)
from stream.live.wire.payload import pin_of
from stream.live.worker.results import decode_result
from stream.png import encode_png
from stream.report.files import make_folder, write_whole

REDRAW_NS = 33 * MS
"""The picture is drawn anew at least so often, so that what is no longer fresh goes in time."""
WAIT_MS = 5
SNAPSHOTS = "snapshots"
_log = logging.getLogger(__name__)


class Display(Protocol):
    """A window or a terminal."""

    def show(self, scene: Scene) -> None:
        """Draw."""
        ...

    def poll_keys(self) -> tuple[str, ...]:
        """Return the names of the keys pressed since the last call."""
        ...

    def toggle_full_screen(self) -> None:
        """Go to full screen or back."""
        ...

    def picture_bgr(self) -> NDArray[np.uint8] | None:
        """Return what is on the screen, or None where that is no picture."""
        ...

    def close(self) -> None:
        """Take the window away."""
        ...


def open_display(config: LiveConfig) -> Display:
    """Return the window, or the terminal's table.

    Raises
    ------
    UsageError
        If there is no screen for a window.
    """
    if config.window:
        from stream.live.screen.display import WindowDisplay

        return WindowDisplay(config)
    from stream.live.screen.terminal import TerminalDisplay

    return TerminalDisplay(config.analysis.margin)


def run_viewer(config: LiveConfig, post: Post, stop: Stop) -> int:
    """Show the session until told to stop or the user quits."""
    cv2.setNumThreads(1)
    display = open_display(config)
    with ExitStack() as stack:
        stack.callback(display.close)
        frames = stack.enter_context(FrameTaker(config))
        receivers = [frames.socket, stack.enter_context(every_result(config))]
        if config.endpoints.news:
            receivers.append(stack.enter_context(hear_news(config)))
        return _loop(_Viewer(config, post, display, frames), Poller(*receivers), post, stop)


def _loop(viewer: _Viewer, poller: Poller, post: Post, stop: Stop) -> int:
    """Take what comes, draw when there is something new or time has passed, look at the keys."""
    drawn_ns = 0
    while not stop.wanted and not viewer.quit:
        for received in take_all(poller, WAIT_MS):
            viewer.hear(received)
        now = now_ns()
        if viewer.fresh_picture or now - drawn_ns >= REDRAW_NS:
            viewer.draw(now)
            drawn_ns = now
            viewer.obey_keys()  # no oftener: each look at the keys costs a millisecond
        post.beat("up", "", viewer.counters, {"banner": viewer.banner})
    return 0


class _Viewer:
    """Feeds `Viewing`, draws its scenes, and does what the keys say.

    Attributes
    ----------
    counters : ``drawn`` frames, ``torn`` and ``missed`` ones; ``draws``, and of the newest
        ``draw_us`` of work; ``shown`` results, and of the newest ``age_us`` on the screen since
        its capture, 0 while none is shown, and ``pixel_us`` from the answer to its first sight
    banner : title of the most important one on the screen
    """

    def __init__(
        self, config: LiveConfig, post: Post, display: Display, frames: FrameTaker
    ) -> None:
        self._config, self._post, self._display, self._frames = config, post, display, frames
        self._viewing = Viewing(host_id(), config.freshness_ms * MS)
        self.fresh_picture = self.quit = False
        names = ("drawn", "torn", "missed", "draws", "draw_us", "shown", "age_us", "pixel_us")
        self.counters = dict.fromkeys(names, 0)
        self.banner = ""
        self._seen: ResultHeader | None = None

    def hear(self, received: Received) -> None:
        """Take one message."""
        message = received.message
        if isinstance(message, FrameHeader):
            frame = self._frames.frame(received)
            if frame is not None:
                self._viewing.see_frame(message, frame, now_ns())
                self.fresh_picture = True
        elif isinstance(message, ResultHeader):
            self._viewing.see_result(decode_result(received), now_ns())
        elif isinstance(message, ModelNote):
            self._viewing.see_model(message)
        elif isinstance(message, Status):
            self._viewing.see_status(message)
        elif isinstance(message, Ranking):
            self._viewing.see_keys(decode_ranking(received), self._config.started_ns or None)
        elif isinstance(message, Order) and message.name == "withdraw":
            self._viewing.see_withdrawal(message.last_seq)

    def draw(self, now: int) -> None:
        """Show the scene of now."""
        scene = self._viewing.scene(now)
        self._display.show(scene)
        self.banner = scene.banners[0].title if scene.banners else ""
        self.counters["drawn"] += self.fresh_picture
        self.counters["torn"], self.counters["missed"] = self._frames.torn, self._frames.missed
        self.counters["draws"] += 1
        self.counters["draw_us"] = (now_ns() - now) // 1000
        self.fresh_picture = False

    def obey_keys(self) -> None:
        """Do what the keys say; what was drawn comes to the screen meanwhile."""
        keys = self._display.poll_keys()
        self._count_age(now_ns())
        for key in keys:
            self._obey(key)

    def _count_age(self, now: int) -> None:
        """Take note of how old the result on the screen is."""
        result, counters = self._viewing.shown, self.counters
        counters["age_us"] = 0
        if result is None:
            return
        counters["age_us"] = max(1000, now - result.captured_ns) // 1000
        if result is not self._seen:
            self._seen = result
            counters["shown"] += 1
            counters["pixel_us"] = max(0, now - result.done_ns) // 1000

    def _obey(self, key: str) -> None:
        viewing, history = self._viewing, self._viewing.history
        if key == "space":
            history.freeze()
        elif key in ("left", "right"):
            history.step(-1 if key == "left" else 1)
        elif key == "escape":
            history.go_on()
        elif key == "h":
            viewing.heat = not viewing.heat
        elif key == "?":
            viewing.help = not viewing.help
        elif key == "f":
            self._display.toggle_full_screen()
        elif key == "p":
            self._pin()
        elif key == "s":
            self._snapshot()
        elif key == "r":
            self._post.send(Order(session=self._config.session, name="record"))
        elif key == "x":
            self._post.send(Order(session=self._config.session, name="reset"))
        elif key == "q":
            self.quit = True

    def _pin(self) -> None:
        """Send the frame looked at to the recorder."""
        frame = self._viewing.history.to_pin()
        if frame is None:
            return
        self._post.send(pin_of(frame, host_id()), frame.pixels.planes)

    def _snapshot(self) -> None:
        """Write the screen as it is, and the picture without anything over it.

        A picture that should be masked and is not stays on the screen.
        """
        image_bgr = self._display.picture_bgr()
        frame = self._viewing.shown_frame
        if frame is None:
            return
        if self._config.mask and not self._viewing.shown_masked:
            self._post.note("snapshot refused", "the picture is not masked", *frame.id[1:])
            return
        folder = Path(self._config.folder or ".") / SNAPSHOTS
        try:
            make_folder(folder)
            stem = f"{frame.id.epoch}-{frame.id.seq}"
            write_whole(folder / f"{stem}.png", encode_png(frame.image))
            if image_bgr is not None:
                data = cv2.imencode(".png", image_bgr)[1].tobytes()
                write_whole(folder / f"{stem}-screen.png", data)
            self._post.note("snapshot", f"{SNAPSHOTS}/{stem}.png", frame.id.epoch, frame.id.seq)
        except StorageError as error:
            _log.error("%s", error)
