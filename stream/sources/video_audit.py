"""Book-keeping over one clip: what was lost, what is damaged, whether its clock makes sense."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import av

from stream.sources.base import Problem

_HOLE_NS = 10_000_000_000  # a step this long, and 10 times the usual one, is a hole
_JITTER_NS = 1_000_000  # containers that count in ms, such as Matroska
_REGULAR_SHARE = 0.75  # of all steps equal: the clip has one rate, and longer steps are gaps
_MAX_RANGES = 20


class DamageTrail:
    """Tells which frames cannot be trusted because of damage before or in them.

    A damaged frame spoils every frame predicted from it, up to the next intact key frame.
    """

    def __init__(self) -> None:
        self._since_ns: int | None = None
        self._tainted = False
        self._suspects: set[int | None] = set()

    def taint(self, since_ns: int | None) -> None:
        """Distrust frames from this place on; all that follow when None."""
        self._tainted, self._since_ns = True, since_ns

    def suspect(self, pts_ns: int | None) -> None:
        """Distrust the frame of this place only, for the decoder complained about its data."""
        self._suspects.add(pts_ns)

    def judge(self, frame: av.VideoFrame, pts_ns: int | None) -> str | None:
        """Return why the frame cannot be trusted, or None."""
        if frame.is_corrupt:
            self.taint(pts_ns)
        if frame.is_corrupt or pts_ns in self._suspects:
            self._suspects.discard(pts_ns)
            return "the decoder met damaged data"
        earlier = pts_ns is not None and self._since_ns is not None and pts_ns < self._since_ns
        if not self._tainted or earlier:
            return None
        if frame.key_frame:
            self._tainted = False
            return None
        return "predicted from damaged data"


class ClipAudit:
    """Collects the places and damages of the delivered frames and judges them at the end.

    Parameters
    ----------
    declared : number of frames that the container promises, or 0
    declared_end_ns : end of the clip that the container promises, or None

    Attributes
    ----------
    repeats : empty packets, which mean that the frame before stays
    lost_packets : packets that the decoder refused
    """

    def __init__(self, declared: int, declared_end_ns: int | None) -> None:
        self._declared, self._declared_end_ns = declared, declared_end_ns
        self._pts_ns: list[int | None] = []
        self._damaged: list[int] = []
        self._end_ns = 0
        self.repeats = self.lost_packets = 0

    @property
    def frames(self) -> int:
        """Frames delivered so far."""
        return len(self._pts_ns)

    def add(self, pts_ns: int | None, duration_ns: int, damage: str | None) -> None:
        """Note one delivered frame."""
        if pts_ns is not None:
            self._end_ns = max(self._end_ns, pts_ns + duration_ns)
        if damage is not None:
            self._damaged.append(len(self._pts_ns))
        self._pts_ns.append(pts_ns)

    def problems(self, cut: str | None) -> tuple[Problem, ...]:
        """Judge the whole clip.

        Parameters
        ----------
        cut : how the container shows that its end is missing, or None
        """
        steps = self._steps()
        usual = _usual_step(steps)
        found = [self._short(usual, cut), self._damage()]
        if found[0] is None:
            found.append(self._gaps(steps, usual))
        found.append(self._clock(steps))
        return tuple(problem for problem in found if problem)

    def _steps(self) -> list[int]:
        places = [place for place in self._pts_ns if place is not None]
        return [after - before for before, after in itertools.pairwise(places)]

    def _short(self, usual: int, cut: str | None) -> Problem | None:
        expected = self._declared - self.repeats
        if self.frames < expected:
            tail = f" ({cut})" if cut else ""
            return Problem("V06", f"{self.frames} of {expected} frames{tail}", True)
        end_ns, promised_ns = self._end_ns, self._declared_end_ns
        if end_ns and promised_ns is not None and end_ns + 2 * usual < 0.98 * promised_ns:
            text = f"{self.frames} frames end at {end_ns / 1e9:.2f} s of {promised_ns / 1e9:.2f} s"
            return Problem("V06", text, True)
        if cut:
            return Problem("V06", f"{self.frames} frames, then the file is cut: {cut}", True)
        return None

    def _damage(self) -> Problem | None:
        parts = []
        if self._damaged:
            parts.append(f"{len(self._damaged)} damaged: {_ranges(self._damaged)}")
        if self.lost_packets:
            parts.append(f"packets that could not be decoded: {self.lost_packets}")
        return Problem("V07", "; ".join(parts), True) if parts else None

    def _gaps(self, steps: list[int], usual: int) -> Problem | None:
        """Find missing frames in a clip of one rate; a clip of many rates shows none."""
        regular = sum(abs(step - usual) <= max(_JITTER_NS, 0.02 * usual) for step in steps)
        if usual == 0 or regular < _REGULAR_SHARE * len(steps):
            return None
        short = [step for step in steps if 0 < step <= max(_HOLE_NS, 10 * usual)]
        missing = sum(round(step / usual) - 1 for step in short) - self.repeats
        if missing <= 0:
            return None
        text = f"{missing} of {self.frames + missing} frames are missing by the clip's own clock"
        return Problem("V09", text, True)

    def _clock(self, steps: list[int]) -> Problem | None:
        missing = self._pts_ns.count(None)
        backwards = sum(step <= 0 for step in steps)
        usual = _usual_step(steps)
        holes = [step for step in steps if step > max(_HOLE_NS, 10 * usual)]
        parts = []
        if missing:
            parts.append(f"{missing} of {self.frames} frames have no time")
        if backwards:
            parts.append(f"time stands still or runs back {backwards} times")
        if holes:
            parts.append(f"{len(holes)} holes in time, the longest {max(holes) / 1e9:.0f} s")
        return Problem("V19", "; ".join(parts), False) if parts else None


def _usual_step(steps: Sequence[int]) -> int:
    """Return the median forward step in ns, 0 without steps."""
    forward = sorted(step for step in steps if step > 0)
    return forward[len(forward) // 2] if forward else 0


def _ranges(numbers: Sequence[int]) -> str:
    """Write sorted numbers as ranges: 3, 7-9."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = [str(a) if a == b else f"{a}-{b}" for a, b in ranges[:_MAX_RANGES]]
    return ", ".join(shown + ["..."] * (len(ranges) > _MAX_RANGES))
