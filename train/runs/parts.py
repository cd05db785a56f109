"""A whole training run: from prepared frames to a fitted model and what it says unseen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from calib.temperature import fit_temperature, soften
from engines.spec import Gate
from train.data.generated import FIRST_SEEDS, other_inputs
from train.data.prepare import Prepared, Say
from train.data.samples import Sample
from train.data.split import TEST, VALIDATION
from train.fitting.bank import build_bank
from train.nets.export import Revealing
from train.nets.models import Network
from train.recipe import PhantomSet, Recipe
from train.runs.trial import Trial, run_trial
from train.scoring.gate import build_gate, read_textures, summarise
from train.scoring.metrics import Figures, Scored, measure
from train.scoring.reference import Held, Reference, build_reference
from train.study import Study

History = list[dict[str, float | str]]
"""One row per epoch of every training, with the training's name."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A fitted model with its reference and its held-out predictions.

    Parameters
    ----------
    model : to be exported
    recipe : of the variant that it is
    weights : where its backbone's weights came from
    reference : what is written into its spec
    held : predictions of networks that did not train on their frames, with their truth
    places : M places of those frames among the prepared ones
    features : shape (M, D), what enters the last layer
    trained_on : samples of the training list
    history : rows of every epoch of every training
    left_out : frames kept out to keep people apart, by fold
    said : logits of held-out frames by part, where there are parts
    compared : validation and test figures of every variant
    trials : the variants
    """

    model: Revealing
    recipe: Recipe
    weights: str
    reference: Reference
    held: Scored
    places: NDArray[np.int64]
    features: NDArray[np.float32]
    trained_on: tuple[Sample, ...]
    history: History
    left_out: dict[str, int]
    said: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    compared: dict[str, tuple[Figures, Figures]] = field(default_factory=dict)
    trials: tuple[Trial, ...] = ()


Compared = dict[str, tuple[Figures, Figures]]
"""Validation and test figures of every variant."""


def run_trials(
    study: Study, prepared: Prepared, weights: Path | None, folder: Path, say: Say
) -> tuple[list[Trial], Compared]:
    """Train every variant in a folder of its own and measure it on both held-out parts."""
    trials = [
        run_trial(recipe, prepared, weights, folder / name, say)
        for name, recipe in study.variants.items()
    ]
    compared = {trial.recipe.variant: compare(trial, prepared) for trial in trials}
    return trials, compared


def best_of(trials: Iterable[Trial], compared: Compared) -> Trial:
    """Return the variant with the highest balanced accuracy on the validation part."""
    return max(trials, key=lambda trial: compared[trial.recipe.variant][0].balanced_accuracy.value)


def run_parts(
    study: Study, prepared: Prepared, weights: Path | None, folder: Path, say: Say
) -> Outcome:
    """Train every variant, keep the one with the best validation figures, test them all."""
    trials, compared = run_trials(study, prepared, weights, folder, say)
    best = best_of(trials, compared)
    recipe = best.recipe
    say(f"best on validation: {recipe.variant}")
    held = hold(best, prepared, VALIDATION)
    gate = _gate(best, prepared) if best.network.textured else None
    reference = build_reference(held, recipe.positive, gate)
    return Outcome(
        model=best.network,
        recipe=recipe,
        weights=best.weights,
        reference=reference,
        held=score_part(prepared, TEST, best.said[TEST].logits, reference.temperature),
        places=prepared.places(TEST),
        features=best.said[TEST].features,
        trained_on=tuple(prepared.samples[place] for place in prepared.places("train")),
        history=[row for trial in trials for row in named(trial.history, trial.recipe.variant)],
        left_out=prepared.left_out,
        said={part: answers.logits for part, answers in best.said.items()},
        compared=compared,
        trials=tuple(trials),
    )


def score(
    probs: NDArray[np.float64], samples: Sequence[Sample], raw: NDArray[np.float64] | None = None
) -> Scored:
    """Return predictions with the truth of their samples."""
    labels = np.array([sample.label for sample in samples])
    groups, sources = (tuple(getattr(s, k) for s in samples) for k in ("group", "source"))
    return Scored(probs, labels, groups, sources, raw)


def score_part(
    prepared: Prepared, part: str, logits: NDArray[np.float32], temperature: float
) -> Scored:
    """Return the predictions for a part with their truth, with and without temperature."""
    chosen = [prepared.samples[place] for place in prepared.places(part)]
    return score(soften(logits, temperature), chosen, soften(logits, 1.0))


def hold(trial: Trial, prepared: Prepared, part: str) -> Held:
    """Return what a variant says about a part, for fitting its reference."""
    said, labels = trial.said[part], prepared.labels[prepared.places(part)]
    return Held(said.logits, said.peaks, labels, f"{len(labels)} {part} frames")


def compare(trial: Trial, prepared: Prepared) -> tuple[Figures, Figures]:
    """Return validation and test figures of a variant, tempered on the validation part."""
    positive = trial.recipe.positive_class if trial.recipe.target == "label" else ""
    chosen, tested = (
        measure(score_trial(trial, prepared, part), trial.names, positive)
        for part in (VALIDATION, TEST)
    )
    return chosen, tested


def score_trial(trial: Trial, prepared: Prepared, part: str) -> Scored:
    """Return a variant's predictions for a part, tempered on the validation part."""
    temperature = fit_temperature(trial.said[VALIDATION].logits, trial.truth[VALIDATION])
    scored = score_part(prepared, part, trial.said[part].logits, temperature)
    return replace(scored, labels=trial.truth[part])


def named(history: Sequence[dict[str, float]], run: str) -> History:
    """Return the rows of a history with the training they belong to."""
    return [{"run": run, **row} for row in history]


def _gate(best: Trial, prepared: Prepared) -> Gate:
    """Return the gate of a variant; other organs keep a generated one from being narrow."""
    recipe, seen = best.recipe, best.bank.views
    held = best.banks[VALIDATION].views
    where = f"{len(held)} validation frames"
    textures, unseen = [read_textures(seen)], [read_textures(held)]
    if recipe.phantom:
        others = [_others(best.network, recipe, recipe.phantom, part) for part in FIRST_SEEDS]
        textures.append(read_textures(others[0]))
        unseen.append(read_textures(others[1]))
        organs = ", ".join((recipe.phantom.organ, *recipe.phantom.others))
        where = f"held-out generated frames of {organs}"
    statistics = summarise(np.concatenate(textures))
    distances = statistics.distance(np.concatenate(unseen))
    return build_gate(statistics, distances, best.network.head.channels, where)


def _others(start: Network, recipe: Recipe, phantom: PhantomSet, part: str) -> NDArray[np.float16]:
    inputs = other_inputs(recipe, phantom.others, phantom.validation, FIRST_SEEDS[part])
    plain = recipe if part == "train" else msgspec.structs.replace(recipe, views=1)
    return build_bank(start, inputs, [0] * len(inputs), plain).views
