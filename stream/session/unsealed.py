"""Live sessions that nobody sealed: the recorder or the whole machine went down (F30, F32)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec

from stream.analysis.verdict import judge_clip
from stream.session.journal import damage_of, open_reading
from stream.session.live_journal import count_labels, count_ledger, settled_until
from stream.session.manifest import JOURNAL, Manifest

UNSEALED = "[F30] the session was not sealed; what its journal holds was synced before the end"


def settle_unsealed(folder: Path, manifest: Manifest, grabbed: int = 0) -> Manifest:
    """Return the manifest with ledger and verdict of what the journal holds; write nothing.

    Parameters
    ----------
    folder : session folder
    manifest : of that session; one that was sealed is returned as it is
    grabbed : how many frames were grabbed, where somebody still knows

    Raises
    ------
    StorageError
        If the journal cannot be read.
    """
    if UNSEALED not in manifest.problems:
        return manifest
    with open_reading(folder / JOURNAL) as db:
        count = max(grabbed, settled_until(db))
        ledger, labels, damage = count_ledger(db, count), count_labels(db), damage_of(db)
    problems = [*manifest.problems, f"[F30] it ends at frame {count - 1}"]
    if damage:
        rows = ", ".join(f"{n} of {table}" for table, n in damage.items())
        problems.append(f"[F30] damaged rows were left out: {rows}")
    return msgspec.structs.replace(
        manifest,
        problems=tuple(dict.fromkeys(problems)),  # it may have been settled before
        ledger=ledger,
        verdict=judge_clip(Counter(labels), count, manifest.model.spec, manifest.config),
    )
