"""One worker's bench: an open engine, and one recording after another into a sealed session."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from engines.errors import EngineError, SonostreamError
from engines.probe import Watch
from stream import __version__
from stream.archive.adopt import outcome_of
from stream.archive.engine import open_same
from stream.archive.records import WORK, Found, Outcome, Refused, Setup, Task
from stream.archive.scan import digest_of, look_again
from stream.errors import SourceError, StorageError, StreamError, UsageError
from stream.explain import open_explainer
from stream.job import Job
from stream.recording import Result
from stream.replay import check_name, record_clip, replay_clip
from stream.session.manifest import file_digests, write_manifest
from stream.sources.base import Source
from stream.sources.nursery import Nursery

DEFECT = 70
STORAGE_ERRORS = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EROFS, errno.EIO})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bench:
    """What a worker needs for every recording."""

    setup: Setup
    job: Job

    def analyse(self, task: Task) -> Outcome:
        """Analyse a recording; its sealed session lies in the work folder if it is done.

        Raises
        ------
        StorageError, EngineError
            If no further recording could be analysed either: the archive cannot be written, or
            the engine no longer gives its known answers.
        """
        began_s = time.monotonic()
        try:
            self._check_seen(task)
            outcome = self._analyse(task)
        except (StorageError, EngineError):
            raise
        except StreamError as error:
            outcome = _not_done(error, "unusable")
        except _NotSeenError as error:
            outcome = _not_done(error, "failed")
        except Exception as error:  # noqa: BLE001 - one recording must not end the others
            outcome = _broken(error)
        if outcome.state != "done":
            self._clear(task)
        return msgspec.structs.replace(outcome, seconds=time.monotonic() - began_s)

    def _analyse(self, task: Task) -> Outcome:
        check_name(os.fsdecode(task.recording.path))
        self._clear(task)
        uri = str(Path(os.fsdecode(self.setup.root)) / os.fsdecode(task.recording.path))
        result = self._record(uri, self._under_way(task))
        if result.withdrawn:
            raise EngineError("engine", "; ".join(result.manifest.problems), fault="F07")
        if task.sha256 is not None and result.manifest.input.info.sha256 != task.sha256:
            raise SourceError(result.manifest.input.info.name, "changed meanwhile", fault="V24")
        return outcome_of(result.folder, result.manifest)

    def _record(self, uri: str, out: Path) -> Result:
        if self.setup.settings.report:
            return replay_clip(uri, self.job, out, _quiet)
        bare = record_clip(uri, self.job, out, _quiet)
        sealed = msgspec.structs.replace(bare.manifest, files=file_digests(bare.folder))
        write_manifest(bare.folder, sealed)
        return replace(bare, manifest=sealed)

    def _check_seen(self, task: Task) -> None:
        """Refuse a recording that is another one here than where the work list is."""
        if task.sha256 is None:
            return
        root = Path(os.fsdecode(self.setup.root))
        here: Found = look_again(root, task.recording)
        seen = digest_of(root, here)
        if (here.size, seen) != (task.recording.size, task.sha256):
            problem = f"this worker sees {here.size} bytes, digest {seen[:12] or 'none'}"
            wanted = f"expected {task.recording.size} bytes, digest {task.sha256[:12] or 'none'}"
            raise _NotSeenError("recording", problem, f"{wanted}; share the file system")

    def _clear(self, task: Task) -> None:
        shutil.rmtree(self._under_way(task), ignore_errors=True)

    def _under_way(self, task: Task) -> Path:
        return Path(os.fsdecode(self.setup.out)) / WORK / self.setup.run / task.session


@contextmanager
def open_bench(setup: Setup) -> Iterator[Bench]:
    """Open the engine that the setup names.

    Raises
    ------
    UsageError
        If this is another version of the program.
    EngineError
        If the engine cannot be opened here.
    """
    if setup.version != __version__:
        problem = f"version {__version__} here, expected {setup.version}"
        raise UsageError("worker", problem, "install the same version everywhere")
    settings = setup.settings
    with Nursery() as nursery:  # first of all: it gets ready while the model is compiled
        chosen, used, given = open_same(setup.answering, setup.threads)
        try:
            watch = Watch(chosen.engine, chosen.probe)
            explainer = open_explainer(given, settings.explain)
            yield Bench(
                setup,
                Job(
                    chosen.engine,
                    used,
                    settings.config,
                    settings.stream_index,
                    nursery,
                    watch,
                    explainer,
                ),
            )
        finally:
            chosen.engine.close()


def refusal(error: SonostreamError) -> Refused:
    """Return an error as a worker tells it."""
    return Refused(error.exit_code, error.subject, error.problem, error.remedy, error.fault)


class _NotSeenError(SonostreamError):
    """The worker does not see the recording that it is to analyse."""

    exit_code = 3


def _not_done(error: SonostreamError, state: str) -> Outcome:
    text = f"{error.problem}; {error.remedy}" if error.remedy else error.problem
    values = {
        "state": state,
        "exit_code": error.exit_code,
        "fault": error.fault,
        "text": _utf8(text),
    }
    return msgspec.convert(values, Outcome)


def _broken(error: Exception) -> Outcome:
    if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
        raise StorageError("archive", f"cannot be written: {error.strerror}") from error
    _log.debug("a defect of ours", exc_info=error)
    text = f"defect: {type(error).__name__}: {error}"
    return Outcome(state="failed", exit_code=DEFECT, text=_utf8(text))


def _utf8(text: str) -> str:
    """Escape the undecodable bytes of a file name, which no message can hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def _quiet(source: Source) -> None:
    """Say nothing after a frame: progress counts recordings."""
