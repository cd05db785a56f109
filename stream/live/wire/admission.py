"""Which valid messages a receiver takes: those of its session, each frame once, none of the past.

Pure; the time comes from the caller.
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.clock import MS
from stream.live.wire.codec import Message
from stream.live.wire.messages import FrameHeader, ResultHeader, Status

FRAME_NS, EPOCH_NS = MS, 100 * MS
"""The fastest sources give 1000 frames a second (V18); epochs begin ten times a second at most."""
FRAMES_AHEAD, EPOCHS_AHEAD = 4096, 64
"""How far frames and epochs may run ahead of that: messages that queued before the first."""
SILENCE_NS = 2000 * MS
"""A session that says nothing for so long may be followed by another."""


@dataclass(slots=True)
class _Seen:
    first: tuple[int, int]
    first_ns: int
    last: tuple[int, int]


class Admission:
    """Remembers the newest frame of each kind of message.

    Parameters
    ----------
    session : the session to follow; None follows the first that speaks, and another one once that
        has been silent for `SILENCE_NS`, as after a restart on the other machine

    Attributes
    ----------
    session : that is followed now
    """

    def __init__(self, session: str | None) -> None:
        self.session = session
        self._free = session is None
        self._heard_ns = 0
        self._seen: dict[type[Message], _Seen] = {}

    def refusal(self, message: Message, now_ns: int) -> str:
        """Return why a message is not taken, in one word; empty when it is taken.

        Parameters
        ----------
        message : that passed `stream.live.wire.codec.decode`
        now_ns : clock of this machine
        """
        if message.session != self.session:
            if not self._free or (self.session and now_ns - self._heard_ns < SILENCE_NS):
                return "foreign"
            self.session = message.session
            self._seen.clear()
        self._heard_ns = now_ns
        if isinstance(message, FrameHeader | ResultHeader):
            return self._place(type(message), (message.epoch, message.seq), now_ns)
        if isinstance(message, Status):
            return self._place(Status, (0, message.number), now_ns)
        return ""

    def _place(self, kind: type[Message], place: tuple[int, int], now_ns: int) -> str:
        seen = self._seen.get(kind)
        if seen is None:
            self._seen[kind] = _Seen(place, now_ns, place)
            return ""
        reason = _compare(seen, place, now_ns)
        if not reason:
            seen.last = place
        return reason


def _compare(seen: _Seen, place: tuple[int, int], now_ns: int) -> str:
    if place[0] < seen.last[0]:
        return "past"
    if place <= seen.last:
        return "order"
    passed_ns = now_ns - seen.first_ns
    frames = FRAMES_AHEAD + passed_ns // FRAME_NS
    epochs = EPOCHS_AHEAD + passed_ns // EPOCH_NS
    # Taken, such a leap would turn every true message after it into one of the past.
    leaps = place[0] - seen.first[0] > epochs or place[1] - seen.first[1] > frames
    return "leap" if leaps else ""
