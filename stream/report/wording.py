"""Words and numbers as people read them, the same in every format of the report."""

from __future__ import annotations

from collections.abc import Mapping

from stream.report.content import KeyFrame

NOT_A_DEVICE = "Not a medical device"
SCALE_MEANING = (
    "Saliency shows how much each place adds to the score of the class shown; "
    "1 is the model's full scale, the same for every frame of the run."
)
EXPLAINED_MEANING = (
    "Integrated gradients: how much each pixel changed the score of the class shown, from even "
    "grey to this picture; one pixel in 200 of the key frames reaches 1."
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
}


def printable(text: str) -> str:
    r"""Show control, direction and undecodable characters as escapes such as ``\n``."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


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
