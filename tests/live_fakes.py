"""Roles with misbehaving sources and engines: ``python -m tests.live_fakes ROLE DESCRIPTOR``.

What misbehaves is chosen by names in the configuration: `source` ``fake:NAME?key=value`` and
`wanted.engine` ``NAME?key=value``.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from urllib.parse import parse_qsl

import numpy as np

from engines.choose import Chosen
from engines.errors import EngineError
from engines.load import load_model
from engines.open import open_engine
from engines.pixels import Pixels
from engines.probe import make_probe, reference_frames
from stream.clock import MS, now_ns
from stream.errors import SourceError
from stream.job import model_used
from stream.live.capture import capture
from stream.live.supervisor import child
from stream.live.worker import worker
from stream.sources.live.base import Grabbed, LiveInfo

SIZE_WH = (160, 120)


def options_of(text):
    """Split ``name?key=value&...`` into the name and a dict of numbers."""
    name, _, query = text.partition("?")
    return name, {key: float(value) for key, value in parse_qsl(query)}


def picture(number, size_wh=SIZE_WH):
    """Return a noisy red or blue picture; the tiny model tells them apart. Never the same twice."""
    width, height = size_wh
    rng = np.random.default_rng(number)
    image = rng.integers(60, 120, (height, width, 3), np.uint8)
    image[..., 0 if number // 50 % 2 else 2] += np.uint8(40)
    return Pixels((image,))


class FakeSource:
    """Gives pictures at a rate; subclasses misbehave."""

    def __init__(self, options):
        self.options = options
        self.period_ns = round(1e9 / options.get("rate", 30))
        self.info = LiveInfo("fake", "fake source", "noise", None, False)
        self.number = 0
        self.due_ns = now_ns()

    def pace(self):
        self.due_ns = max(self.due_ns + self.period_ns, now_ns() - 100 * MS)
        time.sleep(max(0, self.due_ns - now_ns()) / 1e9)

    def grab(self):
        self.pace()
        self.number += 1
        return Grabbed(self.pixels(), now_ns(), self.pts_ns())

    def pixels(self):
        return picture(self.number)

    def pts_ns(self):
        return self.number * self.period_ns

    def close(self):
        pass


class Blocks(FakeSource):
    """Never returns after `after` pictures (F11)."""

    def grab(self):
        if self.number >= self.options["after"]:
            time.sleep(3600)
        return super().grab()


class Freezes(FakeSource):
    """The same picture again and again after `after` pictures, its time moving (F15)."""

    def pixels(self):
        return picture(min(self.number, int(self.options["after"])))


class Vanishes(FakeSource):
    """Is lost after `after` pictures and away for `away` seconds (F13)."""

    back_ns = 0

    def __init__(self, options):
        if now_ns() < Vanishes.back_ns:
            raise SourceError("fake source", "the device was removed", fault="F13")
        super().__init__(options)

    def grab(self):
        if self.number >= self.options["after"] and not Vanishes.back_ns:
            Vanishes.back_ns = now_ns() + round(self.options["away"] * 1e9)
            raise SourceError("fake source", "the device was removed", fault="F13")
        return super().grab()


class Uniform(FakeSource):
    """One grey value (F16)."""

    def pixels(self):
        return Pixels((np.full((120, 160, 3), 90 + self.number % 2, np.uint8),))


class Switches(FakeSource):
    """Another size after `after` pictures (F17)."""

    def pixels(self):
        size_wh = (200, 150) if self.number > self.options["after"] else SIZE_WH
        return picture(self.number, size_wh)


class Jitters(FakeSource):
    """Intervals of 20 to 180 % of the period (F18)."""

    def pace(self):
        factor = 0.2 + 1.6 * np.random.default_rng(self.number).random()
        self.due_ns += round(self.period_ns * factor)
        time.sleep(max(0, self.due_ns - now_ns()) / 1e9)


class Wanders(FakeSource):
    """Source time goes back, is absent, leaps a day (F19)."""

    def pts_ns(self):
        steps = {30: -5_000_000_000, 60: None, 90: 86_400_000_000_000}
        return steps.get(self.number, self.number * self.period_ns)


SOURCES = {
    "steady": FakeSource,
    "blocks": Blocks,
    "freezes": Freezes,
    "vanishes": Vanishes,
    "uniform": Uniform,
    "switches": Switches,
    "jitters": Jitters,
    "wanders": Wanders,
}


class FakeEngine:
    """A real engine that misbehaves by its name."""

    def __init__(self, engine, name, options):
        self.engine, self.name, self.options = engine, name, options
        self.calls = 0

    def __getattr__(self, key):
        return getattr(self.engine, key)

    def submit(self, frames):
        self.calls += 1
        if self.calls > self.options.get("after", 0):
            self.misbehave()
        pending = self.engine.submit(frames)
        return Changed(pending, self) if self.name in ("nan", "noise") else pending

    def misbehave(self):
        if self.name == "slow":
            time.sleep(self.options["ms"] / 1000)
        if self.name == "hangs":
            time.sleep(3600)
        if self.name == "oom":
            raise EngineError("fake", "out of memory", fault="F05")
        if self.name == "device":
            raise EngineError("fake", "illegal address", fault="F06")


class Changed:
    """An answer that is not what the engine said."""

    def __init__(self, pending, engine):
        self.pending, self.engine = pending, engine

    def result(self):
        output = self.pending.result()
        if self.engine.calls <= self.engine.options.get("after", 0):
            return output
        if self.engine.name == "nan":
            raise EngineError("fake", "outputs hold NaN or infinity", fault="F08")
        return dataclasses.replace(output, probs=output.probs[:, ::-1].copy())


def open_chosen(wanted, smaller):
    """Open the tiny model with ONNX Runtime, misbehaving as `wanted.engine` says."""
    from pathlib import Path

    name, options = options_of(wanted.engine)
    if name == "raises":
        raise RuntimeError("this plug-in raises at load")
    model = load_model(Path(wanted.model))
    engine = open_engine(model, "onnxruntime")
    probe = make_probe(engine, reference_frames(model.spec))
    kind = "sound" if smaller and options.get("once") else name
    fake = FakeEngine(engine, kind, options)
    chosen = Chosen(fake, probe, "default", "a fake", None)
    return chosen, model_used(chosen, model, Path(wanted.model))


def run_capture(config, post, stop):
    name, options = options_of(config.source.removeprefix("fake:"))
    if "probe" in options:
        capture.HUNG_NS = round(options["probe"] * MS)
    return capture.run_capture(config, post, stop, lambda: SOURCES[name](options))


def run_worker(config, post, stop):
    _, options = options_of(config.wanted.engine)
    if "period" in options:
        worker.PROBE_PERIOD_S = options["period"]
    return worker.run_worker(config, post, stop, open_chosen)


RUNS = child.RUNS | {
    "capture": "tests.live_fakes:run_capture",
    "worker": "tests.live_fakes:run_worker",
}

if __name__ == "__main__":
    sys.exit(child.main(sys.argv[1:], RUNS))
