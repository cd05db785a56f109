"""What a receiver takes of what arrives: valid messages of its session. Never raises for them."""

from __future__ import annotations

from stream.clock import now_ns
from stream.errors import WireError
from stream.live.wire.admission import Admission
from stream.live.wire.codec import Limits, Received, decode
from stream.live.wire.refusals import Refusals

_TEXTS = {
    "foreign": "message of another session",
    "past": "message of a past epoch",
    "order": "message that came before, or older than one that came",
    "leap": "message of a frame that cannot have been captured yet",
}


class Intake:
    """Checks of one receiver.

    Parameters
    ----------
    limits : kinds and sizes that may come
    session : to follow; None follows that of the first message
    refusals : counts the rest
    """

    def __init__(self, limits: Limits, session: str | None, refusals: Refusals) -> None:
        self.limits = limits
        self.admission = Admission(session)
        self.refusals = refusals

    def take(self, data: memoryview, peer: str = "") -> Received | None:
        """Return what a one-part message says, or None when it was refused and counted.

        Parameters
        ----------
        data : the part
        peer : address of the sender where it is known
        """
        try:
            received = decode(data, self.limits)
        except WireError as error:
            self.refusals.add(error.reason, error.problem, peer)
            return None
        reason = self.admission.refusal(received.message, now_ns())
        if reason:
            self.refusals.add(reason, _TEXTS[reason], peer)
        return None if reason else received
