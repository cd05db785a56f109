"""Capture: owns the source; stamps, counts, masks and publishes every picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from engines.pixels import Pixels
from stream.clock import MS, host_id, now_ns
from stream.live.capture.grabbing import OPENING, Delivered, Grabbing, Opening
from stream.live.capture.judge import CaptureJudge, Judged
from stream.live.capture.masking import Masking
from stream.live.supervisor.config import LiveConfig
from stream.live.supervisor.keeper import EXIT_REOPEN
from stream.live.supervisor.role import Post, Stop
from stream.live.supervisor.wake import Wake
from stream.live.wire.channels import Publisher
from stream.live.wire.links import publish_frames
from stream.live.wire.messages import EpochNote, FrameHeader
from stream.live.wire.payload import layout_of
from stream.live.wire.ring import FrameRing
from stream.sources.live.address import kind_of
from stream.sources.live.base import Grabber
from stream.sources.live.open import LiveOptions, open_live

WAIT_S = 0.05
DEVICE_SILENCE_S, HUNG_NS = 1.3, 1500 * MS
"""A device that is asked and says nothing for so long is opened again by a new process, within 3 s
in all (F11); the first limit is the device's own, which names the cause."""
LOST_NS = 12_000 * MS
"""The same for a source that is being opened, and for one of the network: the limits of its own,
such as for a picture while data come, are shorter."""
GAP_NS = 500 * MS
"""Nobody tries again sooner; a recording that starts anew does, and lacks nothing."""
SILENT = "the source gives no sign of life; opening it again"


def run_capture(
    config: LiveConfig, post: Post, stop: Stop, opener: Callable[[], Grabber] | None = None
) -> int:
    """Publish the pictures of a source until told to stop or the recording is over.

    Parameters
    ----------
    opener : opens the source; by its address when None
    """
    kind = "device" if opener else kind_of(config.source)
    hung_ns = HUNG_NS if kind == "device" else LOST_NS
    with publish_frames(config) as frames:
        capture = _Capture(config, post, frames)
        grabbing = Grabbing(
            opener or _opener(config), lossless=kind == "paced", counted=capture.count
        )
        patience_s, wake = 1.0, Wake()
        try:
            while not stop.wanted and not grabbing.drained:
                if grabbing.failed:
                    raise grabbing.failed
                wake.slept_ns()
                hangs = _hangs(grabbing, wake.since_ns, hung_ns)
                if hangs and kind != "paced":  # a recording may pause for long
                    patience_s = 0.0
                    capture.report(grabbing.cause or SILENT)
                    return EXIT_REOPEN
                delivered = grabbing.take(WAIT_S)
                if delivered is not None:
                    capture.take(delivered)
                capture.report(grabbing.cause)
        finally:
            grabbing.close(patience_s)
            capture.close()
    return 0


def _opener(config: LiveConfig) -> Callable[[], Grabber]:
    width, height, rate_hz = config.device or (0, 0, 0.0)
    size_wh = (width, height) if width else None
    options = LiveOptions(loop=config.loop, size_wh=size_wh, rate_hz=rate_hz or None)
    if kind_of(config.source) == "device":
        options = replace(options, silence_s=DEVICE_SILENCE_S)
    return lambda: open_live(config.source, options)


def _hangs(grabbing: Grabbing, awake_ns: int, hung_ns: int) -> bool:
    since_ns = grabbing.waiting_since_ns
    if not since_ns:
        return grabbing.stuck
    return now_ns() - max(since_ns, awake_ns) > (LOST_NS if grabbing.cause else hung_ns)


