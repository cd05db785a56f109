"""Replay: a recording in, a session folder with journal, report and manifest out."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec

from engines.base import Engine
from engines.errors import EngineError
from stream.analysis.analyser import Analyser
from stream.config import AnalysisConfig
from stream.errors import SourceError, StorageError
from stream.frame import Frame, Prediction
from stream.report.write import write_report
from stream.session.content import read_content
from stream.session.journal import Journal
from stream.session.manifest import (
    JOURNAL,
    MANIFEST,
    Input,
    Manifest,
    ModelUsed,
    file_digests,
    utc_now,
    versions,
    write_manifest,
)
from stream.session.record import Recorder
from stream.sources.base import Problem, Source
from stream.sources.nursery import Nursery
from stream.sources.open import SourceOptions, open_source

REPORT = "report"


@dataclass(frozen=True, slots=True)
class Job:
    """How clips are replayed.

    Parameters
    ----------
    engine : open engine, used for one clip after another
    model_path : where its model came from
    config : of the analysis
    stream_index : which video stream of a file, or None for its only one
    nursery : gives each clip its decoder; started from nothing each time when None
    """

    engine: Engine
    model_path: Path
    config: AnalysisConfig
    stream_index: int | None = None
    nursery: Nursery | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A finished session."""

    folder: Path
    manifest: Manifest

    @property
    def exit_code(self) -> int:
        """5 when the model answered for no frame, 4 when frames are missing, else 0."""
        ledger = self.manifest.ledger
        if ledger["failed_infer"] and not ledger["analysed"]:
            return EngineError.exit_code
        return 4 if self.manifest.partial else 0


def replay_clip(uri: str, job: Job, out: Path, on_frame: Callable[[Source], None]) -> Result:
    """Analyse every frame of a clip, then write its report and seal the session folder.

    Parameters and errors are those of `record_clip`.
    """
    recorded = record_clip(uri, job, out, on_frame)
    return Result(recorded.folder, finish(recorded.folder, recorded.manifest))


def record_clip(uri: str, job: Job, out: Path, on_frame: Callable[[Source], None]) -> Result:
    """Analyse every frame of a clip into the journal of a new session folder, without a report.

    Parameters
    ----------
    uri : path or phantom address
    out : folder in which the session folder is made
    on_frame : called after each frame

    Raises
    ------
    SourceError
        If not one frame can be had; nothing is left behind.
    StorageError
        If the session cannot be written.
    """
    analyser = Analyser(job.engine)
    options = SourceOptions(stream_index=job.stream_index)
    with (
        one_opencv_thread(),
        open_source(uri, session="replay", options=options, nursery=job.nursery) as source,
    ):
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
    return Result(folder, recording.manifest)


class _Recording:
    """One session under way; its folder says that it is not complete until it is."""

    def __init__(self, uri: str, source: Source, job: Job, folder: Path) -> None:
        self._uri, self._source, self._job, self._folder = uri, source, job, folder
        self._journal = Journal(folder / JOURNAL)
        self._recorder = Recorder(self._journal, job.engine.model.spec, job.config)
        self._seal(False)

    def run(
        self, answers: Iterator[tuple[Frame, Prediction]], on_frame: Callable[[Source], None]
    ) -> None:
        """Record every answer; whatever happens, close the journal and say how far it came."""
        complete = False
        try:
            for frame, prediction in answers:
                self._recorder.add(frame, prediction)
                on_frame(self._source)
            complete = True
        finally:
            try:
                with self._journal:
                    self._recorder.seal()
            except StorageError:
                complete = False
                raise
            finally:
                self._seal(complete)

    def _seal(self, complete: bool) -> None:
        self.manifest = _manifest(self._uri, self._source, self._job, self._recorder, complete)
        write_manifest(self._folder, self.manifest)


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
def one_opencv_thread() -> Iterator[None]:
    """Keep OpenCV from starting threads of its own; the engine has the cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
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


def _manifest(uri: str, source: Source, job: Job, recorder: Recorder, complete: bool) -> Manifest:
    info, model = source.info, job.engine.model
    ledger = recorder.ledger.totals()
    problems = (*source.problems, *_engine_problems(ledger))
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
        model=ModelUsed(
            path=str(job.model_path.absolute()),
            digest=model.digest,
            spec=msgspec.structs.replace(model.spec, gate=None),
            engine=job.engine.info.name,
            runtime=str(job.engine.info),
        ),
        config=job.config,
        verdict=recorder.tracker.verdict(),
        ledger=ledger,
        versions=versions(),
        files={},
    )


def _engine_problems(ledger: Mapping[str, int]) -> tuple[Problem, ...]:
    failed = ledger["failed_infer"]
    if not failed:
        return ()
    return (Problem("F08", f"the model gave no usable answer for {failed} frames", True),)
