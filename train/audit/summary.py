"""The audit in a few lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from train.audit.content import Audit, CopyCount
from train.audit.hidden import Hidden

SIZES = 3


def summarise_audit(audit: Audit) -> str:
    """Return the audit as plain text, problems last."""
    return "\n".join(map(printable, _lines(audit)))


def printable(text: str) -> str:
    """Return text on one line in which "?" stands for control and direction marks."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def _lines(audit: Audit) -> Iterator[str]:
    yield f"{audit.place}: {audit.files} files, {audit.frames} frames; {_counts(audit.classes)}"
    for part in audit.parts:
        share = f"{part.copied} of {part.frames} have a copy in another {part.column}"
        yield f"{part.title}: {_counts(part.classes)}; {share}"
    yield f"byte copies: {describe_copies(audit.byte_copies)}"
    yield f"near copies: {describe_copies(audit.near_copies)}"
    sizes = [f"{size} ({count})" for size, count in audit.sizes.items()]
    more = f" and {len(sizes) - SIZES} more" if len(sizes) > SIZES else ""
    yield f"sizes: {', '.join(sizes[:SIZES])}{more}"
    for name, spread in audit.brightness.items():
        yield f"brightness of {name}: {spread.median:.0f} ({spread.low:.0f} to {spread.high:.0f})"
    yield f"burned-in text: {describe_text(audit)}"
    yield from (f"polarity: {said}" for said in audit.polarity)
    if audit.hidden:
        yield f"random split: {describe_hidden(audit.hidden)}"
    yield count_problems(audit) + (":" if audit.problems else "")
    yield from (f"- {problem}" for problem in audit.problems)


def count_problems(audit: Audit) -> str:
    """Return the number of problems in words."""
    count = len(audit.problems)
    return f"{count} problem" if count == 1 else f"{count} problems"


def describe_copies(count: CopyCount) -> str:
    """Return the number of copies in words."""
    return f"{count.pairs} pairs of {count.frames} frames, {count.opposite} with different labels"


def describe_text(audit: Audit) -> str:
    """Return where text was found, in words."""
    found = f"{audit.text.frames} frames ({100 * audit.text.share:.1f} %)"
    return f"{found}: {_counts(audit.text.where)}" if audit.text.where else found


def describe_hidden(hidden: Hidden) -> str:
    """Return what a random split hides, in words."""
    alone, together = hidden.random_split, hidden.group_split
    return (
        f"{100 * hidden.share_with_copy:.0f} % of a random 20 % test part would have a copy in "
        f"training. Looking up the nearest thumbnail is right in {100 * alone.accuracy:.0f} % of "
        f"frames (balanced {100 * alone.balanced_accuracy:.0f} %) after a random split, in "
        f"{100 * together.accuracy:.0f} % (balanced {100 * together.balanced_accuracy:.0f} %) when "
        f"the {hidden.groups} groups are kept whole; always naming the most frequent class gives "
        f"{100 * hidden.majority:.0f} %"
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
