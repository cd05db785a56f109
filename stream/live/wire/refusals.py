"""Counts what was refused; the first of each reason and peer gives a line in the log."""

from __future__ import annotations

import logging
from collections import Counter

MOST_LINES = 64
_log = logging.getLogger(__name__)


class Refusals:
    """What one socket refused.

    Parameters
    ----------
    endpoint : of the socket, for the log

    Attributes
    ----------
    counts : how many by reason
    """

    def __init__(self, endpoint: str) -> None:
        self.counts: Counter[str] = Counter()
        self._endpoint = endpoint
        self._told: set[tuple[str, str]] = set()

    def add(self, reason: str, text: str, peer: str = "") -> None:
        """Count a refusal.

        Parameters
        ----------
        reason : one word
        text : what is wrong, for people
        peer : address of the sender where it is known
        """
        self.counts[reason] += 1
        if (peer, reason) not in self._told and len(self._told) < MOST_LINES:
            self._told.add((peer, reason))
            sender = f"{self._endpoint} from {peer}" if peer else self._endpoint
            _log.warning("%s: refused (%s): %s; more are only counted", sender, reason, text)
