"""The recorder process: everything that happens goes into the session folder, or is counted."""

from __future__ import annotations

import logging
import shutil
from collections import deque
from pathlib import Path

from stream.clock import MS, now_ns
from stream.live.recorder.film import Film
from stream.live.recorder.ranking import encode_ranking
from stream.live.recorder.record import LiveRecord
from stream.live.recorder.summary import Summary
from stream.live.supervisor.config import LiveConfig
from stream.live.supervisor.role import Post, Stop
from stream.live.wire.channels import Poller
from stream.live.wire.codec import Buffer, Received
from stream.live.wire.frames import take_pixels
from stream.live.wire.links import collect_records, every_header, hear_news, take_all
from stream.live.wire.messages import (
    EpochNote,
    FrameHeader,
    ModelNote,
    Note,
    Order,
    Pin,
    Ranking,
    ResultHeader,
    Status,
)
from stream.live.wire.payload import read_pixels
from stream.live.wire.ring import FrameRing
from stream.live.worker.results import decode_result
from stream.session.manifest import JOURNAL

WAIT_MS = 20
DRAIN_NS = 250 * MS
SHOW_NS = 1000 * MS
CHECK_NS = 1000 * MS
WARN_SHARE, STOP_SHARE = 0.10, 0.02
"""Free share of the disk at which the screen warns, and at which writing stops (F27)."""
MOST_WAITING = 600
PIN_NS, MOST_PINS = 2000 * MS, 8
"""How long a pin waits for the answer of its frame, and how many may wait."""
_log = logging.getLogger(__name__)


def run_recorder(config: LiveConfig, post: Post, stop: Stop) -> int:
    """Record until told to stop, then take what is still on its way, and seal the session."""
    with (
        every_header(config) as frames,
        collect_records(config) as results,
        hear_news(config) as news,
    ):
        poller = Poller(frames, results, news)
        recorder = _Recorder(config, post)
        try:
            while not stop.wanted:
                recorder.hear(take_all(poller, WAIT_MS))
                refused = sum(sum(one.refused.values()) for one in (frames, results, news))
                recorder.tend(refused)
            until_ns = now_ns() + DRAIN_NS
            while now_ns() < until_ns:
                recorder.hear(take_all(poller, WAIT_MS))
        finally:
            recorder.seal()
    return 0


class _Recorder:
    """What the recorder holds from message to message."""

    def __init__(self, config: LiveConfig, post: Post) -> None:
        self._config, self._post, self._folder = config, post, Path(config.folder)
        assert config.ring is not None, "recording works on the machine of the capture"
        self._ring = FrameRing.attach(config.ring)
        self._record = LiveRecord(self._folder / JOURNAL, config)
        self._film = Film(self._folder, config.instance, on=config.record)
        self._summary = Summary(self._folder, config)
        self._waiting: list[Received] = []
        self._pins: deque[tuple[int, Received]] = deque(maxlen=MOST_PINS)
        self._ranking: tuple[Ranking, list[Buffer]] | None = None
        self._keys_changed = False
        self._shown_ns = self._checked_ns = 0
        self._warning = ""
        self._hears = False

    def hear(self, messages: list[Received]) -> None:
        """Take messages in the order in which they came."""
        for received in messages:
            message = received.message
            if isinstance(message, FrameHeader):
                self._record.published(message)
                self._summary.meet_source(message)
                self._roll(received, message)
            elif isinstance(message, ResultHeader):
                self._answer(received)
            elif isinstance(message, ModelNote):
                self._meet(message)
            elif isinstance(message, EpochNote):
                self._record.epoch(message)
                self._summary.meet_epoch(message)
            elif isinstance(message, Pin):
                self._pins.append((now_ns() + PIN_NS, received))
            elif isinstance(message, Note):
                self._record.note(message)
            elif isinstance(message, Order):
                self._obey(message)
            elif isinstance(message, Status):
                self._hears = True

    def tend(self, refused: int) -> None:
        """Commit what is due, show the key frames, look at the disk, beat."""
        now = now_ns()
        self._pin(now)
        self._keys_changed = self._record.tend() or self._keys_changed
        if now - self._checked_ns >= CHECK_NS:
            self._checked_ns = now
            self._check_disk()
        if now - self._shown_ns >= SHOW_NS:
            self._shown_ns = now
            self._show_keys()
        if not self._hears:  # who does not hear the supervisor yet misses what it passes on
            self._post.beat("starting")
            return
        stopped = self._record.stopped or self._film.stopped
        facts = {
            "alarm": self._record.alarm,
            "warning": self._warning,
            "recording": "on" if self._film.on else "",
        }
        counters = {
            "repeats": self._record.repeats,
            "recorded": self._film.count,
            "refused": refused,
        }
        self._post.beat("down" if stopped else "up", stopped, counters, facts)

    def seal(self) -> None:
        """Settle the rest, close the files and write the manifest."""
        self._film.close()
        self._pin(now_ns())
        ledger = self._record.seal(self._ring.next_seq)
        self._summary.write(self._record, ledger, self._film.stopped)
        self._post.beat("down", "sealed", {**ledger})

    def _answer(self, received: Received) -> None:
        if self._summary.spec is None:
            self._waiting = [*self._waiting[-MOST_WAITING:], received]
            return
        self._record.answered(decode_result(received))

    def _meet(self, note: ModelNote) -> None:
        if not self._summary.meet_model(note.used):
            return
        self._record.meet(note.used.spec)
        self._summary.write_begun(self._record)
        for received in self._waiting:
            self._answer(received)
        self._waiting = []

    def _show_keys(self) -> None:
        """Send the key frames, changed or not: a viewer may have come since (F24)."""
        spec = self._summary.spec
        if spec is None:
            return
        if self._keys_changed or self._ranking is None:
            self._keys_changed = False
            keys = self._record.key_frames()
            self._ranking = encode_ranking(self._config.session, keys, spec)
        self._post.send(*self._ranking)

    def _roll(self, received: Received, header: FrameHeader) -> None:
        """Record the picture if video is recorded; never one that should be masked and is not."""
        bare = self._config.mask and not header.masked
        if not self._film.on or self._film.stopped or bare:
            return
        pixels = take_pixels(received, self._ring)
        if pixels is not None and (row := self._film.add(header, pixels)) is not None:
            self._record.recorded(row)

    def _pin(self, now: int) -> None:
        """Pin what was asked for; its answer comes another way and may be a little late."""
        for _ in range(len(self._pins)):
            until_ns, received = self._pins.popleft()
            message, pixels = received.message, read_pixels(received)
            assert isinstance(message, Pin), "only those are kept here"
            assert pixels is not None, "the codec has seen them"
            if self._record.pin(message.id, pixels):
                continue
            if now < until_ns:
                self._pins.append((until_ns, received))
            else:
                _log.warning("frame %d cannot be pinned: it has no answer", message.seq)

    def _obey(self, order: Order) -> None:
        if order.name == "withdraw":
            self._record.withdraw(order)
        if order.name == "record":
            self._film.turn(not self._film.on)

    def _check_disk(self) -> None:
        try:
            usage = shutil.disk_usage(self._folder)
        except OSError as error:
            self._stop(f"the disk cannot be asked: {error.strerror}")
            return
        share = usage.free / usage.total
        self._warning = f"{share:.0%} of the disk is free" if share < WARN_SHARE else ""
        if share < STOP_SHARE:
            self._stop(f"only {share:.1%} of the disk is free")

    def _stop(self, cause: str) -> None:
        if not self._record.stopped:
            _log.error("recording stops: %s", cause)
            self._record.stop(cause)
            self._film.stop(cause)
