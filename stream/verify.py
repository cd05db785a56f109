"""Verify: run a session again and compare everything, byte for byte."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engines.cache import open_cache
from engines.choose import Chosen, Wanted, choose_engine
from engines.errors import EngineError, SonostreamError
from engines.load import Model, load_model
from stream import console
from stream.errors import StreamError
from stream.explain import open_explainer
from stream.exports import EXPORTS, digest_again, digest_report, read_exports
from stream.job import Job, model_used
from stream.replay import REPORT, replay_clip
from stream.report.write import DEFAULT
from stream.session.compare import first_difference
from stream.session.content import read_content
from stream.session.journal import count_rows
from stream.session.ledger import balances
from stream.session.manifest import (
    JOURNAL,
    MANIFEST,
    Manifest,
    ModelUsed,
    file_digests,
    read_manifest,
)
from stream.sources.nursery import Nursery

if TYPE_CHECKING:
    from stream.live.recorder.again import Again

UNCOMPARED = frozenset({"created", "files"})
INTERRUPTED = "it was interrupted, its journal ends early and it has no report"


def verify_session(folder: Path, cache: Path | None = None) -> list[str]:
    """Return what is wrong with a session, one line each; empty when it stands.

    Checks the digest of every file against the manifest, analyses the input again with the same
    model, engine and settings, and compares the journals row by row (timing columns aside) and
    the reports byte for byte, those of `stream report` under the protection that it noted down.
    DICOM objects are compared with their digests alone, since the session does not know whose
    they are.

    Parameters
    ----------
    cache : folder of compiled engines, the user's own when None

    Raises
    ------
    StorageError, SourceError, EngineError
        If the session, its input or its model cannot be opened.
    """
    manifest = read_manifest(folder)
    if not manifest.complete:
        ended = f"the session is not complete: {'; '.join(manifest.problems) or INTERRUPTED}"
        return [ended, *(_changed_files(folder, manifest) if manifest.files else ())]
    if not manifest.files:
        return ["the session was never sealed: its report was not finished"]
    findings = _changed_files(folder, manifest)
    if not balances(manifest.ledger):
        findings.append(f"the ledger does not balance: {manifest.ledger}")
    try:
        if manifest.live is not None:
            findings += _compare_reports(folder, manifest, folder, manifest)
        return findings + _run_again(folder, manifest, cache)
    except SonostreamError as error:  # what is known to be wrong is said all the same
        if not findings:
            raise
        return [*findings, str(error)]


def _run_again(folder: Path, manifest: Manifest, cache: Path | None) -> list[str]:
    """Return what a second analysis gives otherwise."""
    count_rows(folder / JOURNAL)
    if manifest.live is not None:
        return list(again_live(manifest, folder, cache).differences)
    model = load_model(Path(manifest.model.path))
    if model.digest != manifest.model.digest:
        return [f"model {model.name} has digest {model.digest}, recorded {manifest.model.digest}"]
    with Nursery() as nursery, tempfile.TemporaryDirectory(prefix="sonostream-verify-") as scratch:
        chosen = _choose_again(manifest, model, cache)
        try:
            job = Job(
                chosen.engine,
                _as_recorded(model_used(chosen, model, Path(manifest.model.path)), manifest),
                manifest.config,
                manifest.input.stream_index,
                nursery,
                explain=open_explainer(model, manifest.explain),
            )
            again = replay_clip(manifest.input.uri, job, Path(scratch), lambda source: None)
        finally:
            chosen.engine.close()
        return _compare(folder, manifest, again.folder, again.manifest)


def again_live(manifest: Manifest, folder: Path, cache: Path | None = None) -> Again:
    """Analyse the frames that a live session analysed once more.

    Raises
    ------
    SourceError, EngineError, StorageError
        As `stream.live.recorder.again.analyse_again`, or if the model is not the one of then.
    """
    from stream.live.recorder.again import analyse_again

    model = load_model(Path(manifest.model.path))
    if model.digest != manifest.model.digest:
        problem = f"digest {model.digest}, recorded {manifest.model.digest}"
        raise EngineError(model.name, problem, fault="M08")
    engine = _choose_again(manifest, model, cache).engine
    try:
        return analyse_again(folder, manifest, engine)
    finally:
        engine.close()


def _choose_again(manifest: Manifest, model: Model, cache: Path | None) -> Chosen:
    """Open the engine that answered then, by name and precision."""
    used = manifest.model.engine
    forced = used.standing == "forced"
    wanted = Wanted(used.name, used.precision, force=forced, made_from=used.model_digest)
    return choose_engine(model, open_cache(cache), wanted, console.warn)


def _as_recorded(used: ModelUsed, manifest: Manifest) -> ModelUsed:
    """Say of the engine what was known of it then; compiling and judging since changes no result.

    An engine that stands rejected now, and was not forced then, does not open at all.
    """
    then = manifest.model.engine
    engine = msgspec.structs.replace(
        used.engine, standing=then.standing, reason=then.reason, missed=then.missed
    )
    return msgspec.structs.replace(used, engine=engine)


def _changed_files(folder: Path, manifest: Manifest) -> list[str]:
    present = file_digests(folder)
    changed = [name for name, digest in manifest.files.items() if present.get(name) != digest]
    added = sorted(present.keys() - manifest.files.keys())
    return [f"{name}: changed or missing since it was sealed" for name in changed] + [
        f"{name}: not part of the session" for name in added
    ]


def _compare(folder: Path, manifest: Manifest, again_folder: Path, again: Manifest) -> list[str]:
    findings = _compare_manifests(manifest, again)
    row = first_difference(folder / JOURNAL, again_folder / JOURNAL)
    if row:
        findings.append(f"{JOURNAL}: {row}")
    return findings + _compare_reports(folder, manifest, again_folder, again)


def _compare_reports(
    folder: Path, manifest: Manifest, again_folder: Path, again: Manifest
) -> list[str]:
    """Name each file of a report that is not the one made from the journal in `again_folder`.

    What was never written, or was taken away by an export, cannot differ.
    """
    made, findings = dict(again.files), list[str]()
    try:
        exports = read_exports(folder)
        if again.live is not None:
            own = DEFAULT - exports.keys()
            made |= digest_report(read_content(again_folder, again), own)
        made = {name: digest for name, digest in made.items() if name in manifest.files}
        made |= digest_again(again_folder, again, exports)
    except StreamError as error:
        findings.append(f"{REPORT}/{EXPORTS}: {error}")
    return findings + [
        f"{name}: differs from the one made again"
        for name, digest in made.items()
        if name != JOURNAL and manifest.files.get(name) != digest
    ]


def _compare_manifests(ours: Manifest, again: Manifest) -> list[str]:
    """Name each field of a manifest that the second run gives otherwise, places aside."""
    left, right = (
        {**_flatten(msgspec.to_builtins(one)), "input.uri": "", "model.path": ""}
        for one in (ours, again)
    )
    fields = [key for key in left | right if key.partition(".")[0] not in UNCOMPARED]
    return [
        f"{MANIFEST}: {key} is {left.get(key)!r}, expected {right.get(key)!r}"
        for key in fields
        if left.get(key) != right.get(key)
    ]


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat |= _flatten(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat
