"""The main job: `stream replay` and `stream demo`."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, ParamSpec, TypeVar

import msgspec
from cyclopts import Parameter

from engines.load import load_model
from engines.open import DEMO_MODEL
from engines.probe import Watch
from stream import console
from stream.analysis.score import find_score
from stream.config import AnalysisConfig, load_config
from stream.engine_flags import DEFAULT_FLAGS, EngineFlags, choose
from stream.errors import StorageError, StreamError, UsageError
from stream.explain import open_explainer
from stream.job import Job, model_used
from stream.live_again import verify_live
from stream.recording import PARTIAL, Recording, Result
from stream.replay import Outcome, analyse_clip, end_with_report, replay_clips
from stream.sources.discover import find_clips
from stream.sources.nursery import Nursery
from stream.sources.open import Ahead

DEMO_CLIP = Path(__file__).parent / "demo" / "kidney.mp4"
_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class AnalysisFlags:
    """What recordings are analysed with.

    Parameters
    ----------
    model
        ONNX model made by `stream train`; the bundled demonstration model by default.
    config
        TOML file of settings; flags override it.
    top_k
        Key frames to keep.
    score
        Ranking score: `evidence-v1` or `doubt-v1`.
    every
        Analyse each n-th frame only.
    stream_index
        Which video stream, where a file has several.
    explain
        `ig`: add integrated gradients of the finding to the key frames of a report.
    """

    model: Path = DEMO_MODEL
    config: Path | None = None
    top_k: int | None = None
    score: str | None = None
    every: int | None = None
    stream_index: Annotated[int | None, Parameter(name="--stream")] = None
    explain: Literal["ig"] | None = None

    def settings(self) -> AnalysisConfig:
        """Return the settings.

        Raises
        ------
        UsageError
            If one of them cannot be used.
        """
        changes = {"top_k": self.top_k, "score": self.score, "every": self.every}
        settings = load_config(self.config, changes)
        find_score(settings.score)
        return settings


DEFAULT_ANALYSIS = AnalysisFlags()


def replay(
    paths: list[str],
    /,
    *,
    analysis: AnalysisFlags = DEFAULT_ANALYSIS,
    engine: EngineFlags = DEFAULT_FLAGS,
    out: Path = Path("sessions"),
    verify: bool = False,
    json: bool = False,
) -> int:
    """Analyse every frame of recordings and write one session folder with a report for each.

    Parameters
    ----------
    paths
        Video files, DICOM files, folders, or addresses such as `phantom:kidney?seed=7`. A folder
        stands for every clip below it; stills in one folder make one clip. After `--`, names may
        begin with a dash.
    out
        Folder for the session folders.
    verify
        `paths` are folders of live sessions: analyse once more what live analysed, compare every
        decision, and list the frames that live left out.
    json
        Print the results as JSON.
    """
    if verify:
        return verify_live([Path(path) for path in paths], engine.cache, json=json)
    settings = analysis.settings()
    clips = find_clips(paths)
    _check_out(out)
    with Nursery() as nursery:  # first of all: it gets ready while the model is compiled
        given = load_model(analysis.model)
        chosen = choose(given, engine)
        if not json:
            console.say(f"engine: {chosen.reason}")
        try:
            used = model_used(chosen, given, analysis.model)
            watch = Watch(chosen.engine, chosen.probe)
            explainer = open_explainer(given, analysis.explain)
            index = analysis.stream_index
            job = Job(chosen.engine, used, settings, index, nursery, watch, explainer)
            outcomes = _replay_all(clips, job, out)
        finally:
            chosen.engine.close()
    _show(clips, outcomes, json)
    return _status(outcomes)


def demo(
    *,
    out: Path = Path("sessions"),
    engine: EngineFlags = DEFAULT_FLAGS,
    explain: Literal["ig"] | None = None,
    json: bool = False,
) -> int:
    """Analyse the bundled synthetic clip with the bundled model and say where the report is.

    Parameters
    ----------
    out
        Folder for the session folder.
    explain
        `ig`: add integrated gradients of the finding to the key frames of the report.
    json
        Print the result as JSON.
    """
    analysis = AnalysisFlags(explain=explain)
    return replay([str(DEMO_CLIP)], analysis=analysis, engine=engine, out=out, json=json)


def _replay_all(clips: Sequence[str], job: Job, out: Path) -> list[Outcome]:
    """Replay clip by clip; what is wrong with one is told as soon as it is known."""
    analyse = partial(_analyse, job, out)
    with closing(replay_clips(clips, job, _telling(analyse), _telling(end_with_report))) as found:
        outcomes = list(found)
    left = clips[len(outcomes) :]
    if left:
        names = ", ".join(Path(clip).name for clip in left[:5])
        console.warn(f"{len(left)} clips were not analysed: {names}{', ...' * (len(left) > 5)}")
    return outcomes


def _telling(work: Callable[P, T]) -> Callable[P, T]:
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return work(*args, **kwargs)
        except StreamError as error:
            _log.debug("a clip was not analysed", exc_info=True)
            console.fail(str(error))
            raise

    return run


def _analyse(job: Job, out: Path, clip: str, ahead: Ahead) -> Recording:
    with console.progress(Path(clip).name) as tick:
        return analyse_clip(clip, job, out, lambda source: tick(source.info.frame_count), ahead)


def _show(clips: Sequence[str], outcomes: Sequence[Outcome], json: bool) -> None:
    if json:
        rows = [_as_json(clip, outcome) for clip, outcome in zip(clips, outcomes, strict=False)]
        console.show_json(rows)
        return
    for outcome in outcomes:
        if isinstance(outcome, Result):
            for problem in outcome.manifest.problems:
                console.warn(f"{outcome.manifest.input.info.name}: {problem}")
    if len(clips) > 1:
        console.show_table(
            "Replay",
            ("clip", "verdict", "frames", "analysed", "report"),
            [_as_row(clip, outcome) for clip, outcome in zip(clips, outcomes, strict=False)],
        )
    elif isinstance(outcomes[0], Result):
        result = outcomes[0]
        console.say(result.manifest.verdict.text)
        console.say(f"report: {result.folder / 'report' / 'index.html'}")


def _as_json(clip: str, outcome: Outcome) -> dict[str, object]:
    if isinstance(outcome, StreamError):
        return {"clip": clip, "exit_code": outcome.exit_code, "error": str(outcome)}
    manifest = outcome.manifest
    return {
        "clip": clip,
        "exit_code": outcome.exit_code,
        "session": str(outcome.folder),
        "engine": msgspec.to_builtins(manifest.model.engine),
        "verdict": msgspec.to_builtins(manifest.verdict),
        "ledger": manifest.ledger,
        "problems": manifest.problems,
    }


def _as_row(clip: str, outcome: Outcome) -> tuple[str, ...]:
    if isinstance(outcome, StreamError):
        return (Path(clip).name, "not analysed", "", "", str(outcome))
    ledger, verdict = outcome.manifest.ledger, outcome.manifest.verdict
    mark = "PARTIAL " if outcome.manifest.partial else ""
    return (
        outcome.manifest.input.info.name,
        f"{mark}{verdict.label} ({verdict.share:.0%})",
        str(ledger["grabbed"]),
        str(ledger["analysed"]),
        str(outcome.folder / "report" / "index.html"),
    )


def _status(outcomes: Sequence[Outcome]) -> int:
    codes = {outcome.exit_code for outcome in outcomes}
    if len(codes) == 1 or StorageError.exit_code in codes:
        return max(codes)
    done = any(isinstance(outcome, Result) for outcome in outcomes)
    return PARTIAL if done else max(codes)


def _check_out(out: Path) -> None:
    """Refuse an output folder that cannot be written, before any work."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        problem = f"cannot be written: {error.strerror}"
        raise UsageError(str(out), problem, "give another --out", fault="C08") from error
