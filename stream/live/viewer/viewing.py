"""What a viewer knows, and the scene that this makes; pure, told the time."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream.clock import MS
from stream.frame import Frame
from stream.live.screen.scene import STRIP_S, Key, Scene, Strip, Verdict
from stream.live.viewer.freshness import Newest, View, judge
from stream.live.viewer.history import History
from stream.live.viewer.hostclock import HostClock
from stream.live.viewer.hud import Gauges
from stream.live.wire.messages import FrameHeader, KeyNote, ModelNote, ResultHeader, Status
from stream.live.worker.results import Result
from stream.session.manifest import ModelUsed

BREAK_NS = 1000 * MS
"""Without a result for so long the line of the probability strip breaks."""


class Viewing:
    """Newest frame, result and status, the last half minute, and what the keys have set.

    Parameters
    ----------
    host : `stream.clock.host_id` of this machine
    freshness_ns : how old a result may be on the screen

    Attributes
    ----------
    shown : the result in the scene made last, None where it showed none
    """

    def __init__(self, host: str, freshness_ns: int) -> None:
        self._freshness_ns = freshness_ns
        self._clock = HostClock(host)
        self._newest = Newest()
        self._frame: Frame | None = None
        self._result: Result | None = None
        self.shown: ResultHeader | None = None
        self._used: ModelUsed | None = None
        self._keys: tuple[Key, ...] = ()
        self._pins: tuple[int, ...] = ()
        self._strip: deque[tuple[int, float]] = deque()
        self._doubted_seq = -1  # answers up to this frame were withdrawn
        self._tick = 0
        self._started_ns: int | None = None
        self.history = History()
        self.gauges = Gauges()
        self.heat, self.help = True, False

    def see_frame(self, header: FrameHeader, frame: Frame, now_ns: int) -> None:
        """Take the newest frame."""
        self._clock.observe(header.host, header.captured_ns, now_ns)
        before = self._newest.frame
        changed_ns = self._newest.format_changed_ns
        if before is not None and before.session != header.session:
            self._forget()
        elif before is not None and before.pixels.shapes != header.pixels.shapes:
            changed_ns = now_ns
        frame_ns = self._clock.local_ns(header.host, header.captured_ns) or now_ns
        self._newest = replace(
            self._newest, frame=header, frame_ns=frame_ns, format_changed_ns=changed_ns
        )
        self._frame = frame
        self._tick += 1
        self.history.add_frame(frame, frame_ns, masked=header.masked)

    def see_result(self, result: Result, now_ns: int) -> None:
        """Take a result; one of an epoch or a worker before that of the newest is of the past."""
        header, newest = result.header, self._newest.result
        if newest is not None and newest.session == header.session:
            past = (header.epoch, header.seq) <= (newest.epoch, newest.seq)
            if past or header.worker < newest.worker:
                return
        if header.seq <= self._doubted_seq:
            return
        result_ns = self._clock.local_ns(header.host, header.captured_ns)
        if result_ns is None:
            return  # no frame of that machine was seen: its age cannot be known
        self._newest = replace(self._newest, result=header, result_ns=result_ns)
        self._result = result
        self.history.add_result(result)
        self.gauges.answered(now_ns, header.engine_ns)
        value = math.nan
        if result.smoothed is not None and self._used is not None:
            value = float(result.smoothed[self._used.spec.positive_index])
        if self._strip and result_ns - self._strip[-1][0] > BREAK_NS:
            self._strip.append((self._strip[-1][0] + 1, math.nan))
        self._strip.append((result_ns, value))

    def see_withdrawal(self, last_seq: int) -> None:
        """Take back what was shown: the worker has found its engine wrong (F07).

        The strip, the key frames and what may be pinned go with it; the recorder says which key
        frames are left. Said again, later, it means nothing that came since.

        Parameters
        ----------
        last_seq : the last frame that the worker answered
        """
        newest = self._newest.result
        if newest is not None and newest.seq > last_seq:
            return
        self._newest = replace(self._newest, result=None)
        self._result, self._keys, self._pins = None, (), ()
        self._strip.clear()
        self._doubted_seq = max(self._doubted_seq, last_seq)
        self.history.forget_results()

    def see_status(self, status: Status) -> None:
        """Take the supervisor's word on all roles."""
        before, after = (_format_in(one) for one in (self._newest.status, status))
        changed_ns = self._newest.format_changed_ns
        if before and after and before != after:  # the cut may leave pictures of the same size
            changed_ns = status.sent_ns
        self._newest = replace(self._newest, status=status, format_changed_ns=changed_ns)

    def see_model(self, note: ModelNote) -> None:
        """Take note of what answers."""
        self._used = note.used

    def see_keys(
        self, keys: list[tuple[KeyNote, NDArray[np.uint8]]], started_ns: int | None
    ) -> None:
        """Take the key frames of the session."""
        self._keys = tuple(
            Key(image, _clock_words(note.time_ns), note.probability, note.pinned)
            for note, image in keys
        )
        if started_ns is not None:
            self._pins = tuple(started_ns + note.time_ns for note, _ in keys if note.pinned)

    def view(self, now_ns: int) -> View:
        """Return what may be drawn now."""
        return judge(now_ns, self._newest, self._freshness_ns)

    def scene(self, now_ns: int) -> Scene:
        """Return everything that the screen shows now."""
        view = self.view(now_ns)
        frozen, frame = self.history.frozen, self.shown_frame
        verdict = self._verdict() if view.current and frozen is None else None
        self.shown = self._newest.result if verdict is not None else None
        if verdict is not None:
            self.gauges.shown(now_ns, now_ns - self._newest.result_ns)
        status = self._newest.status
        recorder = status.roles.get("recorder") if status else None
        source = self._newest.frame.source if self._newest.frame else ""
        return Scene(
            picture=frame.pixels if frame else None,
            spec=self._used.spec if self._used else None,
            verdict=verdict,
            banners=view.banners,
            strip=self._strip_at(now_ns),
            keys=self._keys,
            hud=self.gauges.rows(now_ns, self._newest, self._used),
            tick=self._tick,
            heat=self.heat,
            help=self.help,
            frozen=f"{(now_ns - frozen.captured_ns) / 1e9:.1f} s ago" if frozen else "",
            recording=bool(recorder and recorder.facts.get("recording")),
            clock=time.strftime("%H:%M:%S"),
            source=source,
        )

    @property
    def shown_frame(self) -> Frame | None:
        """The frame on the screen."""
        return self.history.frozen.frame if self.history.frozen else self._frame

    @property
    def shown_masked(self) -> bool:
        """Whether what lay outside the sector was cut away from the frame on the screen."""
        frozen, newest = self.history.frozen, self._newest.frame
        return frozen.masked if frozen else newest is not None and newest.masked

    def _verdict(self) -> Verdict | None:
        result, used = self._result, self._used
        if result is None or used is None or result.smoothed is None:
            return None
        prediction, spec = result.prediction, used.spec
        if prediction.probs is None or prediction.cam is None:
            return None
        index = spec.positive_index
        if len(prediction.probs) != len(spec.classes):
            return None  # the note of a model that has been replaced
        cam = np.clip(prediction.cam[index] / spec.cam_scale[index], 0.0, 1.0).astype(np.float32)
        return Verdict(result.header.label, prediction.probs, result.smoothed, cam)

    def _strip_at(self, now_ns: int) -> Strip:
        while self._strip and now_ns - self._strip[0][0] > STRIP_S * 1e9:
            self._strip.popleft()
        points = np.array(self._strip, np.float64).reshape(-1, 2)
        ages = (now_ns - points[:, 0]) * 1e-9
        pins = tuple((now_ns - pin) * 1e-9 for pin in self._pins)
        recent = tuple(age for age in pins if 0 <= age <= STRIP_S)
        return Strip(ages, points[:, 1].astype(np.float32), recent)

    def _forget(self) -> None:
        """Another session speaks: nothing of the one before may be shown."""
        self._newest = Newest(status=self._newest.status)
        self._result, self._keys, self._pins = None, (), ()
        self._doubted_seq = -1
        self._strip.clear()
        self.history = History()


def _format_in(status: Status | None) -> str:
    """Return what the source's pictures are like, or nothing while that is unknown."""
    capture = status.roles.get("capture") if status else None
    return capture.facts.get("format", "") if capture else ""


def _clock_words(time_ns: int) -> str:
    seconds = time_ns // 10**9
    return f"{seconds // 60}:{seconds % 60:02d}.{time_ns // 10**8 % 10}"
