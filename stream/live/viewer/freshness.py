"""The freshness rule: what may be drawn now. Pure; the viewer asks it on its own timer.

Class, score and saliency are drawn only while the newest result of the current epoch is fresh;
otherwise none of them, and a banner says why. Video is drawn whenever there is any.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stream.clock import MS
from stream.live.wire.messages import FrameHeader, ResultHeader, Role, RoleStatus, Status

Level = Literal["alarm", "warning", "note"]

DEFAULT_FRESHNESS_MS, MAX_FRESHNESS_MS = 250, 1000
UNKNOWN_PERIOD_NS = 40 * MS
LOST_NS = 2000 * MS
"""Without word from a supervisor, video that stalls for so long counts as gone."""
FORMAT_SHOWN_NS = 3000 * MS
EARLY_NS = 5 * MS
"""A result may seem to come from the future by so little: clocks of two hosts are matched."""

_IMAGE_BANNERS = {
    "no_signal": "NO SIGNAL",
    "uniform": "NO SIGNAL",
    "not_ultrasound": "NOT AN IMAGE",
    "damaged": "DAMAGED PICTURE",
}


@dataclass(frozen=True, slots=True)
class Banner:
    """Words over the picture: what is wrong, and more about it."""

    title: str
    cause: str
    level: Level


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest of each kind that a viewer has.

    Parameters
    ----------
    frame, result : of the session shown; None before the first
    frame_ns, result_ns : their capture on the viewer's own clock
    status : of the supervisor, None where roles run apart
    format_changed_ns : when pictures of another size began to come, or None
    """

    frame: FrameHeader | None = None
    frame_ns: int = 0
    result: ResultHeader | None = None
    result_ns: int = 0
    status: Status | None = None
    format_changed_ns: int | None = None


@dataclass(frozen=True, slots=True)
class View:
    """What may be drawn.

    Parameters
    ----------
    current : class, score and saliency of the newest result may be drawn
    live : the picture is of now
    banners : the most important first
    """

    current: bool
    live: bool
    banners: tuple[Banner, ...]


def judge(now_ns: int, newest: Newest, freshness_ns: int) -> View:
    """Return what may be drawn at `now_ns` of the viewer's clock."""
    video = _video_banner(now_ns, newest)
    fresh = video is None and _is_fresh(now_ns, newest, freshness_ns)
    withdrawn = _role(newest, "worker", "withdrawn")
    believed = newest.result is not None and newest.result.state == "ok"
    current = fresh and believed and not withdrawn
    found = [video, None if video else _ai_banner(newest, fresh), *_side_banners(now_ns, newest)]
    return View(current, video is None, tuple(banner for banner in found if banner))


def stalled_after_ns(period_ns: int) -> int:
    """Return how old the newest frame may be before video counts as stalled."""
    period_ns = period_ns or UNKNOWN_PERIOD_NS
    return max(3 * period_ns, period_ns + 150 * MS)


def _is_fresh(now_ns: int, newest: Newest, freshness_ns: int) -> bool:
    frame, result = newest.frame, newest.result
    if frame is None or result is None:
        return False
    if (result.session, result.epoch) != (frame.session, frame.epoch):
        return False
    return -EARLY_NS <= now_ns - newest.result_ns <= freshness_ns


def _status(newest: Newest, role: Role) -> RoleStatus | None:
    return newest.status.roles.get(role) if newest.status else None


def _role(newest: Newest, role: Role, fact: str) -> str:
    status = _status(newest, role)
    return status.facts.get(fact, "") if status else ""


def _video_banner(now_ns: int, newest: Newest) -> Banner | None:
    capture = _status(newest, "capture")
    cause = capture.cause if capture else ""
    if capture is not None and capture.standing in ("down", "off"):
        return Banner("NO VIDEO", cause, "alarm")
    if capture is not None and capture.standing == "starting" and capture.restarts:
        return Banner("NO VIDEO", cause or "capture starts again", "alarm")
    if newest.frame is None:
        return Banner("NO VIDEO", cause or "waiting for the first frame", "alarm")
    age_ns = now_ns - newest.frame_ns
    if age_ns <= stalled_after_ns(newest.frame.period_ns):
        return None
    if capture is None and age_ns > LOST_NS:
        return Banner("NO VIDEO", f"nothing for {age_ns / 1e9:.0f} s", "alarm")
    return Banner("VIDEO STALLED", f"last frame {age_ns / 1e9:.1f} s ago", "alarm")


def _ai_banner(newest: Newest, fresh: bool) -> Banner | None:
    worker = _status(newest, "worker")
    cause = worker.cause if worker else ""
    if worker is not None and worker.standing == "off":
        return Banner("AI OFF", cause, "alarm")
    if withdrawn := _role(newest, "worker", "withdrawn"):
        return Banner("AI WITHDRAWN", withdrawn, "alarm")
    if not fresh:
        if worker is not None and worker.standing == "starting" and newest.result is None:
            return Banner("AI STARTING", cause, "note")
        return Banner("AI DOWN", cause or "no fresh result", "alarm")
    assert newest.result is not None
    title = _IMAGE_BANNERS.get(newest.result.state)
    if title is not None:
        return Banner(title, newest.result.reason, "warning")
    if newest.result.state != "ok":
        return Banner("NO RESULT", newest.result.reason, "warning")
    return None


def _side_banners(now_ns: int, newest: Newest) -> list[Banner]:
    banners = []
    if newest.frame is not None and newest.frame.frozen:
        banners.append(Banner("IMAGE FROZEN", "the scanner sends one picture", "note"))
    changed_ns = newest.format_changed_ns
    if changed_ns is not None and now_ns - changed_ns <= FORMAT_SHOWN_NS:
        banners.append(Banner("FORMAT CHANGED", "pictures of another size", "warning"))
    if unmasked := _role(newest, "capture", "unmasked"):
        banners.append(Banner("NOT MASKED", unmasked, "warning"))
    if throttled := _role(newest, "worker", "throttled"):
        banners.append(Banner("THROTTLED", throttled, "warning"))
    recorder = _status(newest, "recorder")
    if recorder is not None and recorder.standing != "starting":
        if recorder.standing != "up":
            banners.append(Banner("RECORDING STOPPED", recorder.cause, "alarm"))
        elif alarm := recorder.facts.get("alarm", ""):
            banners.append(Banner("DISK", alarm, "alarm"))
        elif warning := recorder.facts.get("warning", ""):
            banners.append(Banner("DISK", warning, "warning"))
    return banners
