"""Verify: run a session again and compare everything, byte for byte."""

from __future__ import annotations

import tempfile
from pathlib import Path

from engines.load import load_model
from engines.open import open_engine
from stream.replay import Job, replay_clip
from stream.session.journal import first_difference
from stream.session.ledger import balances
from stream.session.manifest import JOURNAL, Manifest, file_digests, read_manifest
from stream.sources.nursery import Nursery


def verify_session(folder: Path) -> list[str]:
    """Return what is wrong with a session, one line each; empty when it stands.

    Checks the digest of every file against the manifest, analyses the input again with the same
    model, engine and settings, and compares the journals row by row (timing columns aside) and
    the reports byte for byte.

    Raises
    ------
    StorageError, SourceError, EngineError
        If the session, its input or its model cannot be opened.
    """
    manifest = read_manifest(folder)
    findings = _changed_files(folder, manifest)
    if not manifest.complete:
        findings.append("the session was interrupted: the journal ends early")
    if not balances(manifest.ledger):
        findings.append(f"the ledger does not balance: {manifest.ledger}")
    model = load_model(Path(manifest.model.path))
    if model.digest != manifest.model.digest:
        return [
            *findings,
            f"model {model.name} has digest {model.digest}, recorded {manifest.model.digest}",
        ]
    with Nursery() as nursery, tempfile.TemporaryDirectory(prefix="sonostream-verify-") as scratch:
        engine = open_engine(model, manifest.model.engine)
        try:
            job = Job(
                engine,
                Path(manifest.model.path),
                manifest.config,
                manifest.input.stream_index,
                nursery,
            )
            again = replay_clip(manifest.input.uri, job, Path(scratch), lambda source: None)
        finally:
            engine.close()
        return findings + _compare(folder, manifest, again.folder, again.manifest)


def _changed_files(folder: Path, manifest: Manifest) -> list[str]:
    present = file_digests(folder)
    changed = [name for name, digest in manifest.files.items() if present.get(name) != digest]
    added = sorted(present.keys() - manifest.files.keys())
    return [f"{name}: changed or missing since it was sealed" for name in changed] + [
        f"{name}: not part of the session" for name in added
    ]


def _compare(folder: Path, manifest: Manifest, again_folder: Path, again: Manifest) -> list[str]:
    findings = []
    if again.input.info.sha256 != manifest.input.info.sha256:
        findings.append(f"input {manifest.input.info.name}: changed since it was analysed")
    row = first_difference(folder / JOURNAL, again_folder / JOURNAL)
    if row:
        findings.append(f"{JOURNAL}: {row}")
    if again.versions == manifest.versions:
        findings += [
            f"{name}: differs from the report made again"
            for name, digest in again.files.items()
            if name != JOURNAL and manifest.files.get(name) != digest
        ]
    return findings
