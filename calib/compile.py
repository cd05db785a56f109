"""The command ``stream compile``: an engine for this machine, with its proof."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cyclopts import Parameter

from calib.limits import LIMITS, show_figure
from calib.proof import Candidate, Proof, find_reference, prove_engine
from engines.cache import open_cache
from engines.errors import EngineError
from engines.load import load_model
from engines.options import Batch, EngineOptions, Mode, Precision, parse_batch
from engines.sidecar import Verdict
from stream import console
from stream.errors import UsageError

Backend = Literal["tensorrt", "onnxruntime-cuda", "openvino", "onnxruntime"]


def compile_model(
    model: Path,
    /,
    *,
    engine: Backend,
    precision: Precision | None = None,
    batch: str = "1",
    mode: Mode = "throughput",
    workspace: int | None = None,
    timing_cache: Path | None = None,
    version_compatible: bool = False,
    hardware_compatible: bool = False,
    frames: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    reference: Path | None = None,
    cache: Path | None = None,
    json: bool = False,
) -> int:
    """Compile an engine, compare it with the FP32 reference on held-out frames, and store both.

    Only an engine that keeps every limit is taken by `--engine auto`. Exit status 0 when it is
    accepted, 5 when it is rejected.

    Parameters
    ----------
    model
        ONNX model made by `stream train`, or by `stream calibrate` for int8.
    engine
        Runtime to compile for.
    precision
        Precision of the arithmetic; the model's own by default.
    batch
        Frames in one run, as MIN:OPT:MAX or one number.
    mode
        Fewest milliseconds per frame, or most frames per second.
    workspace
        Device memory in MiB that the builder may use (TensorRT).
    timing_cache
        File that makes repeated builds faster (TensorRT).
    version_compatible
        Make a plan that later versions can load (TensorRT).
    hardware_compatible
        Make a plan for other cards of Ampere and later (TensorRT).
    frames
        Clips, stills, folders or tables to judge the engine on; generated clips by default.
        Frames of people or clips that calibrated the model are left out.
    reference
        The FP32 model that an INT8 model was made from; by default the one beside it.
    cache
        Folder of compiled engines; the user's own by default.
    json
        Print the result as JSON.
    """
    loaded = load_model(model)
    options = EngineOptions(
        precision or loaded.spec.precision,
        _read_batch(batch),
        mode,
        workspace_mib=workspace,
        timing_cache=timing_cache,
        version_compatible=version_compatible,
        hardware_compatible=hardware_compatible,
    )
    against = find_reference(loaded, model, reference)
    candidate = Candidate(loaded, model, against, engine, options, tuple(frames or ()))
    proof = prove_engine(candidate, open_cache(cache), _note)
    verdict = proof.entry.sidecar.verdict
    assert verdict is not None
    if json:
        console.show_json(_as_json(proof))
    else:
        _show(proof, verdict)
    return 0 if verdict.accepted else EngineError.exit_code


def figure_rows(verdict: Verdict) -> list[tuple[str, ...]]:
    """Return name, value with interval, limit and whether it is kept, of every figure."""
    limits = {limit.figure: limit for limit in LIMITS}
    rows: list[tuple[str, ...]] = []
    for name, figure in verdict.figures.items():
        limit = limits.get(name)
        bound = limit.words if limit else ""
        kept = ("yes" if limit.keeps(figure) else "NO") if limit else ""
        rows.append((name, show_figure(figure), bound, kept))
    return rows


def _read_batch(text: str) -> Batch:
    try:
        return parse_batch(text)
    except ValueError as error:
        raise UsageError("--batch", str(error)) from error


def _note(line: str) -> None:
    """Show a line of progress."""
    console.err().print(line, markup=False)


def _show(proof: Proof, verdict: Verdict) -> None:
    sidecar = proof.entry.sidecar
    key, speed = sidecar.key, sidecar.speed
    title = f"{sidecar.spec.name}: {key.backend} {key.precision}, batch {key.batch}, {key.mode}"
    where = "found in the cache" if proof.cached else "compiled"
    judged = ", judged before" if proof.judged_before else ""
    console.say(f"{where}{judged}: {proof.entry.place}")
    console.say(f"judged on {verdict.frames} held-out frames: {verdict.frames_from}")
    console.show_table(title, ("figure", "value", "limit", "kept"), figure_rows(verdict))
    if speed:
        console.say(
            f"one run {speed.p50_ms:.2f} ms (99th percentile {speed.p99_ms:.2f}), "
            f"{speed.rate_hz:.0f} frames/s; with one frame a run {speed.over_default:.2f} x the "
            "FP32 default engine"
        )
    if verdict.accepted:
        console.say(f"accepted: {title}")
    else:
        console.fail(f"rejected: {title}: {'; '.join(verdict.missed)}")


def _as_json(proof: Proof) -> dict[str, object]:
    facts: dict[str, object] = {
        "entry": str(proof.entry.place),
        "cached": proof.cached,
        "judged_before": proof.judged_before,
        "limits": {limit.figure: limit.words for limit in LIMITS},
    }
    sidecar = proof.entry.sidecar
    parts = {"key": sidecar.key, "verdict": sidecar.verdict, "speed": sidecar.speed}
    return facts | {name: msgspec.to_builtins(part) for name, part in parts.items()}
