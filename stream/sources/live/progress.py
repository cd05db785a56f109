"""Whether a source makes progress, judged by its own time and by nothing else."""

from __future__ import annotations


def is_new_buffer(before_ns: int | None, stamp_ns: int) -> bool:
    """Tell whether a buffer is another one than the buffer before (F12).

    A driver may report success and hand out the same buffer again. A time that goes back or leaps
    belongs to a new buffer (F19). A source without a clock, which stamps 0, is believed.

    Parameters
    ----------
    before_ns : stamp of the buffer before, or None
    stamp_ns : stamp of this buffer
    """
    return before_ns is None or stamp_ns <= 0 or stamp_ns != before_ns
