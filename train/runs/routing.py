"""Runs the study of a cascade: routers and abnormality heads compared apart, the best joined."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import torch

from train.data.prepare import Prepared, Say
from train.data.split import TEST, TRAIN, VALIDATION
from train.nets.cascade import Cascade
from train.runs.parts import Outcome, best_of, named, run_trials, score_part
from train.scoring.reference import Held, build_reference
from train.study import Study

CHUNK = 16


def run_cascade(
    study: Study, prepared: Prepared, weights: Path | None, folder: Path, say: Say
) -> Outcome:
    """Train all routers and heads, join the best of each by validation, and test the cascade."""
    trials, compared = run_trials(study, prepared, weights, folder, say)
    router, looker = (
        best_of((trial for trial in trials if trial.recipe.target == target), compared)
        for target in ("region", "label")
    )
    recipe = msgspec.structs.replace(
        looker.recipe, variant=f"{router.recipe.variant} + {looker.recipe.variant}"
    )
    say(f"best on validation: {recipe.variant}")
    cascade = Cascade(router.network, looker.network, len(recipe.regions)).eval()
    held = _held(cascade, prepared, VALIDATION)
    reference = build_reference(held, recipe.positive, None)
    places = prepared.places(TEST)
    tested = _held(cascade, prepared, TEST)
    return Outcome(
        model=cascade,
        recipe=recipe,
        weights=f"router: {router.weights}; abnormality: {looker.weights}",
        reference=reference,
        held=score_part(prepared, TEST, tested.logits, reference.temperature),
        places=places,
        features=looker.said[TEST].features,
        trained_on=tuple(prepared.samples[place] for place in prepared.places(TRAIN)),
        history=[row for trial in trials for row in named(trial.history, trial.recipe.variant)],
        left_out=prepared.left_out,
        said={VALIDATION: held.logits, TEST: tested.logits},
        compared=compared,
        trials=tuple(trials),
    )


@torch.no_grad()
def _held(cascade: Cascade, prepared: Prepared, part: str) -> Held:
    """Return what the cascade says about the frames of a part."""
    places = prepared.places(part)
    logits, peaks = [], []
    for start in range(0, len(places), CHUNK):
        frames = torch.from_numpy(prepared.inputs[places[start : start + CHUNK]])
        answers, cam, _ = cascade.reveal(frames.permute(0, 3, 1, 2).float())
        logits.append(answers.numpy())
        peaks.append(cam.amax((2, 3)).numpy())
    where = f"{len(places)} {part} frames"
    return Held(np.concatenate(logits), np.concatenate(peaks), prepared.labels[places], where)
