"""Turns what capture and worker say into a session: journal, key frames, labels, ledger."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from engines.pixels import Pixels
from engines.spec import ModelSpec
from stream.analysis.topk import RankedFrame
from stream.analysis.verdict import Verdict, judge_clip
from stream.errors import StorageError
from stream.frame import FrameId
from stream.live.recorder.doubts import Doubts
from stream.live.recorder.keyframes import KeyFrames
from stream.live.recorder.rows import epoch_row, epoch_words, frame_row
from stream.live.supervisor.config import LiveConfig
from stream.live.wire.messages import EpochNote, FrameHeader, Note, Order
from stream.live.worker.results import Result
from stream.session.account import AWAY, FAILED, Account, Loss
from stream.session.journal import EventRow, open_reading
from stream.session.ledger import NAMES
from stream.session.live_journal import (
    NOTHING_SETTLED,
    LiveJournal,
    RecordedRow,
    count_ledger,
    read_settled,
)
from stream.session.renewal import failed_journals, finish_renewal, renew

_log = logging.getLogger(__name__)
REMEMBERED = 900
"""Results that can still be pinned: half a minute at 30 frames a second."""
MOST_FAILED = 3
"""Journals that may fail in a session; after that the disk is given up."""


class LiveRecord:
    """The session's state; a recorder that died is followed by one that goes on from the journal.

    Parameters
    ----------
    path : of the journal
    config : of the session

    Attributes
    ----------
    alarm : what failed and stays worth knowing although recording goes on, or empty
    stopped : why nothing is written any more, empty while all is well
    repeats : answers that came twice
    withdrawals : what was taken back in words, by the last frame of each
    """

    def __init__(self, path: Path, config: LiveConfig) -> None:
        finish_renewal(path)
        self._path, self._config = path, config
        self._spec: ModelSpec | None = None
        self._recent: deque[Result] = deque(maxlen=REMEMBERED)
        self._worker = (-1, "")
        self._doubts = Doubts()
        self.withdrawals: dict[int, str] = {}
        self._broken = False
        self.stopped, self.repeats = "", 0
        failed = failed_journals(path)
        self.alarm = f"a new journal was begun after {failed[-1].name}" if failed else ""
        self._take_up(AWAY)

    def _take_up(self, away: str, journal: LiveJournal | None = None) -> None:
        """Go on from what the journal holds."""
        there = self._path.exists()
        settled = read_settled(self._path, self._config.session) if there else NOTHING_SETTLED
        self._journal = journal or LiveJournal(self._path)
        self._account = Account(settled.until, away)
        self._labels: Counter[str] = Counter(settled.labels)
        self._good_labels = settled.labels
        self.withdrawals = settled.withdrawals | self.withdrawals
        self._keys = KeyFrames(settled, self._config.analysis)
        if self._spec:
            self._keys.meet(self._spec)

    def meet(self, spec: ModelSpec) -> None:
        """Take note of the model that answers, before its first answer."""
        if self._spec is None:
            self._spec = spec
            self._keys.meet(spec)

    def published(self, header: FrameHeader) -> None:
        """Take note of a published frame."""
        self._account.published(header.before, header.seq)

    def answered(self, result: Result) -> None:
        """Take an answer: a row, the losses before it, perhaps a key frame."""
        header, result = result.header, self._doubts.judge(result)
        losses = self._account.answered(header.seq, header.worker, header.number)
        if losses is None:
            self.repeats += 1
            return
        self._try(lambda: self._write(result, losses))

    def stop(self, cause: str) -> None:
        """Write nothing any more; what comes from now on is counted as not recorded (F27)."""
        self._try(self._commit)
        self.stopped = self.stopped or cause

    def epoch(self, note: EpochNote) -> None:
        """Write down that an epoch began; the supervisor repeats it for a recorder that starts."""
        row, text = epoch_row(note), epoch_words(note)

        def write() -> None:
            if self._journal.add_epoch(row):
                self._journal.add_event(EventRow(note.epoch, note.first_seq, "epoch", text))

        self._try(write)

    def note(self, note: Note) -> None:
        """Write down what a role reported."""
        if note.kind == "confirmed":
            self._keys.confirm()
            self._good_labels = dict(self._labels)
            return
        if note.role == "worker" and note.kind in ("restart", "latched"):
            self._account.worker_ended()
        self._event(note.epoch, note.seq or self._account.settled, note.kind, _said(note))

    def withdraw(self, order: Order) -> None:
        """Take back answers (F07): rows, key frames and labels; those still to come as well."""
        if self._doubts.add(order):
            self._keys.withdraw(self._doubts)
            self._recent = deque(map(self._doubts.judge, self._recent), maxlen=REMEMBERED)
            self._labels = Counter(self._good_labels)  # all there is if nothing can be written
            self._try(self._take_back)

    def recorded(self, row: RecordedRow) -> None:
        """Write down where a frame lies in the recorded video."""
        self._try(lambda: self._journal.add_recorded(row))

    def pin(self, frame: FrameId, pixels: Pixels) -> bool:
        """Keep a frame for the report; False when it has no answer that is remembered."""
        for result in self._recent:
            if result.header.id == frame and result.prediction.probs is not None:
                self._keys.pin(result, pixels, self._time_ns(result))
                self._event(frame.epoch, frame.seq, "pinned", "pinned by the operator")
                return True
        return False

    def key_frames(self) -> list[tuple[RankedFrame, bool]]:
        """Return the key frames, best first, then the pinned ones; True for those."""
        return self._keys.listed()

    def tend(self) -> bool:
        """Commit what is due, frames and key frames together; return whether the latter changed."""
        if self.stopped or not self._journal.due:
            return False
        changed = self._keys.changed
        self._try(self._commit)
        return changed

    def verdict(self) -> Verdict:
        """Return the verdict so far; its total counts settled frames."""
        assert self._spec is not None, "there are answers"
        return judge_clip(self._labels, self._account.settled, self._spec, self._config.analysis)

    def seal(self, grabbed: int) -> dict[str, int]:
        """Settle every frame up to `grabbed`, write key frames, close; return the ledger.

        What is in the journal counts, not what was meant to be: frames that are not there are
        named as not recorded. Where a write failed nothing is written any more, and the ledger is
        that of a reader.
        """
        self._try(lambda: self._journal.add_losses(self._account.finish(grabbed)))
        self._try(self._commit)
        totals = dict.fromkeys(NAMES, 0) | {"grabbed": grabbed, "not_recorded": grabbed}
        if not self._broken:
            try:
                return self._settle(grabbed)
            except StorageError as error:
                self._break(error)
        try:
            with open_reading(self._path) as db:
                return count_ledger(db, grabbed)
        except StorageError as error:
            self.stopped = self.stopped or error.problem
            return totals

    def _settle(self, grabbed: int) -> dict[str, int]:
        """Name what is missing; a session that stopped for want of space has room for this."""
        reason = self.stopped or "rows are missing"
        gaps = [Loss(*gap, "not_recorded", reason) for gap in self._journal.gaps(grabbed)]
        self._journal.add_losses(gaps)
        totals = self._journal.count(grabbed)
        self._journal.save_ledger(totals)
        self._journal.close()
        return totals

    def _commit(self) -> None:
        if self._keys.changed:
            self._journal.save_ranked(self._keys.rows())
        self._journal.flush()

    def _take_back(self) -> None:
        for first, last, reason in self._doubts:
            self._journal.withdraw(first, last, reason)
            if self.withdrawals.get(last) != reason:  # a recorder before may have heard it
                self.withdrawals[last] = reason
                self._journal.add_event(EventRow(0, last, "withdrawn", reason))
        self._labels = Counter(self._journal.labels())

    def _event(self, epoch: int, seq: int, kind: str, text: str) -> None:
        self._try(lambda: self._journal.add_event(EventRow(epoch, seq, kind, text)))

    def _try(self, write: Callable[[], None]) -> None:
        """Write unless writing has stopped; a failure is never repeated in the same file (F28)."""
        if self.stopped:
            return
        try:
            write()
        except StorageError as error:
            self._fail(error)

    def _fail(self, error: StorageError) -> None:
        """Go on in a new journal that holds what the failed one certainly holds, or stop."""
        _log.error("%s", error)
        if len(failed_journals(self._path)) >= MOST_FAILED:
            self._break(error)
            return
        try:
            self._take_up(FAILED, renew(self._journal, self._path))
            self.alarm = f"{error.problem}; a new journal was begun"
            self._journal.add_event(EventRow(0, self._account.settled, "storage", self.alarm))
            self._take_back()
        except StorageError as again:
            self._break(again)

    def _break(self, error: StorageError) -> None:
        if not self._broken:
            self._broken = True
            self._journal.abandon()
        self.stopped = self.stopped or error.problem

    def _write(self, result: Result, losses: list[Loss]) -> None:
        header = result.header
        if (header.worker, header.engine) != self._worker:
            self._worker = (header.worker, header.engine)
            text = f"worker {header.worker}: {header.engine}"
            self._journal.add_event(EventRow(header.epoch, header.seq, "worker", text))
        self._journal.add_losses(losses)
        self._journal.add_frame(frame_row(result, self._time_ns(result)))
        self._recent.append(result)
        if header.state == "ok" and result.smoothed is not None:
            self._labels[header.label] += 1
            if result.pixels is not None:
                self._offer(result, result.pixels)

    def _offer(self, result: Result, pixels: Pixels) -> None:
        kept = self._keys.offer(result, pixels, self._time_ns(result))
        if kept is None:
            return
        gone = kept.displaced
        text = f"displaced {gone.epoch}:{gone.seq}" if gone else "into a free place"
        header = result.header
        self._journal.add_event(EventRow(header.epoch, header.seq, "kept", text))

    def _time_ns(self, result: Result) -> int:
        return max(0, result.header.captured_ns - self._config.started_ns)


def _said(note: Note) -> str:
    return f"{note.role}: {note.text}" if note.text else note.role
