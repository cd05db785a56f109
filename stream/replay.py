"""Replay: a recording in, a session folder with journal, report and manifest out."""

from __future__ import annotations

import gc
import itertools
import re
import shutil
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import msgspec

from stream.analysis.analyser import Analyser
from stream.errors import SourceError, StorageError, StreamError
from stream.job import Job
from stream.recording import Recording, Result
from stream.report.wording import printable
from stream.report.write import write_report
from stream.session.content import read_content
from stream.session.manifest import MANIFEST, Manifest, file_digests, write_manifest
from stream.sources.base import Source
from stream.sources.open import Ahead, SourceOptions
from stream.sources.sandbox_wire import Preparation

REPORT = "report"
OnFrame = Callable[[Source], None]
Outcome = Result | StreamError
"""What came of a clip."""
T = TypeVar("T")


def look_ahead(job: Job) -> Ahead:
    """Return what opens the clips of a job, each while the one before is analysed."""
    spec = job.engine.model.spec
    preparation = Preparation(spec.input_wh, spec.fit, job.config.every)
    options = SourceOptions(stream_index=job.stream_index, preparation=preparation)
    return Ahead("replay", options, job.nursery)


def replay_clip(
    uri: str, job: Job, out: Path, on_frame: OnFrame, ahead: Ahead | None = None
) -> Result:
    """Analyse every frame of a clip, then write its report and seal the session folder.

    Parameters and errors are those of `analyse_clip`.
    """
    return end_with_report(analyse_clip(uri, job, out, on_frame, ahead))


def record_clip(
    uri: str, job: Job, out: Path, on_frame: OnFrame, ahead: Ahead | None = None
) -> Result:
    """Analyse every frame of a clip into the journal of a new session folder, without a report.

    Parameters and errors are those of `analyse_clip`.
    """
    return analyse_clip(uri, job, out, on_frame, ahead).seal()


def analyse_clip(
    uri: str, job: Job, out: Path, on_frame: OnFrame, ahead: Ahead | None = None
) -> Recording:
    """Analyse every frame of a clip; what comes back is still to be sealed.

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
    with ExitStack() as stack:
        with _busy_cores(), (ahead or look_ahead(job)).open(uri) as source:
            frames = iter(source)
            first = next(frames, None)
            if first is None:
                problem, wanted = "no frame in it", "expected at least one"
                raise SourceError(source.info.name, problem, wanted, fault="V04")
            with new_folder(out, source.info.name) as folder:
                recording = Recording(uri, source, job, folder)
                stack.callback(recording.seal, explain=False)  # unless it ends well
                recording.run(
                    analyser.run(itertools.chain([first], frames), job.config.every), on_frame
                )
        stack.pop_all()
    return recording


def end_with_report(recording: Recording) -> Result:
    """Seal what was analysed, with its report; errors are those of `Recording.seal`."""
    result = recording.seal()
    return replace(result, manifest=finish(result.folder, result.manifest))


def replay_clips(
    clips: Sequence[str],
    job: Job,
    analyse: Callable[[str, Ahead], Recording],
    end: Callable[[Recording], Result],
) -> Generator[Outcome, None, None]:
    """Yield the outcome of each clip in order; one is ended while the next is analysed.

    A bad clip does not stop it, a full disk or a failed engine does.

    Parameters
    ----------
    analyse : makes a recording of a clip, such as `analyse_clip`
    end : seals it, in a thread of its own
    """
    with look_ahead(job) as ahead, ThreadPoolExecutor(1, "ending") as behind:
        waiting: deque[Future[Outcome]] = deque()
        for clip in ahead.each(clips):
            recording = _attempt(partial(analyse, clip, ahead))
            work = partial(_end, recording, end)
            # Explaining takes seconds, and its runtime one caller: it stays where Ctrl-C comes.
            waiting.append(_done(work()) if job.explain else behind.submit(work))
            good = isinstance(recording, Recording) and not recording.withdrawn
            known = [waiting.popleft().result() for _ in range(len(waiting) - good)]
            yield from known
            if any(map(_ends_all, known)):
                break
        yield from (one.result() for one in waiting)


def _attempt(work: Callable[[], T]) -> T | StreamError:
    try:
        return work()
    except StreamError as error:
        return error


def _done(outcome: Outcome) -> Future[Outcome]:
    future: Future[Outcome] = Future()
    future.set_result(outcome)
    return future


def _end(recording: Recording | StreamError, end: Callable[[Recording], Result]) -> Outcome:
    return recording if isinstance(recording, StreamError) else _attempt(partial(end, recording))


def _ends_all(outcome: Outcome) -> bool:
    return outcome.withdrawn if isinstance(outcome, Result) else isinstance(outcome, StorageError)


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
