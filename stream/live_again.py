"""The body of `stream replay SESSION --verify`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from stream import console
from stream.errors import StorageError, UsageError
from stream.session.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from stream.live.recorder.again import Again

SHOWN = 20


def verify_live(folders: Sequence[Path], cache: Path | None, *, json: bool) -> int:
    """Compare the decisions of live sessions with those of a second analysis, and say so.

    Parameters
    ----------
    folders : session folders
    cache : folder of compiled engines, the user's own when None

    Returns
    -------
    0 when every decision is the same, else the status for a session that does not stand

    Raises
    ------
    UsageError
        If a folder holds no live session.
    """
    from stream.verify import again_live

    found = {}
    for folder in folders:
        manifest = read_manifest(folder)
        if manifest.live is None:
            remedy = "use `stream verify` for a replay"
            raise UsageError(str(folder), "is no live session", remedy)
        found[folder] = again_live(manifest, folder, cache)
        if not json:
            _show(folder, manifest, found[folder])
    if json:
        console.show_json({str(key): msgspec.to_builtins(again) for key, again in found.items()})
    differs = any(again.differences for again in found.values())
    return StorageError.exit_code if differs else 0


def _show(folder: Path, manifest: Manifest, again: Again) -> None:
    same = again.compared - len(again.differences)
    console.say(f"{folder}: {same} of {again.compared} decisions are the same")
    for line in again.differences[:SHOWN]:
        console.fail(line)
    if again.left_out:
        console.say(f"{again.left_out} frames failed, were withdrawn or not recorded; not compared")
    total = sum(loss.last_seq - loss.first_seq + 1 for loss in again.lost)
    console.say(f"{total} of {manifest.ledger['grabbed']} frames were not analysed live:")
    for loss in again.lost:
        console.say(f"  {loss.first_seq} to {loss.last_seq}: {loss.name}, {loss.reason}")