class _Capture:
    """What lives from picture to picture."""

    def __init__(self, config: LiveConfig, post: Post, frames: Publisher) -> None:
        self._config, self._post, self._frames = config, post, frames
        fd = config.ring
        self._ring = None if fd is None else FrameRing.attach(fd, writing=True)
        self._host = host_id()
        # A capture that was here before left its count: no seq is given twice, no epoch again.
        self._first_seq = self._ring.next_seq if self._ring else 0
        self._epoch = (self._ring.epoch if self._ring else 0) - 1
        self._before = (self._ring.published if self._ring else 0) - 1
        self._judge = CaptureJudge()
        self._opening: Opening | None = None
        self._masking = Masking(on=config.mask)
        self._grabbed = self._published = 0
        self._source, self._lost, self._format = "", OPENING, ""
        self._captured_ns: int | None = None
        self._frozen = False

    def count(self, grabbed: int) -> None:
        """Write down how many pictures there are, taken or not; called by the source's thread."""
        self._grabbed = grabbed
        if self._ring:
            self._ring.next_seq = self._first_seq + grabbed

    def take(self, delivered: Delivered) -> None:
        """Judge a picture, and publish what may leave."""
        seq = self._first_seq + delivered.number
        judged = self._judge.take(delivered.grabbed, self._masking.box_xyxy)
        if delivered.opening is not self._opening or judged.new_format:
            self._begin(delivered, seq, "format changed" if judged.new_format else "")
        elif judged.jumped:
            text = "the source's time went back, leapt, or ceased"
            self._post.note("discontinuity", text, self._epoch, seq)
        if judged.frozen != self._frozen:
            self._frozen = judged.frozen
            self._post.note("frozen" if judged.frozen else "moving again", "", self._epoch, seq)
        self._captured_ns = delivered.grabbed.captured_ns
        looked = self._masking.look(delivered.grabbed)
        if looked == "grown":
            self._begin_epoch("the sector grew, or was found", seq, delivered.place)
        if looked in ("found", "grown"):
            self._announce(delivered.grabbed.pixels)
        if looked != "waiting":
            self._publish(delivered, seq, judged)

    def report(self, cause: str) -> None:
        """Beat; why there is no video goes to the journal too."""
        if cause != self._lost:
            self._lost = cause
            if cause:
                next_seq = self._first_seq + self._grabbed
                self._post.note("no video", cause, max(0, self._epoch), next_seq)
        dropped = self._grabbed - self._published
        counters = {"grabbed": self._grabbed, "published": self._published, "dropped": dropped}
        facts = {"source": self._source, "format": self._format}
        if self._config.mask and self._published and not self._masking.outline:
            facts["unmasked"] = "no sector found; no video or snapshot is kept"
        self._post.beat("down" if cause else "up", cause, counters, facts)

    def close(self) -> None:
        """Let go of the ring; the count of all pictures grabbed stays in it."""
        if self._ring:
            self._ring.close()

    def _begin(self, delivered: Delivered, seq: int, cause: str) -> None:
        """Start an epoch: the source was opened, or its format changed."""
        first = self._epoch < 0
        if not first and delivered.opening is not self._opening:
            cause = ", ".join(filter(None, (self._reopened(delivered), cause)))
        self._begin_epoch(cause or "started", seq, delivered.place)
        if self._ring:
            self._ring.reserve(delivered.grabbed.pixels.nbytes)
        self._opening, self._source = delivered.opening, delivered.opening.info.name
        self._masking.begin(first=first)
        layout = layout_of(delivered.grabbed.pixels)
        self._format = f"{layout.shapes} {layout.matrix} {layout.full_range}"

    def _reopened(self, delivered: Delivered) -> str:
        """Return words for a source that was opened again; the gap is counted in seconds (F14)."""
        gap_ns = delivered.grabbed.captured_ns - (self._captured_ns or 0)
        known = self._captured_ns is not None and gap_ns >= GAP_NS
        return f"reopened after {gap_ns / 1e9:.1f} s without pictures" if known else "reopened"

    def _begin_epoch(self, cause: str, seq: int, index: int) -> None:
        self._epoch += 1
        if self._ring:
            self._ring.epoch = self._epoch + 1
        self._cause, self._began = cause, (seq, index)

    def _announce(self, pixels: Pixels) -> None:
        height, width = pixels.shape_hw
        seq, index = self._began
        self._post.send(
            EpochNote(
                session=self._config.session,
                epoch=self._epoch,
                first_seq=seq,
                first_index=index,
                size_wh=(width, height),
                box_xyxy=self._masking.box_of(pixels),
                outline=self._masking.outline,
                cause=self._cause,
            )
        )

    def _publish(self, delivered: Delivered, seq: int, judged: Judged) -> None:
        grabbed = delivered.grabbed
        pixels = self._masking.apply(grabbed.pixels)
        slot = self._ring.write(seq, pixels) if self._ring else None
        if self._ring:
            self._ring.published = seq + 1
        header = FrameHeader(
            session=self._config.session,
            epoch=self._epoch,
            seq=seq,
            host=self._host,
            captured_ns=grabbed.captured_ns,
            pts_ns=grabbed.pts_ns,
            before=self._before,
            period_ns=judged.period_ns,
            pixels=layout_of(pixels),
            slot=slot,
            damage=grabbed.damage,
            frozen=judged.frozen,
            masked=bool(self._masking.outline),
            source=self._source[:300],
        )
        self._frames.publish(header, () if slot is not None else pixels.planes)
        self._published += 1
        self._before = seq
