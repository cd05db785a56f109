"""What can be chosen about a live source."""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import UsageError


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Choices and time limits of a live source; each kind of source takes what concerns it.

    Parameters
    ----------
    loop : recordings start again at their end
    stream_index : stream of a recording with several videos, counted over all its streams
    size_wh, rate_hz : wanted of a device; its own when None
    pixel_format : four letters such as "MJPG", wanted of a device; its own when empty
    open_s : longest wait for an open source
    silence_s : longest wait for the next data; then the source counts as lost
    picture_s : longest wait for a picture while data come, such as for a key frame

    Raises
    ------
    UsageError
        C06 if a limit is not positive or a pixel format has not four letters.
    """

    loop: bool = False
    stream_index: int | None = None
    size_wh: tuple[int, int] | None = None
    rate_hz: float | None = None
    pixel_format: str = ""
    open_s: float = 5.0
    silence_s: float = 2.0
    picture_s: float = 10.0

    def __post_init__(self) -> None:
        limits = {"open_s": self.open_s, "silence_s": self.silence_s, "picture_s": self.picture_s}
        for name, value in limits.items():
            if not 0 < value < 3600:
                raise UsageError(name, f"{value:g} s", "give 0 to 3600 seconds", fault="C06")
        if self.pixel_format and (len(self.pixel_format) != 4 or not self.pixel_format.isascii()):
            remedy = "give four letters such as MJPG; `stream devices` lists them"
            raise UsageError("pixel format", repr(self.pixel_format), remedy, fault="C06")
