"""One clip under way: its journal, its manifest, and how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from engines.errors import EngineError
from stream.frame import Frame, Prediction
from stream.job import Job
from stream.session.journal import Journal
from stream.session.manifest import JOURNAL, Input, Manifest, utc_now, versions, write_manifest
from stream.session.record import Recorder
from stream.sources.base import Problem, Source

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


class Recording:
    """One session under way; its folder says that it is not complete until it is.

    Parameters
    ----------
    uri, source : what is read
    job : how it is analysed
    folder : new folder of the session
    """

    def __init__(self, uri: str, source: Source, job: Job, folder: Path) -> None:
        self._uri, self._source, self._job, self._folder = uri, source, job, folder
        self._journal = Journal(folder / JOURNAL)
        self._recorder = Recorder(self._journal, job.engine.model.spec, job.config)
        self._withdrawn: Problem | None = None
        self._complete = False
        self._tell(complete=False)

    @property
    def withdrawn(self) -> bool:
        """Whether the engine failed, so that nothing more may be asked of it."""
        return self._withdrawn is not None

    def run(
        self, answers: Iterator[tuple[Frame, Prediction]], on_frame: Callable[[Source], None]
    ) -> None:
        """Record every answer; `seal` is left to do, whatever happens.

        An engine that fails its known-answer probe, or whose device fails, ends the recording;
        what it said since the last good probe is withdrawn.
        """
        try:
            self._record(answers, on_frame)
        except EngineError as error:
            self._withdraw(error)

    def seal(self, *, explain: bool = True) -> Result:
        """Write key frames and ledger, close the journal and say how far it came.

        May be called in another thread than `run`, once that has come back.

        Parameters
        ----------
        explain : let the job's explainer, if it has one, explain the key frames

        Raises
        ------
        StorageError
            If the session cannot be written.
        """
        sealed = False
        try:
            with self._journal:
                self._recorder.seal(self._job.explain if explain else None)
            sealed = True
        finally:
            manifest = self._tell(complete=self._complete and sealed)
        return Result(self._folder, manifest, self.withdrawn)

    def _record(
        self, answers: Iterator[tuple[Frame, Prediction]], on_frame: Callable[[Source], None]
    ) -> None:
        for frame, prediction in answers:
            self._recorder.add(frame, prediction)
            on_frame(self._source)
            if not self._holds(last=False):
                return
        self._complete = self._holds(last=True)

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
        self._withdrawn = Problem(error.fault or "F07", text, True)

    def _tell(self, *, complete: bool) -> Manifest:
        """Write the manifest as things stand."""
        ledger = self._recorder.ledger.totals()
        ours = (self._withdrawn,) if self._withdrawn else _engine_problems(ledger)
        problems = [*self._source.problems, *ours]
        info = self._source.info
        manifest = Manifest(
            created=utc_now(),
            complete=complete,
            partial=any(problem.partial for problem in problems),
            problems=tuple(f"[{problem.fault}] {problem.text}" for problem in problems),
            input=Input(
                uri=self._uri if info.kind == "phantom" else str(Path(self._uri).absolute()),
                stream_index=self._job.stream_index,
                info=info,
            ),
            model=self._job.model,
            config=self._job.config,
            explain="ig" if self._job.explain else None,
            verdict=self._recorder.tracker.verdict(),
            ledger=ledger,
            versions=versions(),
            files={},
        )
        write_manifest(self._folder, manifest)
        return manifest


def _engine_problems(ledger: Mapping[str, int]) -> tuple[Problem, ...]:
    failed = ledger["failed_infer"]
    if not failed:
        return ()
    return (Problem("F08", f"the model gave no usable answer for {failed} frames", True),)
