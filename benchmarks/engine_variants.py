"""INT8 variants of one model: how speed and agreement trade against each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from onnx import GraphProto

from benchmarks.engine_rows import DEFAULT_ROW
from benchmarks.engine_subjects import Subject
from benchmarks.engine_turns import Runner, Turns, draw_noise, take_turns
from calib.activations import collect_histograms
from calib.agreement import gate
from calib.bias import correct_biases, measure_means
from calib.calibrate import Search
from calib.center import center_clips
from calib.observers import CALIBRATORS
from calib.quantize import LEAST_SCALE, LEVELS, Calibration, find_layers, quantize
from calib.sensitivity import rank_layers
from engines.graph_index import parse_graph
from engines.load import Model
from engines.open import open_engine
from engines.options import EngineOptions
from engines.sidecar import Verdict

BIAS_FRAMES = 16
STEADY = "mse"
"""The calibrator of variants that differ in something else."""
WORST = (2, 8, 24)
MOST_FLOAT = 12

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """An INT8 model.

    Parameters
    ----------
    calibrator : rule that chose its scales
    left : which convolutions stay in float, in words
    """

    calibrator: str
    left: str
    model: Model


def make_variants(subject: Subject) -> list[Variant]:
    """Quantise a model with every calibrator, then with layers left in float."""
    frames = subject.chosen.frames.inputs
    centred = center_clips(subject.model)
    graph = parse_graph(centred.data).graph
    sources = list(dict.fromkeys(layer.source for layer in find_layers(graph)))
    histograms = collect_histograms(centred, sources, frames, lambda _count: None)
    some = frames[:: max(1, len(frames) // BIAS_FRAMES)]
    means = measure_means(centred, some)

    def scales(calibrator: str) -> dict[str, float]:
        rule = CALIBRATORS[calibrator]
        return {name: max(rule(h) / LEVELS, LEAST_SCALE) for name, h in histograms.items()}

    def make(calibrator: str, left: str, names: Sequence[str]) -> Variant:
        note = Calibration(calibrator, subject.chosen.digest(), tuple(names))
        rough = quantize(centred, scales(calibrator), note)
        return Variant(calibrator, left, correct_biases(rough, means, some))

    worst = list(rank_layers(centred, scales(STEADY), some, lambda _count: None))
    kept = {"depthwise": find_depthwise(graph)}
    kept |= {f"worst {count}": worst[:count] for count in WORST}
    return [make(calibrator, "none", ()) for calibrator in CALIBRATORS] + [
        make(STEADY, left, names) for left, names in kept.items() if names
    ]


def find_depthwise(graph: GraphProto) -> list[str]:
    """Return the names of the depthwise convolutions, one input channel a filter."""
    dims = {tensor.name: tensor.dims for tensor in graph.initializer}
    return [layer.name for layer in find_layers(graph) if dims[layer.weight][1] == 1]


def measure_variants(
    subject: Subject, variants: Sequence[Variant], turns: Turns, say: Say
) -> list[dict[str, Any]]:
    """Judge and time variants on OpenVINO beside its FP32 engine, batch 1, for throughput."""
    with ExitStack() as stack:
        reference = stack.enter_context(closing(open_engine(subject.model, "onnxruntime")))
        default = stack.enter_context(closing(open_engine(subject.model, DEFAULT_ROW.backend)))
        runners: list[Runner] = [default]
        verdicts = []
        for variant in variants:
            say(f"{subject.label}: judging int8 {variant.calibrator}, float: {variant.left}")
            options = EngineOptions("int8")
            engine = open_engine(variant.model, DEFAULT_ROW.backend, options)
            runners.append(stack.enter_context(closing(engine)))
            verdicts.append(gate(engine, reference, subject.judged))
        frames = draw_noise(subject.model.spec.input_wh, 1)
        base, *timings = take_turns([(runner, frames) for runner in runners], turns)
    return [
        {"calibrator": variant.calibrator, "left": variant.left}
        | timing.describe()
        | timing.rate_over(base)
        | {"gate": describe_verdict(verdict)}
        for variant, timing, verdict in zip(variants, timings, verdicts, strict=True)
    ]


def calibrate_quickly(subject: Subject) -> tuple[Model, str]:
    """Return the INT8 model that `stream calibrate` would make of these frames, and what it is."""
    with closing(open_engine(subject.model, "onnxruntime")) as reference:
        search = Search(reference, subject.chosen, subject.judged, lambda _what, _count: None)
        # A search is only worth its time where the gate means something.
        found = search.run(*((CALIBRATORS, MOST_FLOAT) if subject.trained else ((STEADY,), 0)))
    left = len(found.best.float_layers)
    return found.model, f"calibrated here: {found.best.calibrator}, {left} layers left in float"


def describe_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return what the tables show of a verdict."""
    figures = {name: figure.value for name, figure in verdict.figures.items()}
    return {"accepted": verdict.accepted, "missed": list(verdict.missed)} | figures
