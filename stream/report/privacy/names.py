"""Takes the names of files out of a report."""

from __future__ import annotations

import re
from dataclasses import replace

from stream.report.content import ReportContent

_SHA256 = re.compile(r"[0-9a-f]{64}")


def neutral_name(content: ReportContent) -> str:
    """Return a name that says nothing about the patient: eight digits of the clip's digest."""
    digest = content.source.get("SHA-256", "")
    return f"clip-{digest[:8]}" if _SHA256.fullmatch(digest) else "clip"


def without_names(content: ReportContent) -> ReportContent:
    """Return the content with a neutral clip name.

    A line about the input ends at its first colon: after it the names of files may stand.
    """
    new = neutral_name(content)
    lines = (line.partition(": ")[0] for line in content.problems)
    return replace(
        content,
        clip_name=new,
        source={**content.source, "File": new},
        problems=tuple(line.replace(content.clip_name, new) for line in lines),
    )
