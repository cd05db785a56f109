"""Which recordings need eyes first, and why, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from stream.analysis.smooth import UNCERTAIN
from stream.archive.records import Facts, State
from stream.sources.discover import natural_key


class Need(IntEnum):
    """Why a person should look, the most urgent first."""

    FAILED = 0
    UNUSABLE = 1
    PARTIAL = 2
    UNCERTAIN = 3
    CLOSE = 4
    FINDING = 5
    NOTHING = 6
    WAITING = 7
    GONE = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording as the table has it.

    Parameters
    ----------
    path : relative, fit for one line of text
    state, fault, text : see `stream.archive.records.Outcome`
    removed : the recording is no longer in the tree
    session : name of its session folder
    sha256, facts : of a recording that is done
    """

    path: str
    state: State
    fault: str
    text: str
    removed: bool
    session: str
    sha256: str
    facts: Facts | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """An entry with its place in the table and the reason for it."""

    rank: int
    need: Need
    why: str
    entry: Entry


def rank_entries(entries: Iterable[Entry]) -> list[Ranked]:
    """Order recordings by what needs eyes; the same entries give the same order.

    First what nobody has judged (failed, unusable), then what was judged in part, then uncertain
    verdicts, then clips whose strongest evidence lies in the uncertain band about the threshold,
    the closest first, then clips with the finding and the rest, each by falling
    probability. Ties go by the path in natural order.
    """
    judged = sorted(((need_of(entry), entry) for entry in entries), key=_key)
    return [
        Ranked(rank, need, why_words(need, entry), entry)
        for rank, (need, entry) in enumerate(judged, 1)
    ]


def need_of(entry: Entry) -> Need:
    """Return why a person should look at a recording."""
    facts = entry.facts
    if facts is None:
        if entry.removed:
            return Need.GONE
        states = {"failed": Need.FAILED, "unusable": Need.UNUSABLE}
        return states.get(entry.state, Need.WAITING)
    if facts.partial:
        return Need.PARTIAL
    if facts.label == UNCERTAIN or facts.peak is None:
        return Need.UNCERTAIN
    if _distance(facts) < 1:
        return Need.CLOSE
    return Need.FINDING if facts.finding else Need.NOTHING


def why_words(need: Need, entry: Entry) -> str:
    """Return the reason as one line for people."""
    facts = entry.facts
    if facts is None:
        return _words_undone(need, entry)
    peak = "no frame could be judged" if facts.peak is None else f"highest {facts.peak:.2f}"
    words = {
        Need.PARTIAL: f"partial: frames are missing or damaged; {facts.label}",
        Need.UNCERTAIN: f"uncertain: {peak}",
        Need.CLOSE: f"close call: {peak}, threshold {facts.threshold:.2f}; {facts.label}",
        Need.FINDING: f"finding: {facts.label} in {facts.share:.0%} of frames, {peak}",
        Need.NOTHING: f"no finding: {peak}",
    }[need]
    return f"{words}; the recording has been removed" if entry.removed else words


def _words_undone(need: Need, entry: Entry) -> str:
    if need is Need.GONE:
        return "removed before it was analysed"
    if need is Need.WAITING:
        return "not analysed yet"
    mark = f" [{entry.fault}]" if entry.fault else ""
    return f"{entry.state}{mark}: {entry.text}"


def _key(judged: tuple[Need, Entry]) -> tuple[int, float, list[tuple[int, str]], str]:
    need, entry = judged
    facts, inner = entry.facts, 0.0
    if facts is not None and facts.peak is not None:
        inner = _distance(facts) if need is Need.CLOSE else -facts.peak
    return int(need), inner, natural_key(entry.path), entry.path


def _distance(facts: Facts) -> float:
    """Return how far the strongest evidence is from the threshold.

    0 on the threshold, 1 at the edge of the band in which `stream.analysis.smooth` calls a frame
    uncertain: threshold - margin to threshold + margin, each edge at most half way to 0 or 1.
    """
    assert facts.peak is not None
    t, above = facts.threshold, facts.peak >= facts.threshold
    width = min(facts.margin, (1 - t) / 2) if above else min(facts.margin, t / 2)
    return round(abs(facts.peak - t) / max(width, 1e-9), 6)
