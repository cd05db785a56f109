"""Replay: a recording in, a session folder with journal, report and manifest out."""

from __future__ import annotations

import gc
import itertools
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import msgspec

from engines.errors import EngineError
from stream.analysis.analyser import Analyser
from stream.errors import SourceError, StorageError
from stream.frame import Frame, Prediction
from stream.job import Job
from stream.report.wording import printable
from stream.report.write import write_report
from stream.session.content import read_content
from stream.session.journal import Journal
from stream.session.manifest import (
    JOURNAL,
    MANIFEST,
    Input,
    Manifest,
    file_digests,
    utc_now,
    versions,
    write_manifest,
)
from stream.session.record import Recorder
from stream.sources.base import Problem, Source
from stream.sources.open import Ahead, SourceOptions
from stream.sources.sandbox_wire import Preparation

REPORT = "report"
PARTIAL = 4
"""Exit status of a result from which something is missing."""


@dataclass(frozen=True, slots=True)
class Result:
    """A finished session."""

    folder: Path
    manifest: Manifest
    withdrawn: bool = False

    @property
    def exit_code(self) -> int:
        """5 when the engine failed its probe or answered for no frame, 4 for a partial input."""
        ledger = self.manifest.ledger
        if self.withdrawn or (ledger["failed_infer"] and not ledger["analysed"]):
            return EngineError.exit_code
        return PARTIAL if self.manifest.partial else 0


def look_ahead(job: Job) -> Ahead:
    """Return what opens the clips of a job, each while the one before is analysed."""
    spec = job.engine.model.spec
    preparation = Preparation(spec.input_wh, spec.fit, job.config.every)
    options = SourceOptions(stream_index=job.stream_index, preparation=preparation)
    return Ahead("replay", options, job.nursery)


def replay_clip(
    uri: str, job: Job, out: Path, on_frame: Callable[[Source], None], ahead: Ahead | None = None
) -> Result:
    """Analyse every frame of a clip, then write its report and seal the session folder.

    Parameters and errors are those of `record_clip`.
    """
    recorded = record_clip(uri, job, out, on_frame, ahead)
    return replace(recorded, manifest=finish(recorded.folder, recorded.manifest))


def record_clip(
    uri: str, job: Job, out: Path, on_frame: Callable[[Source], None], ahead: Ahead | None = None
) -> Result:
    """Analyse every frame of a clip into the journal of a new session folder, without a report.

    Parameters
    ----------
    uri : path or phantom address
    out : folder in which the session folder is made
    on_frame : called after each frame
    ahead : from `look_ahead`, for whoever has many clips

    Raises
    ------
    SourceError
        If not one frame can be had; nothing is left behind.
    StorageError
        If the session cannot be written.
    """
    check_name(uri)
    analyser = Analyser(job.engine)
    with _busy_cores(), (ahead or look_ahead(job)).open(uri) as source:
        frames = iter(source)
        first = next(frames, None)
        if first is None:
            raise SourceError(
                source.info.name, "no frame in it", "expected at least one", fault="V04"
            )
        with new_folder(out, source.info.name) as folder:
            recording = _Recording(uri, source, job, folder)
            recording.run(
                analyser.run(itertools.chain([first], frames), job.config.every), on_frame
            )
    return Result(folder, recording.manifest, recording.withdrawn is not None)


