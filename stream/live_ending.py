"""How `stream live` ends: report, exit status, and what the user is told."""

from __future__ import annotations

import shutil
from pathlib import Path

from engines.errors import EngineError
from stream import console
from stream.live.supervisor.supervisor import Ending
from stream.recording import PARTIAL
from stream.replay import finish
from stream.session.manifest import JOURNAL, MANIFEST, Manifest, read_manifest, write_manifest
from stream.session.unsealed import settle_unsealed

INTERRUPTED = 128
REFUSED = frozenset({2, 3, 5, 6})
"""Statuses with which a session never began: nothing of it is kept."""


def close_session(folder: Path, ending: Ending, grabbed: int, *, report: bool, json: bool) -> int:
    """Write the report unless the user is in a hurry; say how the session ended.

    Parameters
    ----------
    grabbed : how many frames were grabbed, for a session that its recorder could not seal
    report : it is wanted

    Returns
    -------
    status for the shell

    Raises
    ------
    StorageError
        If the report cannot be written; the session stays sealed.
    """
    if not (folder / MANIFEST).exists():
        return _close_empty(folder, ending)
    found = read_manifest(folder)
    manifest = settle_unsealed(folder, found, grabbed)
    if manifest != found:
        write_manifest(folder, manifest)
    hurried = ending.status >= INTERRUPTED
    if report and not hurried:
        manifest = finish(folder, manifest)
    if ending.status and not hurried:
        _fail(ending.cause or manifest.verdict.text)
    _show(folder, manifest, ending, json=json)
    return ending.status or (PARTIAL if manifest.partial else 0)


def _close_empty(folder: Path, ending: Ending) -> int:
    """No model has answered: say why; keep journal and log unless nothing ever began."""
    kept = ending.status not in REFUSED and (folder / JOURNAL).exists()
    if kept:
        cause = ending.trouble or ending.cause
        _fail(f"no frame was analysed: {cause}; journal and log are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
        _fail(ending.cause or "no frame was analysed")
    return ending.status or EngineError.exit_code


def _fail(cause: str) -> None:
    console.fail(cause if cause.startswith("error") else f"error live: {cause}")


def _show(folder: Path, manifest: Manifest, ending: Ending, *, json: bool) -> None:
    if json:
        console.show_json(
            {
                "session": str(folder),
                "ended": ending.cause,
                "partial": manifest.partial,
                "problems": manifest.problems,
                "ledger": manifest.ledger,
                "verdict": manifest.verdict.text,
            }
        )
        return
    console.say(f"{ending.cause}: {manifest.verdict.text}")
    for problem in manifest.problems:
        console.warn(f"PARTIAL: {problem}")
    ledger = ", ".join(f"{name} {count}" for name, count in manifest.ledger.items() if count)
    console.say(f"ledger: {ledger}")
    page = folder / "report" / "index.html"
    console.say(f"report: {page}" if page.exists() else f"report: run `stream report {folder}`")
