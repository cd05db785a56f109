"""The figures that a training run leaves: the standard set, the comparison, activation maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from train.data.prepare import Prepared
from train.data.split import TEST
from train.figures.bars import Bar, draw_bars
from train.figures.canvas import Caption
from train.figures.maps import draw_maps
from train.figures.standard import draw_all
from train.runs.parts import Outcome, score_trial
from train.runs.results import RunReport
from train.runs.trial import Trial
from train.scoring.metrics import Scored

GRID = 10


def draw_run(
    report: RunReport, prepared: Prepared, outcome: Outcome, held: Scored, folder: Path
) -> None:
    """Draw everything that a run shows into `folder`."""
    recipe = outcome.recipe
    banner = "; ".join(report.warnings)
    caption = Caption(f"{report.recipe}, {report.variant}, held-out frames. {report.split}", banner)
    draw_all(held, outcome.features, recipe.classes, outcome.history, folder, caption)
    if len(outcome.trials) > 1 or recipe.figures:
        for trial in outcome.trials:
            _draw_trial(trial, prepared, folder / trial.recipe.variant, banner)
    _draw_comparisons(report, folder, caption)


def _draw_comparisons(report: RunReport, folder: Path, caption: Caption) -> None:
    variants = [
        Bar(name, variant.test.count, variant.test.balanced_accuracy)
        for name, variant in report.variants.items()
    ]
    if len(variants) > 1:
        draw_bars(variants, "balanced accuracy, test", folder / "variants.png", caption)
    parts = [
        Bar(
            name,
            figures.per_class[report.positive].count,
            figures.per_class[report.positive].recall,
            report.published.get(f"{name}_recall"),
        )
        for name, figures in report.parts.items()
    ]
    if parts:
        draw_bars(parts, f"sensitivity for {report.positive}", folder / "parts.png", caption)


def _draw_trial(trial: Trial, prepared: Prepared, folder: Path, banner: str) -> None:
    caption = Caption(
        f"{trial.recipe.name}, {trial.recipe.variant}, test frames. {prepared.rule}", banner
    )
    held = score_trial(trial, prepared, TEST)
    rows = [{"run": trial.recipe.variant, **row} for row in trial.history]
    draw_all(held, trial.said[TEST].features, trial.names, rows, folder, caption)
    if "activations" in trial.recipe.figures:
        draw_activations(trial, prepared, folder / "activations.png", caption)


@torch.no_grad()
def draw_activations(trial: Trial, prepared: Prepared, path: Path, caption: Caption) -> None:
    """Draw the class map of the answer that a network gives, for frames spread over the test."""
    views = trial.banks[TEST].views[:, 0]
    rows = np.unique(np.linspace(0, len(views) - 1, GRID).round().astype(int))
    maps = trial.network.tail(views[rows].float())
    said = trial.network.head.logits(maps).argmax(1)
    cams = trial.network.head.cam(maps)[torch.arange(len(rows)), said].numpy()
    names = trial.answers
    labels = trial.banks[TEST].labels[rows]
    titles = [f"{names[int(a)]}\n(is {names[int(b)]})" for a, b in zip(said, labels, strict=True)]
    pictures = prepared.inputs[prepared.places(TEST)[rows]]
    draw_maps(pictures, cams, titles, max(float(cams.max()), 1e-6), path, caption)
