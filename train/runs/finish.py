"""From a fitted model to what is handed over: ONNX, parity, figures, report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from calib.temperature import soften
from engines.base import run_frames
from engines.load import load_model
from engines.open import open_engine
from engines.spec import ModelSpec
from train.audit.leaks import shown_place
from train.data.prepare import Prepared
from train.data.samples import list_digest, list_lines
from train.nets.export import check_parity, export_model, stamp
from train.nets.models import NOT_PRETRAINED, count_parameters
from train.runs.parts import Outcome
from train.runs.pictures import draw_run
from train.runs.results import (
    LEAKED,
    RANDOM_START,
    RunReport,
    VariantReport,
    headlines,
    mean_over,
)
from train.scoring.metrics import Figures, Scored, measure
from train.scoring.predictions import encode_sheet
from train.scoring.report import write_file
from train.study import Study

PARITY_FRAMES = 8
CHUNK = 32


def finish(
    study: Study, prepared: Prepared, outcome: Outcome, folder: Path, say: Callable[[str], None]
) -> tuple[RunReport, ModelSpec]:
    """Export the model, prove it equal, measure it through an engine, and report.

    Cross-validated figures cannot come from the exported model, which has trained on every frame;
    they come from the networks of the folds. All others come from the exported file.
    """
    unproved = folder / "unproved.onnx"
    spec = build_spec(study, prepared, outcome)
    export_model(outcome.model, spec, unproved)
    write_file(folder / "trained-on.tsv", "\n".join(list_lines(outcome.trained_on)).encode())
    engine = open_engine(load_model(unproved), "auto")
    try:
        frames = prepared.inputs[outcome.places]
        parity = check_parity(outcome.model, engine, frames[:PARITY_FRAMES], spec.temperature)
        say("parity, engine against torch: " + ", ".join(f"{k} {v:.1e}" for k, v in parity.items()))
        held, by = outcome.held, "torch, out of fold"
        if study.first.split.kind != "folds":
            logits = [
                run_frames(engine, frames[start : start + CHUNK]).logits
                for start in range(0, len(frames), CHUNK)
            ]
            held, by = _rescore(held, np.concatenate(logits), spec), str(engine.info)
    finally:
        engine.close()
    report = build_report(study, prepared, outcome, held, (by, parity))
    spec = msgspec.structs.replace(spec, metrics=headlines(report))
    stamp(unproved, spec, folder / "model.onnx")
    unproved.unlink()
    write_file(folder / "predictions.xlsx", encode_sheet(_predictions(prepared, outcome, held)))
    draw_run(report, prepared, outcome, held, folder / "figures")
    return report, spec


def build_spec(study: Study, prepared: Prepared, outcome: Outcome) -> ModelSpec:
    """Return the spec of a fitted model, still without figures."""
    recipe, reference = outcome.recipe, outcome.reference
    leaks = f"{LEAKED} ({'; '.join(prepared.leaks)}). " if prepared.leaks else ""
    return ModelSpec(
        name=study.name,
        classes=recipe.classes,
        positive_class=recipe.positive_class,
        input_wh=(recipe.input_px, recipe.input_px),
        fit=recipe.fit,
        temperature=reference.temperature,
        threshold=reference.threshold,
        threshold_rule=reference.threshold_rule,
        cam_kind=outcome.model.cam_kind,
        cam_scale=reference.cam_scale,
        gate=reference.gate,
        data_digest=list_digest(outcome.trained_on),
        metrics={},
        metrics_split=leaks + prepared.rule,
        licence=recipe.licence,
        intended_use=recipe.intended_use,
    )


def build_report(
    study: Study,
    prepared: Prepared,
    outcome: Outcome,
    held: Scored,
    measured: tuple[str, dict[str, float]],
) -> RunReport:
    """Return the report on held-out predictions.

    Parameters
    ----------
    measured : what gave the predictions, and its parity with torch
    """
    recipe, reference = outcome.recipe, outcome.reference
    parts = _parts(prepared, outcome, held)
    warnings = [LEAKED] if prepared.leaks else []
    warnings += [RANDOM_START] if NOT_PRETRAINED in outcome.weights else []
    return RunReport(
        recipe=study.name,
        profile=study.profile,
        variant=recipe.variant,
        seed=recipe.seed,
        weights=outcome.weights,
        data_digest=list_digest(outcome.trained_on),
        split=prepared.rule,
        leaks=prepared.leaks,
        left_out=outcome.left_out,
        parameters=count_parameters(outcome.model),
        measured_by=measured[0],
        parity=measured[1],
        temperature=reference.temperature,
        threshold=reference.threshold,
        positive=recipe.positive_class,
        frames=measure(held, recipe.classes, recipe.positive_class),
        clips=measure(held.by_clip(), recipe.classes, recipe.positive_class),
        people=measure(held.by_person(), recipe.classes, recipe.positive_class),
        loss=cross_entropy(held),
        parts=parts,
        mean_over_parts=mean_over(parts) if recipe.split.kind == "folds" and parts else {},
        variants=_variants(outcome),
        published=recipe.published,
        published_where=recipe.published_where,
        warnings=tuple(warnings),
    )


def cross_entropy(held: Scored) -> float:
    """Return the mean negative log-probability of the truth, without temperature where known."""
    probs = held.probs if held.raw is None else held.raw
    of_truth = probs[np.arange(len(probs)), held.labels]
    return float(-np.log(np.maximum(of_truth, np.finfo(np.float64).tiny)).mean())


def _parts(prepared: Prepared, outcome: Outcome, held: Scored) -> dict[str, Figures]:
    """Return figures by fold, or by region for a cascade."""
    recipe = outcome.recipe
    samples = [prepared.samples[place] for place in outcome.places]
    kind = "region" if recipe.regions else "fold" if recipe.split.kind == "folds" else ""
    names = [getattr(sample, kind) for sample in samples] if kind else []
    return {
        name: measure(held.where(np.array(names) == name), recipe.classes, recipe.positive_class)
        for name in sorted(set(names))
    }


def _variants(outcome: Outcome) -> dict[str, VariantReport]:
    return {
        trial.recipe.variant: VariantReport(
            trial.recipe.backbones,
            trial.weights,
            *trial.parameters,
            len(trial.history),
            *outcome.compared[trial.recipe.variant],
        )
        for trial in outcome.trials
    }


def _rescore(held: Scored, logits: np.ndarray, spec: ModelSpec) -> Scored:
    """Return the predictions of other logits for the same frames."""
    return replace(held, probs=soften(logits, spec.temperature), raw=soften(logits, 1.0))


def _predictions(prepared: Prepared, outcome: Outcome, held: Scored) -> list[list[str | float]]:
    """Return a heading and one row per held-out frame."""
    classes = outcome.recipe.classes
    rows: list[list[str | float]] = [["frame", "part", "truth", "predicted", *classes]]
    for place, probs in zip(outcome.places, held.probs, strict=True):
        sample = prepared.samples[place]
        said = [classes[sample.label], classes[int(probs.argmax())]]
        part = str(prepared.parts[place])
        rows.append([shown_place(sample), part, *said, *(round(float(p), 6) for p in probs)])
    return rows