class _Recording:
    """One session under way; its folder says that it is not complete until it is."""

    def __init__(self, uri: str, source: Source, job: Job, folder: Path) -> None:
        self._uri, self._source, self._job, self._folder = uri, source, job, folder
        self._journal = Journal(folder / JOURNAL)
        self._recorder = Recorder(self._journal, job.engine.model.spec, job.config)
        self.withdrawn: Problem | None = None
        self._seal(False)

    def run(
        self, answers: Iterator[tuple[Frame, Prediction]], on_frame: Callable[[Source], None]
    ) -> None:
        """Record every answer; whatever happens, close the journal and say how far it came.

        An engine that fails its known-answer probe, or whose device fails, ends the recording;
        what it said since the last good probe is withdrawn.
        """
        complete = sealed = False
        try:
            for frame, prediction in answers:
                self._recorder.add(frame, prediction)
                on_frame(self._source)
                if not self._holds(last=False):
                    break
            complete = not self.withdrawn and self._holds(last=True)
        except EngineError as error:
            self._withdraw(error)
        finally:
            try:
                with self._journal:
                    self._recorder.seal(self._job.explain)
                sealed = True
            finally:
                self._seal(complete and sealed)

    def _holds(self, *, last: bool) -> bool:
        """Ask for the known answers where that is due; take back what is in doubt."""
        watch = self._job.watch
        if watch is None:
            return True
        try:
            if last:
                watch.check()
            elif not watch.check_if_due():
                return True
        except EngineError as error:
            self._withdraw(error)
            return False
        self._recorder.confirm()
        return True

    def _withdraw(self, error: EngineError) -> None:
        count = self._recorder.withdraw(str(error))
        text = f"{error.problem}; {count} answers since the last good probe withdrawn"
        self.withdrawn = Problem(error.fault or "F07", text, True)

    def _seal(self, complete: bool) -> None:
        problems = [*self._source.problems, *_engine_problems(self._recorder.ledger.totals())]
        if self.withdrawn:
            problems = [*self._source.problems, self.withdrawn]
        self.manifest = _manifest(
            self._uri, self._source, self._job, self._recorder, complete, problems
        )
        write_manifest(self._folder, self.manifest)


def check_name(uri: str) -> None:
    """Refuse a name that no manifest can hold.

    Raises
    ------
    SourceError
        If it is not UTF-8.
    """
    try:
        uri.encode()
    except UnicodeEncodeError as error:
        problem = "its name is not UTF-8, which no manifest can hold"
        raise SourceError(printable(uri), problem, "rename it", fault="V23") from error


@contextmanager
def new_folder(out: Path, name: str) -> Iterator[Path]:
    """Make a session folder; take it away again when it is left without a manifest."""
    folder = make_folder(out, name)
    try:
        yield folder
    finally:
        if not (folder / MANIFEST).exists():
            shutil.rmtree(folder)


def finish(folder: Path, manifest: Manifest) -> Manifest:
    """Write the report of a session and seal the folder with the digest of every file."""
    write_report(read_content(folder, manifest), folder / REPORT)
    sealed = msgspec.structs.replace(manifest, files=file_digests(folder))
    write_manifest(folder, sealed)
    return sealed


@contextmanager
def _busy_cores() -> Iterator[None]:
    """Leave the cores to the engine: no threads of OpenCV, no garbage search through libraries."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        cv2.setNumThreads(before)


def make_folder(out: Path, name: str) -> Path:
    """Make a new session folder named after the clip; an existing one is never touched.

    Raises
    ------
    StorageError
        If `out` cannot be written.
    """
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name).stem).strip("-.")[:60] or "clip"
    try:
        out.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            folder = out / (stem if number == 1 else f"{stem}-{number}")
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                continue
    except OSError as error:
        raise StorageError(str(out), f"cannot be written: {error.strerror}") from error
    raise AssertionError("unreachable")


def _manifest(
    uri: str,
    source: Source,
    job: Job,
    recorder: Recorder,
    complete: bool,
    problems: Sequence[Problem],
) -> Manifest:
    info = source.info
    return Manifest(
        created=utc_now(),
        complete=complete,
        partial=any(problem.partial for problem in problems),
        problems=tuple(f"[{problem.fault}] {problem.text}" for problem in problems),
        input=Input(
            uri=uri if info.kind == "phantom" else str(Path(uri).absolute()),
            stream_index=job.stream_index,
            info=info,
        ),
        model=job.model,
        config=job.config,
        explain="ig" if job.explain else None,
        verdict=recorder.tracker.verdict(),
        ledger=recorder.ledger.totals(),
        versions=versions(),
        files={},
    )


def _engine_problems(ledger: Mapping[str, int]) -> tuple[Problem, ...]:
    failed = ledger["failed_infer"]
    if not failed:
        return ()
    return (Problem("F08", f"the model gave no usable answer for {failed} frames", True),)
