"""The key frames of a live session: the ranker's choice and what the operator pinned."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace

import msgspec

from engines.pixels import Pixels
from engines.spec import ModelSpec
from stream.analysis.topk import RankedFrame, TopK
from stream.config import AnalysisConfig
from stream.live.recorder.doubts import Doubts
from stream.live.worker.results import Result
from stream.session.journal import RankedRow
from stream.session.live_journal import Settled
from stream.session.record import ranked_row


class KeyFrames:
    """Starts from those of a journal.

    Parameters
    ----------
    settled : what the journal holds
    config : of the session

    Attributes
    ----------
    changed : since the rows were asked for
    """

    def __init__(self, settled: Settled, config: AnalysisConfig) -> None:
        self._config = config
        self._before = settled.ranked
        self._pinned = {kept.frame.id: kept for kept in settled.pinned}
        self._spec: ModelSpec | None = None
        self._topk: TopK | None = None
        self._good: TopK | None = None
        self._rows = {kept.frame.id: ranked_row(kept) for kept in settled.ranked}
        self.changed = False

    def meet(self, spec: ModelSpec) -> None:
        """Take note of the model, before its first answer."""
        self._spec = spec
        self._topk = self._ranker(self._before)
        self.confirm()

    def offer(self, result: Result, pixels: Pixels, time_ns: int) -> RankedFrame | None:
        """Consider an answered frame; return it as kept, or None."""
        assert self._topk is not None, "meet comes before the first answer"
        kept = self._topk.offer(result.frame(pixels), result.prediction, time_ns)
        self.changed = self.changed or kept is not None
        return kept

    def pin(self, result: Result, pixels: Pixels, time_ns: int) -> None:
        """Keep an answered frame whatever its score."""
        assert self._spec is not None, "there are answers"
        one = TopK(self._spec, msgspec.structs.replace(self._config, top_k=1))
        pinned = one.offer(result.frame(pixels), result.prediction, time_ns)
        assert pinned is not None
        self._pinned[pinned.frame.id] = pinned
        self.changed = True

    def listed(self) -> list[tuple[RankedFrame, bool]]:
        """Return the key frames, best first, then the pinned ones; True for those."""
        ranked = [(kept, False) for kept in (self._topk.ranked() if self._topk else ())]
        chosen = {kept.frame.id for kept, _ in ranked}
        pins = [kept for kept in self._pinned.values() if kept.frame.id not in chosen]
        start = len(ranked) + 1
        return ranked + [(replace(kept, rank=start + n), True) for n, kept in enumerate(pins)]

    def rows(self) -> list[RankedRow]:
        """Return the journal's rows; each picture is encoded once."""
        self.changed = False
        listed = self.listed()
        self._rows = {
            kept.frame.id: self._rows.get(kept.frame.id) or ranked_row(kept) for kept, _ in listed
        }
        return [
            self._rows[kept.frame.id]._replace(rank=kept.rank, pinned=int(pinned))
            for kept, pinned in listed
        ]

    def confirm(self) -> None:
        """Remember this point: the engine has just given the known answer."""
        self._good = deepcopy(self._topk)

    def withdraw(self, doubts: Doubts) -> None:
        """Go back to the last point that was confirmed, without what was withdrawn."""
        kept = self._good.ranked() if self._good else self._before
        self._before = doubts.without(kept)
        self._topk = self._ranker(self._before) if self._spec else None
        self._pinned = {one.frame.id: one for one in doubts.without(self._pinned.values())}
        self.confirm()
        self.changed = True

    def _ranker(self, kept: Iterable[RankedFrame]) -> TopK:
        """Return a ranker that holds these frames."""
        assert self._spec is not None
        topk = TopK(self._spec, self._config)
        for one in sorted(kept, key=lambda one: one.frame.id):
            topk.offer(one.frame, one.prediction, one.time_ns)
        return topk
