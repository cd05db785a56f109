"""The command ``stream calibrate``: an INT8 model with its proof, or a temperature fitted again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from cyclopts import Parameter

from calib.calibrate import Calibrated, Search, Trial, find_calibrators
from calib.coverage import Chosen, choose_frames, find_traits, hold_out
from calib.frames import FrameSet
from calib.gather import gather_frames
from calib.held_out import frames_list
from calib.refit import Refit, refit
from engines.base import run_frames
from engines.errors import EngineError
from engines.load import Model, load_model
from engines.open import open_engine
from stream import console
from stream.errors import UsageError
from stream.report.files import make_folder, write_whole

REJECTED = 4
SHOWN_LAYERS = 12

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for: frames to calibrate with, to hold out, to leave in float."""

    count: int
    held_out: int
    seed: int
    calibrators: tuple[str, ...]
    max_float: int


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Frames to calibrate with and frames of other groups to measure with.

    Parameters
    ----------
    apart : False where all frames are of one group, so that nothing could be held out
    """

    chosen: Chosen
    held_out: FrameSet
    apart: bool


def calibrate(
    model: Path,
    /,
    *,
    frames: Annotated[list[str], Parameter(consume_multiple=True)],
    out: Path,
    count: int = 128,
    held_out: int = 256,
    seed: int = 0,
    calibrator: str = "auto",
    max_float: int = 12,
    temperature: bool = False,
    json: bool = False,
) -> int:
    """Make an INT8 model from an FP32 one, or fit temperature and threshold of a model again.

    Writes OUT, and beside an INT8 model the list of its calibration frames (.frames.tsv) and a
    report (.json). Exit status 0, or 4 when the INT8 model is written but its answers differ too
    much from those of the FP32 model.

    Parameters
    ----------
    model
        ONNX model made by `stream train`; FP32, unless a temperature is fitted.
    frames
        Clips, folders, phantom addresses, or CSV tables with columns file and, if known, label,
        patient and source. A folder named like a class gives its files that label.
    out
        Model file to write, such as MODEL.int8.onnx.
    count
        Frames to calibrate with, chosen for coverage.
    held_out
        Frames to measure with, of other people or clips.
    seed
        Seed of everything random.
    calibrator
        Rule for the scales: auto tries all; percentile, entropy, mse or max.
    max_float
        Most layers to leave in float, besides depthwise ones, until the answers agree.
    temperature
        Fit temperature and operating threshold on labelled frames, and change nothing else.
    json
        Print the result as JSON.
    """
    order = _read_order(count, held_out, seed, calibrator, max_float)
    if out.suffix != ".onnx" or out.resolve() == model.resolve():
        raise UsageError(str(out), "not a place for the new model", "give another .onnx file")
    given = load_model(model)
    if temperature:
        refitted, fitted = _refit(given, frames)
        make_folder(out.parent)
        write_whole(out, refitted.data)
        if frames_list(model).is_file():  # it stays the list of an INT8 model's frames
            write_whole(frames_list(out), frames_list(model).read_bytes())
        _show_refit(out, refitted, fitted, json)
        return 0
    if given.spec.precision != "fp32" or given.spec.reference_digest:
        problem = f"is {given.spec.precision}, made from another model"
        raise EngineError(given.name, problem, "give the FP32 model")
    with _bars() as progress:
        gathered = gather_frames(frames, given.spec, lambda total: progress("reading", total))
        split, found = _search(given, gathered, order, progress)
    _write(out, given, split, found)
    _show(out, split, found, json)
    return 0 if found.best.verdict.accepted else REJECTED


def split_frames(given: Model, gathered: FrameSet, order: Order) -> Split:
    """Choose the frames to calibrate with and, of other groups, those to measure with."""
    engine = open_engine(given)
    try:
        answers = run_frames(engine, gathered.inputs)
    finally:
        engine.close()
    traits = find_traits(gathered, answers, given.spec, order.seed)
    ours, theirs = hold_out(traits, order.seed)
    apart = len(theirs) > 0
    chosen = choose_frames(gathered.take(ours), traits.take(ours), order.count, order.seed)
    measured = theirs if apart else ours
    places = np.linspace(0, len(measured) - 1, min(order.held_out, len(measured)))
    held = gathered.take(measured[places.round().astype(np.int64)])
    words = "held out from calibration" if apart else "that also calibrated it"
    return Split(
        chosen, replace(held, origin=f"{len(held)} frames {words}, of {held.origin}"), apart
    )


def _search(
    given: Model, gathered: FrameSet, order: Order, progress: Progress
) -> tuple[Split, Calibrated]:
    split = split_frames(given, gathered, order)
    reference = open_engine(given, "onnxruntime")
    try:
        search = Search(reference, split.chosen, split.held_out, progress)
        found = search.run(order.calibrators, order.max_float)
    finally:
        reference.close()
    if not split.apart:
        missed = "all frames are of one clip or person, so none was held out"
        verdict = found.best.verdict
        verdict = msgspec.structs.replace(verdict, accepted=False, missed=(missed, *verdict.missed))
        found = replace(found, best=msgspec.structs.replace(found.best, verdict=verdict))
    return split, found


def _write(out: Path, given: Model, split: Split, found: Calibrated) -> None:
    make_folder(out.parent)
    report = {
        "model": out.name,
        "digest": found.model.digest,
        "made_from": given.name,
        "reference_digest": given.digest,
        "calibration_frames": len(split.chosen.frames),
        "calibration_digest": split.chosen.digest(),
        "best": found.best,
        "trials": found.trials,
        "sensitivity_db": found.sensitivity,
    }
    text = msgspec.json.format(msgspec.json.encode(report), indent=2)
    write_whole(frames_list(out), "\n".join(split.chosen.lines()).encode())
    write_whole(out.with_suffix(".json"), text + b"\n")
    write_whole(out, found.model.data)


def _show(out: Path, split: Split, found: Calibrated, json: bool) -> None:
    best = found.best
    if json:
        facts = {"model": str(out), "digest": found.model.digest, "best": best}
        console.show_json(facts | {"sensitivity_db": found.sensitivity})
    else:
        rows = [_row(trial) for trial in found.trials]
        columns = ("calibrator", "float layers", "top-1", "logit SNR, dB", "maps", "verdict")
        console.show_table(f"Measured on {split.held_out.origin}", columns, rows)
        worst = [(name, f"{db:.1f}") for name, db in found.sensitivity.items()][:SHOWN_LAYERS]
        if worst:
            console.show_table("Most sensitive layers", ("layer", "dB alone in int8"), worst)
        console.say(f"{out}: {best.calibrator}, {len(best.float_layers)} layers in float")
    if not best.verdict.accepted:
        console.fail(f"rejected: {out.name}: {'; '.join(best.verdict.missed)}")


def _row(trial: Trial) -> tuple[str, ...]:
    figures = trial.verdict.figures
    names = ("top1_agreement", "logit_snr_db", "cam_correlation")
    shown = [f"{figures[name].value:.4g}" if name in figures else "-" for name in names]
    verdict = "accepted" if trial.verdict.accepted else f"misses {len(trial.verdict.missed)}"
    return (trial.calibrator, str(len(trial.float_layers)), *shown, verdict)


def _refit(given: Model, paths: Sequence[str]) -> tuple[Model, Refit]:
    with _bars() as progress:
        gathered = gather_frames(paths, given.spec, lambda total: progress("reading", total))
    engine = open_engine(given)
    try:
        return refit(engine, gathered)
    finally:
        engine.close()


def _show_refit(out: Path, model: Model, fitted: Refit, json: bool) -> None:
    if json:
        console.show_json({"model": str(out), "digest": model.digest, "fitted": fitted})
        return
    console.say(
        f"{out}: temperature {fitted.temperature:.4g} (was {fitted.old_temperature:.4g}), "
        f"threshold {fitted.threshold:.4g} (was {fitted.old_threshold:.4g}); over "
        f"{fitted.frames} frames surprise {fitted.surprise:.3f} nats (was "
        f"{fitted.old_surprise:.3f}), calibration error {fitted.error:.3f} (was "
        f"{fitted.old_error:.3f})"
    )


def _read_order(count: int, held_out: int, seed: int, calibrator: str, most: int) -> Order:
    if count < 1 or held_out < 1 or seed < 0 or most < 0:
        problem = f"--count {count} --held-out {held_out} --seed {seed} --max-float {most}"
        raise UsageError("numbers", problem, "expected at least 1, 1, 0 and 0")
    try:
        return Order(count, held_out, seed, tuple(find_calibrators(calibrator)), most)
    except ValueError as error:
        raise UsageError("--calibrator", str(error)) from error


@contextmanager
def _bars() -> Iterator[Progress]:
    """Yield what shows one bar after another, a new one for each new label."""
    with ExitStack() as stack:
        label, tick = "", None

        def advance(name: str, total: int) -> None:
            nonlocal label, tick
            if name != label:
                stack.close()
                label, tick = name, stack.enter_context(console.progress(name))
            assert tick is not None
            tick(total)

        yield advance
