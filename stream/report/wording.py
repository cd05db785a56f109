"""Words and numbers as people read them, the same in every format of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from stream.report.content import KeyFrame, ReportContent
from stream.report.scale_bar import ScaleBar

NOT_A_DEVICE = "Not a medical device"
SCALE_MEANING = (
    "Saliency shows how much each place adds to the score of the class shown; "
    "1 is the model's full scale, the same for every frame of the run."
)
EXPLAINED_MEANING = (
    "Integrated gradients: how much each pixel changed the score of the class shown, from even "
    "grey to this picture; one pixel in 200 of the key frames reaches 1."
)
ORIGINAL, SALIENCY, GRADIENTS = "Original", "Saliency", "Integrated gradients"
SHARE = "Share of valid frames behind the verdict"
FINDING, THRESHOLD = "Finding looked for", "Threshold on its probability"
LEDGER = "Every frame accounted for"
NO_KEY_FRAME = "No frame could be kept: none was valid."
NO_PROBABILITY = "No frame has a probability"
BAR_WORDS = "Colour scale of the saliency: plain grey tissue at 0, violet, orange, yellow at 1"
VERDICT_RULE = (
    "A label changes only after the smoothed probability has held across the threshold, so a frame "
    "may lie above it under another label."
)
METHOD = (
    "Every frame passes a gate first: what is empty, uniform, damaged or not an ultrasound image "
    "is counted and has no part in the verdict.",
    "The model gives each remaining frame a calibrated probability for every class. These are "
    "averaged over time. The label of a frame changes only after the average has held on the "
    "other side of the threshold; near the threshold a frame is uncertain.",
    "The verdict is the finding where enough of the valid frames show it (verdict_share among the "
    "settings); otherwise it is the label that most of them carry, uncertain included.",
    "Key frames are chosen for a high score and for being unlike each other in time and in "
    "appearance. The score and what it is made of are given with each.",
    SCALE_MEANING,
)

_STATES = {
    "ok": "usable",
    "no_signal": "no signal",
    "uniform": "uniform picture",
    "not_ultrasound": "not an ultrasound image",
    "failed_infer": "model gave no answer",
    "withdrawn": "answer withdrawn: the engine failed its known-answer probe, or its device failed",
    "damaged": "damaged in the recording",
    "skipped": "left out by --every",
    "capture_drop": "not let out by capture",
    "transport_gap": "lost before the model",
    "skipped_by_policy": "passed over on purpose",
}


def printable(text: str) -> str:
    r"""Show control, direction and undecodable characters as escapes such as ``\n``."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def percent(share: float, decimals: int = 0) -> str:
    """Write a share in [0, 1] as the reports do: ``"59%"``."""
    return f"{share:.{decimals}%}"


def state_words(state: str) -> str:
    """Return the words for a frame state or the name of a loss."""
    return _STATES.get(state, state.replace("_", " "))


def place_words(key: KeyFrame) -> str:
    """Say where in the clip a key frame is: ``"6.20 s · frame 186"``, or the frame alone."""
    time = "" if key.time_s is None else f"{key.time_s:.2f} s · "
    return f"{time}frame {key.seq}"


def score_words(key: KeyFrame) -> str:
    """Say the score and its parts: ``"Score 0.912 (probability 0.97, quality 0.94)"``."""
    parts = ", ".join(f"{state_words(name)} {part:.2f}" for name, part in key.score_parts.items())
    return f"Score {key.score:.3f} ({parts})" if parts else f"Score {key.score:.3f}"


def axis_words(content: ReportContent) -> str:
    """Say what the time axis counts."""
    if not content.timeline.has_time:
        return "frame number (the source has no clock)"
    return "seconds since the start of the session" if content.live else "time in the clip, seconds"


def kind_words(content: ReportContent) -> str:
    """Say what was analysed: a clip, or a live session."""
    return "session" if content.live else "clip"


def timeline_words(content: ReportContent) -> str:
    """Say in one sentence what the timeline shows."""
    line = content.timeline
    values = line.smoothed[:, content.classes.index(content.positive_class)]
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return f"{NO_PROBABILITY}."
    best = known[np.argmax(values[known])]
    above = int(np.count_nonzero(values[known] >= content.threshold))
    place = f"{line.time_s[best]:.2f} s" if line.has_time else f"frame {line.seq[best]}"
    return (
        f"The smoothed probability of {printable(content.positive_class)} peaks at "
        f"{values[best]:.2f} ({place}) and is at or above the threshold of "
        f"{content.threshold:.2f} in {above} of {known.size} frames."
    )


def point_words(content: ReportContent, index: int, count: int) -> str:
    """Say time, label and probability of a frame: ``"0.40 s · frame 10 · normal · 0.12"``.

    Parameters
    ----------
    index : of the frame in the timeline
    count : frames that share its place in the drawing, of which it has the highest probability
    """
    line, column = content.timeline, content.classes.index(content.positive_class)
    time = f"{line.time_s[index]:.2f} s · " if line.has_time else ""
    state = line.label[index] if line.state[index] == "ok" else state_words(line.state[index])
    raw, smoothed = float(line.probs[index, column]), float(line.smoothed[index, column])
    words = f"{time}frame {line.seq[index]} · {printable(state or 'no label')}"
    if math.isfinite(raw) and math.isfinite(smoothed):
        name = printable(content.positive_class)
        words += f" · {name} {raw:.2f}, smoothed {smoothed:.2f}"
    return words if count == 1 else f"{words} · highest of {count} frames"


def bar_words(bar: ScaleBar) -> str:
    """Say what a scale bar stands for; rows may be further apart than columns."""
    return f"{bar.length_mm} mm" if bar.square else f"{bar.length_mm} mm across"


def mark_words(content: ReportContent) -> tuple[str, ...]:
    """Return what stands beside the verdict in capitals, if anything."""
    marks = {
        "PARTIAL": content.partial,
        "FORCED ENGINE": bool(content.engine_warning),
        "WORKING COPY": content.working_copy,
    }
    return tuple(name for name, holds in marks.items() if holds)


def problems_title(content: ReportContent) -> str:
    """Return the heading over the problems."""
    if not content.partial:
        return "Warnings about the input"
    if content.live:
        return "Partial: frames or results of the session are missing"
    return "Partial: frames of the input are missing or damaged"


def verdict_on(balances: bool) -> str:
    """Say whether the ledger balances."""
    return "balances" if balances else "DOES NOT BALANCE"


def balance_words(ledger: Mapping[str, int]) -> tuple[str, bool]:
    """Write the ledger as a sum and say whether it balances.

    Returns
    -------
    the sum in words, and whether "grabbed" equals all other counts together
    """
    grabbed = ledger.get("grabbed", 0)
    others = {name: count for name, count in ledger.items() if name != "grabbed"}
    terms = " + ".join(f"{state_words(name)} {count}" for name, count in others.items() if count)
    gap = grabbed - sum(others.values())
    if gap:
        return f"grabbed {grabbed} ≠ {terms or 0}: {gap:+d} unaccounted for", False
    return f"grabbed {grabbed} = {terms or 0}", True
