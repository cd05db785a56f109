"""When each DICOM frame was taken, exactly, in integer nanoseconds."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from stream.sources.dicom_values import Values

_PERIOD_MS = (Fraction(1, 100), Fraction(60_000))
_NS_PER_MS = 1_000_000
_RATE_KEYWORDS = ("CineRate", "RecommendedDisplayFrameRate")


@dataclass(frozen=True, slots=True)
class Clock:
    """Places in the clip.

    Parameters
    ----------
    times_ns : one per frame, starting at 0; None when the file has no usable clock
    rate_hz : mean rate, or None
    """

    times_ns: tuple[int, ...] | None
    rate_hz: float | None

    def pts_ns(self, index: int) -> int | None:
        """Return the place of a frame, or None without a clock."""
        return None if self.times_ns is None else self.times_ns[index]


def read_clock(values: Values, frames: int) -> Clock:
    """Read the clock from FrameTime, else FrameTimeVector, else a frame rate.

    A period outside 0.01 ms to 60 s is no clock.

    Parameters
    ----------
    values : raw values of the header
    frames : number of frames present

    References
    ----------
    DICOM PS3.3 section C.7.6.5 (Cine): (0018,1063), (0018,1065), (0018,0040), (0008,2144).
    """
    periods = _periods_ms(values, frames)
    if periods is None:
        return Clock(None, None)
    times, elapsed = [], Fraction(0)
    for period in [Fraction(0), *periods[: frames - 1]]:
        elapsed += period
        times.append(round(elapsed * _NS_PER_MS))
    return Clock(tuple(times), float(1000 * len(periods) / sum(periods)))


def _periods_ms(values: Values, frames: int) -> list[Fraction] | None:
    """Return the times from each frame to the next, at least one, or None."""
    gaps = max(frames - 1, 1)
    if (period := _period_ms(values.decimals("FrameTime"))) is not None:
        return [period] * gaps
    vector = [_period_ms((text,)) for text in values.decimals("FrameTimeVector")[1:frames]]
    known = [period for period in vector if period is not None]
    if len(known) == len(vector) == frames - 1 > 0:
        return known
    for keyword in _RATE_KEYWORDS:
        rates = values.decimals(keyword)
        rate = Fraction(rates[0]) if rates else Fraction(0)
        period = 1000 / rate if rate > 0 else None
        if period is not None and _PERIOD_MS[0] <= period <= _PERIOD_MS[1]:
            return [period] * gaps
    return None


def _period_ms(texts: tuple[str, ...]) -> Fraction | None:
    period = Fraction(texts[0]) if texts else Fraction(0)
    return period if _PERIOD_MS[0] <= period <= _PERIOD_MS[1] else None
