"""Roles with misbehaving engines: ``python -m tests.live_engines ROLE DESCRIPTOR``.

`wanted.engine` is ``NAME?key=value&...``. It misbehaves in the workers before the `below`-th, after
the probe at the start; with `told` only when the file `ILL` lies in the session folder; for `count`
frames.
"""

from __future__ import annotations

import dataclasses
import functools
import resource
import sys
import time
from pathlib import Path

import numpy as np

from engines.choose import Chosen
from engines.errors import EngineError
from engines.load import load_model
from engines.open import open_engine
from engines.probe import make_probe, reference_frames
from stream.job import model_used
from stream.live.supervisor import child
from stream.live.worker import heat, worker
from tests import live_fakes
from tests.live_fakes import options_of

ILL, ASKED_AGAIN = "ill", "asked-again"
PROBE_FRAMES = 4
FOREVER = 1e9

ANSWERS = {
    "nan": lambda output: {"probs": np.full_like(output.probs, np.nan)},
    "infinite": lambda output: {"cam": np.full_like(output.cam, np.inf)},
    "shape": lambda output: {"cam": output.cam[..., 0]},
    "classes": lambda output: {"probs": output.probs[:, :1], "logits": output.logits[:, :1]},
    "noise": lambda output: {"probs": output.probs[:, ::-1].copy()},
}


class Misbehaving:
    """A real engine, spoilt."""

    def __init__(self, engine, name, options, folder, smaller=False):
        self.engine, self.name, self.options, self.folder = engine, name, options, folder
        self.frames = self.spoilt = 0
        self.sound = smaller and not options.get("always")

    def __getattr__(self, key):
        return getattr(self.engine, key)

    def submit(self, frames):
        self.frames += len(frames)
        if not self.ill():
            return self.engine.submit(frames)
        self.spoilt += len(frames)
        if self.name in ANSWERS:
            return Spoilt(self.engine.submit(frames), ANSWERS[self.name])
        getattr(self, self.name)()
        return self.engine.submit(frames)

    def ill(self):
        if self.sound or self.frames <= PROBE_FRAMES:
            return False
        told = not self.options.get("told") or (self.folder / ILL).exists()
        return told and self.spoilt < self.options.get("count", FOREVER)

    def slow(self):
        time.sleep(self.options["ms"] / 1000)

    def hangs(self):
        time.sleep(3600)

    def memory(self):
        raise EngineError("fake", "out of memory", fault="F05")

    def device(self):
        if self.spoilt > 1:
            (self.folder / ASKED_AGAIN).touch()
        raise EngineError("fake", "illegal address", fault="F06")

    def limit(self):
        """Leave little address space and ask for more: what fails is real."""
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + (32 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        np.ones(1 << 27)


@dataclasses.dataclass
class Spoilt:
    """An answer that is not what the engine said."""

    pending: object
    spoil: object

    def result(self):
        output = self.pending.result()
        return dataclasses.replace(output, **self.spoil(output))


def open_chosen(config, wanted, smaller):
    """Open the tiny model with ONNX Runtime, misbehaving as `wanted.engine` says."""
    name, options = options_of(wanted.engine)
    ill = config.instance < options.get("below", FOREVER)
    if name == "raises" and ill:
        raise RuntimeError("this plug-in raises at load")
    path, folder = Path(wanted.model), Path(config.folder)
    model = load_model(path)
    engine = open_engine(model, "onnxruntime")
    probe = make_probe(engine, reference_frames(model.spec))
    if ill and name not in ("raises", "sound"):
        engine = Misbehaving(engine, name, options, folder, smaller)
    chosen = Chosen(engine, probe, "default", "a fake", None)
    return chosen, model_used(chosen, model, path)


def run_worker(config, post, stop):
    _, options = options_of(config.wanted.engine)
    folder = Path(config.folder)
    worker.PROBE_PERIOD_S = options.get("period", worker.PROBE_PERIOD_S)
    worker.read_heat = functools.partial(heat.read_heat, folder / "thermal", folder / "cpu")
    return worker.run_worker(config, post, stop, functools.partial(open_chosen, config))


RUNS = live_fakes.RUNS | {"worker": "tests.live_engines:run_worker"}

if __name__ == "__main__":
    sys.exit(child.main(sys.argv[1:], RUNS))
