"""The figures beside the picture: rates, age, losses, engine."""

from __future__ import annotations

from collections import deque

import numpy as np

from stream.clock import MS
from stream.live.viewer.freshness import Newest
from stream.live.wire.messages import Role
from stream.session.manifest import ModelUsed

RATE_NS, AGE_NS = 2000 * MS, 10_000 * MS


class Gauges:
    """Counts over the last seconds."""

    def __init__(self) -> None:
        self._answers: deque[tuple[int, int]] = deque()
        self._ages: deque[tuple[int, int]] = deque()

    def answered(self, now_ns: int, engine_ns: int) -> None:
        """Take note of a result that arrived."""
        self._answers.append((now_ns, engine_ns))

    def shown(self, now_ns: int, age_ns: int) -> None:
        """Take note of a result on the screen and its age."""
        self._ages.append((now_ns, age_ns))

    def rows(
        self, now_ns: int, newest: Newest, used: ModelUsed | None
    ) -> tuple[tuple[str, str], ...]:
        """Return label and value, in order."""
        _forget(self._answers, now_ns - RATE_NS)
        _forget(self._ages, now_ns - AGE_NS)
        period_ns = newest.frame.period_ns if newest.frame else 0
        rate_hz = len(self._answers) * 1e9 / RATE_NS
        rows = [
            ("capture", f"{1e9 / period_ns:.1f} fps" if period_ns else "-"),
            ("inference", f"{rate_hz:.1f} fps" if self._answers else "-"),
            ("age p50 / p99", self._age_words()),
            *_losses(newest),
        ]
        if used is not None:
            rows.append(("engine", f"{used.engine.name} {used.engine.precision}"))
            if used.engine.standing == "forced":
                rows.append(("gate", "FORCED, not accepted"))
        return tuple(rows)

    def _age_words(self) -> str:
        if not self._ages:
            return "-"
        middle, most = np.percentile([age for _, age in self._ages], (50, 99)) / 1e6
        return f"{middle:.0f} / {most:.0f} ms"


def _losses(newest: Newest) -> list[tuple[str, str]]:
    """Return what was lost so far, by reason."""
    if newest.status is None:
        return []

    def counter(role: Role, name: str) -> int:
        status = newest.status.roles.get(role) if newest.status else None
        return status.counters.get(name, 0) if status else 0

    rows = [
        ("capture drop", counter("capture", "dropped")),
        ("skipped by policy", counter("worker", "skipped")),
        ("failed", counter("worker", "failed")),
        ("not drawn", counter("viewer", "missed")),
        ("refused messages", counter("worker", "refused")),
    ]
    return [(name, str(count)) for name, count in rows if count or name == "skipped by policy"]


def _forget(items: deque[tuple[int, int]], before_ns: int) -> None:
    while items and items[0][0] < before_ns:
        items.popleft()
