"""Turns what capture and worker say into a session: journal, key frames, labels, ledger."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import msgspec

from engines.pixels import Pixels
from engines.spec import ModelSpec
from stream.analysis.topk import RankedFrame, TopK
from stream.analysis.verdict import Verdict, judge_clip
from stream.config import AnalysisConfig
from stream.errors import StorageError
from stream.frame import FrameId
from stream.live.config import LiveConfig
from stream.live.messages import EpochNote, FrameHeader, Note, Order
from stream.live.results import Result
from stream.session.account import Account, Loss
from stream.session.journal import EventRow, FrameRow
from stream.session.live_journal import (
    NOTHING_SETTLED,
    EpochRow,
    LiveJournal,
    RecordedRow,
    read_settled,
)
from stream.session.record import json_list, ranked_row

REMEMBERED = 900
"""Results that can still be pinned: half a minute at 30 frames a second."""


class LiveRecord:
    """The session's state; a recorder that died is followed by one that goes on from the journal.

    Parameters
    ----------
    path : of the journal
    config : of the session

    Attributes
    ----------
    stopped : why nothing is written any more, empty while all is well
    repeats : answers that came twice
    """

    def __init__(self, path: Path, config: LiveConfig) -> None:
        settled = read_settled(path, config.session) if path.exists() else NOTHING_SETTLED
        self._journal = LiveJournal(path)
        self._config = config
        self._account = Account(settled.until)
        self._labels: Counter[str] = Counter(settled.labels)
        self._before = settled.ranked
        self._pinned = {kept.frame.id: kept for kept in settled.pinned}
        self._spec: ModelSpec | None = None
        self._topk: TopK | None = None
        self._recent: deque[Result] = deque(maxlen=REMEMBERED)
        self._changed = False
        self._worker = -1
        self.stopped, self.repeats = "", 0
        self._confirm()

    def meet(self, spec: ModelSpec) -> None:
        """Take note of the model that answers, before its first answer."""
        if self._spec is None:
            self._spec = spec
            self._topk = _topk_of(self._before, spec, self._config.analysis)
            self._confirm()

    def published(self, header: FrameHeader) -> None:
        """Take note of a published frame."""
        self._account.published(header.before, header.seq)

    def answered(self, result: Result) -> None:
        """Take an answer: a row, the losses before it, perhaps a key frame."""
        header = result.header
        losses = self._account.answered(header.seq, header.worker, header.number)
        if losses is None:
            self.repeats += 1
            return
        self._try(lambda: self._write(result, losses))

    def stop(self, cause: str) -> None:
        """Write nothing any more; what comes from now on is counted as not recorded (F27)."""
        self.stopped = self.stopped or cause

    def epoch(self, note: EpochNote) -> None:
        """Write down that an epoch began; the supervisor repeats it for a recorder that starts."""
        row = EpochRow(
            epoch=note.epoch,
            first_seq=note.first_seq,
            first_index=note.first_index,
            size_wh=_json(note.size_wh),
            box_xyxy=_json(note.box_xyxy),
            outline=_json(note.outline),
            cause=note.cause,
        )
        size = f"{note.size_wh[0]} x {note.size_wh[1]} px"
        masked = "" if note.outline else "; nothing is masked"
        text = f"capture: {note.cause}; pictures are {size}{masked}"

        def write() -> None:
            if self._journal.add_epoch(row):
                self._journal.add_event(EventRow(note.epoch, note.first_seq, "epoch", text))

        self._try(write)

    def note(self, note: Note) -> None:
        """Write down what a role reported."""
        if note.kind == "confirmed":
            self._confirm()
            return
        row = EventRow(note.epoch, note.seq or self._account.settled, note.kind, _said(note))
        self._try(lambda: self._journal.add_event(row))

    def withdraw(self, order: Order) -> None:
        """Take back every answer after a frame (F07): rows, key frames and labels."""
        good = _identity(order) if order.seq >= 0 else None
        self._try(lambda: self._journal.withdraw(good, order.text))
        self._topk, self._labels = deepcopy(self._good)
        self._changed = True
        row = EventRow(order.epoch, self._account.settled, "withdrawn", order.text)
        self._try(lambda: self._journal.add_event(row))

    def recorded(self, row: RecordedRow) -> None:
        """Write down where a frame lies in the recorded video."""
        self._try(lambda: self._journal.add_recorded(row))

    def pin(self, frame: FrameId, pixels: Pixels) -> bool:
        """Keep a frame for the report; False when it has no answer that is remembered."""
        assert self._spec is not None, "there are answers"
        for result in self._recent:
            if result.header.id == frame and result.prediction.probs is not None:
                kept = TopK(self._spec, msgspec.structs.replace(self._config.analysis, top_k=1))
                time_ns = self._time_ns(result)
                pinned = kept.offer(result.frame(pixels), result.prediction, time_ns)
                assert pinned is not None
                self._pinned[frame] = pinned
                self._changed = True
                text = "pinned by the operator"
                self._try(
                    lambda: self._journal.add_event(
                        EventRow(frame.epoch, frame.seq, "pinned", text)
                    )
                )
                return True
        return False

    def key_frames(self) -> list[tuple[RankedFrame, bool]]:
        """Return the key frames, best first, then the pinned ones; True for those."""
        ranked = [(kept, False) for kept in (self._topk.ranked() if self._topk else ())]
        chosen = {kept.frame.id for kept, _ in ranked}
        pins = [kept for kept in self._pinned.values() if kept.frame.id not in chosen]
        start = len(ranked) + 1
        return ranked + [(replace(kept, rank=start + n), True) for n, kept in enumerate(pins)]

    def save_keys(self) -> bool:
        """Write the key frames down if they changed; return whether they did."""
        if not self._changed:
            return False
        self._changed = False
        rows = [ranked_row(kept)._replace(pinned=int(pinned)) for kept, pinned in self.key_frames()]
        self._try(lambda: self._journal.save_ranked(rows))
        return True

    def verdict(self) -> Verdict:
        """Return the verdict so far; its total counts settled frames."""
        assert self._spec is not None, "there are answers"
        return judge_clip(self._labels, self._account.settled, self._spec, self._config.analysis)

    def seal(self, grabbed: int) -> dict[str, int]:
        """Settle every frame up to `grabbed`, write key frames and ledger, close; return the ledger.

        What is in the journal counts, not what was meant to be: frames that are not there are
        named as not recorded. A disk that takes nothing leaves the ledger unwritten, but it is
        returned all the same.

        Raises
        ------
        StorageError
            If not even the journal's rows can be read.
        """
        self._try(lambda: self._journal.add_losses(self._account.finish(grabbed)))
        self.save_keys()
        self._try(self._journal.flush)
        reason = self.stopped or "rows are missing"
        gaps = [Loss(*gap, "not_recorded", reason) for gap in self._journal.gaps(grabbed)]
        self._try(lambda: self._journal.add_losses(gaps), again=True)
        totals = self._journal.count(grabbed)
        self._try(lambda: self._journal.save_ledger(totals), again=True)
        self._try(self._journal.close, again=True)
        return totals

    def _try(self, write: Callable[[], None], *, again: bool = False) -> None:
        """Write unless writing has stopped; stop at the first failure, which nothing repeats."""
        if self.stopped and not again:
            return
        try:
            write()
        except StorageError as error:
            self.stop(str(error))

    def _write(self, result: Result, losses: list[Loss]) -> None:
        header = result.header
        if header.worker != self._worker:
            self._worker = header.worker
            text = f"worker {header.worker}: {header.engine}"
            self._journal.add_event(EventRow(header.epoch, header.seq, "worker", text))
        self._journal.add_losses(losses)
        self._journal.add_frame(self._row(result))
        self._recent.append(result)
        if header.state == "ok" and result.smoothed is not None:
            self._labels[header.label] += 1
            if result.pixels is not None:
                self._offer(result, result.pixels)

    def _offer(self, result: Result, pixels: Pixels) -> None:
        assert self._topk is not None, "meet comes before the first answer"
        kept = self._topk.offer(result.frame(pixels), result.prediction, self._time_ns(result))
        if kept is None:
            return
        self._changed = True
        gone = kept.displaced
        text = f"displaced {gone.epoch}:{gone.seq}" if gone else "into a free place"
        header = result.header
        self._journal.add_event(EventRow(header.epoch, header.seq, "kept", text))

    def _row(self, result: Result) -> FrameRow:
        header, prediction = result.header, result.prediction
        return FrameRow(
            epoch=header.epoch,
            seq=header.seq,
            pts_ns=header.pts_ns,
            time_ns=self._time_ns(result),
            state=header.state,
            reason=header.reason,
            probs=json_list(prediction.probs) if prediction.probs is not None else None,
            smoothed=json_list(result.smoothed) if result.smoothed is not None else None,
            label=header.label,
            distance=header.distance,
            captured_ns=header.captured_ns,
            preprocess_ns=header.preprocess_ns,
            engine_ns=header.engine_ns,
        )

    def _time_ns(self, result: Result) -> int:
        return max(0, result.header.captured_ns - self._config.started_ns)

    def _confirm(self) -> None:
        self._good = deepcopy((self._topk, self._labels))


def _topk_of(ranked: list[RankedFrame], spec: ModelSpec, config: AnalysisConfig) -> TopK:
    """Return a ranker that holds these frames again."""
    topk = TopK(spec, config)
    for kept in sorted(ranked, key=lambda kept: kept.frame.id):
        topk.offer(kept.frame, kept.prediction, kept.time_ns)
    return topk


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _identity(order: Order) -> FrameId:
    return FrameId(order.session, order.epoch, order.seq)


def _said(note: Note) -> str:
    return f"{note.role}: {note.text}" if note.text else note.role
