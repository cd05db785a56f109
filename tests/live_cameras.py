"""Sources that fail as devices and scanners do: ``python -m tests.live_cameras ROLE DESCRIPTOR``.

Chosen by the address ``fake:NAME?key=value``, those of `tests.live_fakes` included; any other
address is opened as the product does. Workers are those of `tests.live_fakes`. What goes wrong
after some pictures (`after`) does so at SIGUSR2 where the address does not say when.
"""

from __future__ import annotations

import functools
import os
import resource
import signal
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from engines.pixels import Pixels
from stream.clock import MS, now_ns
from stream.live.capture import capture, grabbing, masking
from stream.live.supervisor import child
from stream.live.wire import ring
from stream.sources.live import backoff
from stream.sources.live.device import Buffer, DeviceGrabber
from stream.sources.live.options import LiveOptions
from tests import live_fakes
from tests.live_fakes import FakeSource, picture
from tests.scanner_screens import colour_bars, phantom, screens, text_screen

LARGE, SMALL = ((1280, 720), (0.5, 0.5), 0.75), ((1024, 768), (0.4, 0.6), 0.7)
"""Two layouts of a scanner's screen: size, place and scale of the image."""
CYCLE = 8
AIR = 0.4
HOUR_NS = 3600 * 1000 * MS


@functools.cache
def scanner(layout=LARGE):
    """Return grey screens, where the fan is, and where names stand, one of them beside the fan."""
    size_wh, place, scale = layout
    images, fan = phantom("kidney", "normal", count=CYCLE)
    shown, inside, marks = screens(images, fan, size_wh=size_wh, place=place, scale=scale)
    left, top = (np.flatnonzero(inside.any(axis=axis))[0] for axis in (0, 1))
    name = np.zeros_like(shown[0])
    cv2.putText(name, "DOE JANE", (left + 20, top + 60), 0, 0.8, 220, 2)
    names = (name > 0) | marks & (np.arange(size_wh[1]) < top)[:, None]
    return [np.maximum(image, name) for image in shown], inside, names


@functools.cache
def in_air():
    """Return the screens while the probe is in the air: only the upper part of the fan is lit."""
    shown, inside, _ = scanner()
    rows = np.flatnonzero(inside.any(axis=1))
    dark = inside & (np.arange(len(inside)) > rows[0] + AIR * np.ptp(rows))[:, None]
    return [np.where(dark, np.uint8(0), image) for image in shown]


class Screens(FakeSource):
    """A scanner's screen, of another layout after `after` pictures (F17)."""

    def pixels(self):
        return Pixels((screen_at(self.number, self.options["after"]),))


def screen_at(number, after=np.inf):
    """Return the `number`-th screen, counted from 1."""
    return scanner(LARGE if number <= after else SMALL)[0][number % CYCLE]


class Airs(FakeSource):
    """A scanner's screen whose probe is put on the skin after `after` pictures."""

    def pixels(self):
        return Pixels((air_at(self.number, self.options["after"]),))


def air_at(number, after):
    """Return the `number`-th screen, counted from 1."""
    return (in_air() if number <= after else scanner()[0])[number % CYCLE]


class Menus(FakeSource):
    """A scan; at each signal a flat picture, then bars, then text, told by the hour (F16)."""

    def grab(self):
        self.phase = self.options["signals"]
        return super().grab()

    def pixels(self):
        flat, bars, text = np.full((720, 1280), 90, np.uint8), colour_bars(), text_screen(12)
        return Pixels(((screen_at(self.number), flat, bars, text)[self.phase],))

    def pts_ns(self):
        return self.phase * HOUR_NS + super().pts_ns()


class Shakes(FakeSource):
    """Each picture up to 40 % of a period early or late: intervals of 20 to 180 % (F18)."""

    def __init__(self, options):
        super().__init__(options)
        self.start_ns = now_ns()

    def pace(self):
        late = np.random.default_rng(self.number).uniform(-0.4, 0.4)
        due_ns = self.start_ns + round((self.number + 1 + late) * self.period_ns)
        time.sleep(max(0, due_ns - now_ns()) / 1e9)


class FakeCamera:
    """A device as its driver shows it; misbehaves after `after` buffers, once.

    ``blocks``: never answers again. ``repeats``: reports success with one buffer for so many
    seconds. ``dies``: is gone, which each opening finds again after `after` more buffers.
    """

    detail, rate_hz = "fake 160x120", 60.0

    def __init__(self, options):
        self.options, self.period_s = options, 1 / options.get("rate", 30)
        self.number, self.repeats_until_s = 0, None
        self.file = Path(os.devnull).open("rb")  # noqa: SIM115 - a device costs a descriptor

    def read(self):
        time.sleep(self.period_s)
        if self.number >= self.options["after"]:
            self.misbehave()
        if self.repeats_until_s is None or time.monotonic() > self.repeats_until_s:
            self.number += 1
        image = picture(self.number).planes[0]
        return Buffer(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), self.number * MS)

    def misbehave(self):
        if "blocks" in self.options:
            time.sleep(3600)
        if "dies" in self.options:
            raise OSError("no such device")
        if self.repeats_until_s is None:
            self.repeats_until_s = time.monotonic() + self.options["repeats"]

    def is_present(self):
        return True

    def close(self):
        self.file.close()


def camera(options):
    limits = LiveOptions(silence_s=capture.DEVICE_SILENCE_S)
    return DeviceGrabber(FakeCamera(options), "fake camera", limits)


def count_descriptors(pid="self"):
    """Return how many descriptors a process has."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


SOURCES = live_fakes.SOURCES | {
    "screens": Screens,
    "airs": Airs,
    "menus": Menus,
    "shakes": Shakes,
    "camera": camera,
}


def run_capture(config, post, stop):
    """Run capture over a source of this module; some options change the process itself."""
    if not config.source.startswith("fake:"):
        return capture.run_capture(config, post, stop)
    name, options = live_fakes.options_of(config.source.removeprefix("fake:"))
    options = {"after": np.inf, "signals": 0} | options

    def strike(_number, _frame):
        options.update(after=min(options["after"], 0), signals=options["signals"] + 1)

    signal.signal(signal.SIGUSR2, strike)
    if "look" in options:
        masking.LOOK_AGAIN_NS = round(options["look"] * 1e9)
    if "memory" in options:
        ring._available_bytes = lambda: round(options["memory"])
    if "retry" in options:
        grabbing.DEVICE_S = backoff.FIRST_S = options["retry"]
    if "descriptors" in options:
        most = count_descriptors() + round(options["descriptors"])
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return capture.run_capture(config, post, stop, lambda: SOURCES[name](options))


RUNS = live_fakes.RUNS | {"capture": "tests.live_cameras:run_capture"}

if __name__ == "__main__":
    sys.exit(child.main(sys.argv[1:], RUNS))
