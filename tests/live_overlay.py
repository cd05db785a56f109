"""The freshness rule against chance: random delays, losses, kills and clocks, drawn pixels checked.

``python -m tests.live_overlay 1000000`` draws as often as it says.
"""

from __future__ import annotations

import random
import sys
import time
from dataclasses import replace
from unittest import mock

import numpy as np

from engines.pixels import Pixels
from stream.clock import MS
from stream.frame import Frame, FrameId, Prediction, StageTimes
from stream.live.screen.layout import MIN_WH
from stream.live.screen.scene import Scene, Strip
from stream.live.screen.screen import Screen
from stream.live.viewer.viewing import Viewing
from stream.live.wire.messages import ModelNote
from stream.live.worker.results import Result
from tests.test_live_freshness import LAYOUT, header, result, role, status
from tests.tiny_model import SPEC

FRESH_NS = 250 * MS
PERIOD_NS = 40 * MS
STALLED_NS = 190 * MS  # a period and 150 ms
EMPTY = Strip(np.zeros(0), np.zeros(0, np.float32))


class World:
    """Capture, worker and network as dice; knows the truth about what may be drawn."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.viewing = Viewing("h", FRESH_NS)
        self.now = 1_000_000 * MS
        self.epoch, self.seq, self.worker, self.number = 0, 0, 0, 0
        self.next_frame = self.now
        self.worker_back = self.now
        self.on_the_way = []  # results as (arrival, header, captured)
        self.old = []
        self.frame = self.answer = None  # newest received: (epoch, seq, captured, ...)
        self.capture, self.withdrawn = "up", ""
        used = mock.Mock(spec_set=("spec", "engine"))
        used.spec = SPEC
        used.engine.name, used.engine.precision, used.engine.standing = "x", "fp32", "default"
        self.viewing.see_model(mock.Mock(spec=ModelNote, used=used))

    def step(self):
        """Go on to the next moment: something may have happened until then."""
        self.now += self.dice.choice((5, 11, 33, 33, 33, 60)) * MS
        while self.next_frame <= self.now:
            self.grab(self.next_frame)
        arrived = [item for item in self.on_the_way if item[0] <= self.now]
        self.on_the_way = [item for item in self.on_the_way if item[0] > self.now]
        for _, one, captured in sorted(arrived, key=lambda item: item[0]):
            self.hear(one, captured)
        if self.old and self.dice.random() < 0.02:
            self.hear(*self.dice.choice(self.old))
        if self.dice.random() < 0.02:
            self.tell()

    def grab(self, captured):
        self.next_frame += PERIOD_NS
        chance = self.dice.random()
        if chance < 0.01:  # capture dies, or hangs, or the machine sleeps
            self.next_frame += self.dice.choice((100, 300, 600, 2000)) * MS
            self.epoch += self.dice.random() < 0.7
            return
        self.seq += 1
        if chance < 0.05:
            return  # lost on the way to the viewer, and to the worker
        one = header(epoch=self.epoch, seq=self.seq, before=self.seq - 1, captured_ns=captured)
        grey = np.full((120, 160), 40 + self.seq % 90, np.uint8)
        frame = Frame(FrameId("s", self.epoch, self.seq), Pixels((grey,)), captured, captured, "")
        self.viewing.see_frame(one, frame, max(captured, self.now - self.dice.randint(0, 20) * MS))
        self.frame = (self.epoch, self.seq, captured)
        self.analyse(captured)

    def analyse(self, captured):
        if self.dice.random() < 0.01:  # the worker is killed, and what it was about to say with it
            self.worker_back = captured + self.dice.choice((300, 1000, 3000)) * MS
            self.worker, self.number, self.on_the_way = self.worker + 1, 0, []
        if captured < self.worker_back or self.dice.random() < 0.1:
            return
        delay = self.dice.choice((15, 30, 30, 60, 60, 120, 240, 260, 500, 3000)) * MS
        state = self.dice.choice(("ok",) * 9 + ("no_signal",))
        values = {"epoch": self.epoch, "seq": self.seq, "captured_ns": captured, "state": state}
        values["label"] = "red" if state == "ok" else ""
        one = result(**values, worker=self.worker, number=self.number)
        self.number += 1
        self.on_the_way.append((captured + delay, one, captured))

    def hear(self, one, captured):
        believed = one.state == "ok"
        probs = np.array([0.1, 0.9], np.float32) if believed else None
        cam = np.full((2, 4, 4), 0.25, np.float32) if believed else None
        prediction = Prediction(
            FrameId("s", one.epoch, one.seq), one.state, "", probs, cam, None, None,
            StageTimes(0, 0), "",
        )  # fmt: skip
        self.viewing.see_result(Result(one, prediction, probs, None), self.now)
        if self.answer is None or (one.epoch, one.seq) > self.answer[:2]:
            self.answer = (one.epoch, one.seq, captured, believed)
        if len(self.old) < 50:
            self.old.append((one, captured))

    def tell(self):
        self.capture = self.dice.choice(("up",) * 12 + ("down", "off", "starting"))
        self.withdrawn = self.dice.choice(("",) * 12 + ("probe failed",))
        facts = [("withdrawn", self.withdrawn)] if self.withdrawn else []
        standing = self.dice.choice(("up", "up", "down", "off", "starting"))
        roles = {"capture": role(self.capture), "worker": role(standing, facts=facts)}
        self.viewing.see_status(status(**roles))

    def may_draw(self):
        """Return whether a class, score or map may be seen now, by the words of the rule."""
        if self.frame is None or self.answer is None or self.withdrawn:
            return False
        if self.capture in ("down", "off") or self.now - self.frame[2] > STALLED_NS:
            return False
        epoch, _, captured, believed = self.answer
        return believed and epoch == self.frame[0] and self.now - captured <= FRESH_NS


class Eye:
    """Looks at pixels alone."""

    def __init__(self):
        self.screen = Screen(MIN_WH)
        blank = Scene(
            None, SPEC, None, (), EMPTY, (), (), 0, True, False, "", False, "", "",
        )  # fmt: skip
        self.screen.draw(blank)
        self.withdrawn_panel = self.region("panel").copy()

    def region(self, name):
        left, top, right, bottom = self.screen.regions[name]
        return self.screen.draw.__self__._image_bgr[top:bottom, left:right]

    def sees_result(self, scene):
        """Draw; return whether anything of a result can be seen in panel or picture."""
        self.screen.draw(scene)
        panel = not np.array_equal(self.region("panel"), self.withdrawn_panel)
        picture = self.region("picture")
        bottom = max((box[3] for box in self.screen.banner_boxes), default=0)
        part = picture[bottom:, :, :].astype(np.int16)
        half = part[:, part.shape[1] // 4 : -part.shape[1] // 4]
        # Frames are grey, the heat map is not.
        coloured = bool((np.abs(half[..., 0] - half[..., 2]) > 12).any())
        return panel, coloured


def draw_often(count, seed=0, say=lambda text: None):
    """Draw `count` scenes of random worlds; return how many showed a result.

    Raises AssertionError at the first that shows one it must not, or hides one it need not.
    """
    eye, shown, world = Eye(), 0, World(seed)
    began = time.monotonic()
    for number in range(count):
        if number % 2000 == 0:
            world = World(seed + number)
            say(f"{number} draws, {shown} with a result, {time.monotonic() - began:.0f} s")
        world.step()
        # History and figures show no current result and are what costs most.
        scene = replace(world.viewing.scene(world.now), strip=EMPTY, hud=())
        wanted = world.may_draw()
        panel, coloured = eye.sees_result(scene)
        assert panel == wanted, (seed, number, wanted, world.frame, world.answer, world.now)
        assert wanted or not coloured, (seed, number, "a map without a result")
        shown += panel
    return shown


assert LAYOUT.shapes == ((120, 160),)

if __name__ == "__main__":
    draws = int(sys.argv[1])
    print(draw_often(draws, seed=int(time.time()), say=print), "draws showed a result")
