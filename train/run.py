"""A whole training run: from a recipe and data to a fitted model and figures about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from calib.temperature import fit_temperature, soften
from train.bank import Bank, build_bank, draw_weights
from train.data import Sample, check_folds, training_part
from train.fit import Answers, answer, fit
from train.generated import FIRST_SEEDS, Part, draw_part, other_inputs
from train.loader import load_inputs
from train.metrics import Scored
from train.models import Classifier
from train.recipe import PhantomSet, Recipe
from train.reference import Held, Reference, build_reference, feature_distance, feature_statistics

Say = Callable[[str], None]

FOLDS_RULE = (
    "Each published fold is tested by a model trained on the others without any frame of a person who is in the "
    "tested fold. Temperatures for these figures are fitted on the other folds' held-out frames. "
    "The recipe's settings were chosen on these same folds."
)
PARTS_RULE = "Generated clips; training, validation and test use different seeds. Figures are of the test seeds."


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A fitted model with its reference and its held-out predictions.

    Parameters
    ----------
    model : trained on everything that may be trained on
    reference : what is written into its spec
    tested, raw : the same held-out predictions with and without temperature
    parts : N names of folds
    trained_on : samples of the training list
    split : how frames were held out, in words
    left_out : per fold, frames kept out to keep people apart
    """

    model: Classifier
    reference: Reference
    tested: Scored
    raw: Scored
    parts: tuple[str, ...]
    trained_on: tuple[Sample, ...]
    split: str
    left_out: dict[str, int]


def run_folds(start: Classifier, samples: Sequence[Sample], recipe: Recipe, say: Say) -> Outcome:
    """Cross-validate over the folds of a table, then train on all of it.

    Raises
    ------
    UsageError
        C05 when the folds cannot be cross-validated.
    """
    folds = check_folds(recipe.name, samples, recipe.classes)
    labels = np.array([sample.label for sample in samples])
    inputs = load_inputs(samples, (recipe.input_px, recipe.input_px), recipe.fit)
    bank = build_bank(start, inputs, labels.tolist(), recipe)
    say(f"{len(samples)} frames stored as {recipe.views} views each")
    held, left_out = _hold_out(start, samples, bank, recipe, say)
    say("all folds: training the final model")
    model = _train(start, samples, range(len(samples)), bank, recipe, say)
    features = answer(model, bank.views[:, 0], recipe.frozen_blocks).features
    reference = build_reference(held, recipe.classes.index(recipe.positive_class), features)
    parts = np.array([sample.fold for sample in samples])
    probs = np.empty(held.logits.shape, np.float64)
    for fold in folds:
        here = parts == fold
        probs[here] = soften(held.logits[here], fit_temperature(held.logits[~here], labels[~here]))
    tested, raw = (score(p, samples) for p in (probs, soften(held.logits, 1.0)))
    return Outcome(model, reference, tested, raw, tuple(parts.tolist()), tuple(samples), FOLDS_RULE, left_out)


def run_parts(start: Classifier, phantom: PhantomSet, recipe: Recipe, say: Say) -> Outcome:
    """Train on one part of the generated clips, fit on the second, test on the third."""
    parts = {name: draw_part(recipe, phantom, name) for name in FIRST_SEEDS}
    say(", ".join(f"{len(part.samples)} {name} frames" for name, part in parts.items()))
    train = parts["train"]
    bank = build_bank(start, train.inputs, [s.label for s in train.samples], recipe, train.masks)
    model = _train(start, train.samples, range(len(train.samples)), bank, recipe, say)
    others = [_look(model, start, other_inputs(recipe, phantom.others, phantom.validation, seed), recipe) for seed in (0, 1_000_000)]
    seen = np.concatenate([answer(model, bank.views[:, 0], recipe.frozen_blocks).features, others[0].features])
    validation, test = (_look(model, start, parts[name].inputs, recipe) for name in ("validation", "test"))
    novel = np.concatenate([validation.features, others[1].features])
    labels = np.array([s.label for s in parts["validation"].samples])
    distances = feature_distance(novel, feature_statistics(seen))
    where = f"{phantom.validation} generated validation clips"
    held = Held(validation.logits, validation.peaks, labels, distances, where)
    reference = build_reference(held, recipe.classes.index(recipe.positive_class), seen)
    tested, raw = (score(soften(test.logits, t), parts["test"].samples) for t in (reference.temperature, 1.0))
    names = ("test",) * len(test.logits)
    return Outcome(model, reference, tested, raw, names, train.samples, PARTS_RULE, {})


def score(probs: NDArray[np.float64], samples: Sequence[Sample]) -> Scored:
    """Return predictions with the truth of their samples."""
    labels = np.array([sample.label for sample in samples])
    return Scored(probs, labels, tuple(s.group for s in samples), tuple(s.source for s in samples))


def _hold_out(
    start: Classifier, samples: Sequence[Sample], bank: Bank, recipe: Recipe, say: Say
) -> tuple[Held, dict[str, int]]:
    """Test each fold by a model that saw nobody of it."""
    folds = np.array([sample.fold for sample in samples])
    distances, left_out = np.empty(len(samples)), {}
    answers: list[tuple[NDArray[np.int64], Answers]] = []
    for fold in np.unique(folds).tolist():
        allowed = set(training_part(samples, fold))
        places = [place for place, sample in enumerate(samples) if sample in allowed]
        tested = np.flatnonzero(folds == fold)
        left_out[fold] = len(samples) - len(places) - len(tested)
        say(f"fold {fold}: {len(places)} frames to train, {len(tested)} to test, {left_out[fold]} left out")
        model = _train(start, samples, places, bank, recipe, say)
        trained, found = (answer(model, bank.views[rows, 0], recipe.frozen_blocks) for rows in (places, tested))
        distances[tested] = feature_distance(found.features, feature_statistics(trained.features))
        answers.append((tested, found))
    order = np.argsort(np.concatenate([rows for rows, _ in answers]))
    logits, peaks = (np.concatenate([getattr(a, name) for _, a in answers])[order] for name in ("logits", "peaks"))
    labels = np.array([sample.label for sample in samples])
    return Held(logits, peaks, labels, distances, "out-of-fold frames"), left_out


def _train(
    start: Classifier, samples: Sequence[Sample], places: Sequence[int], bank: Bank, recipe: Recipe, say: Say
) -> Classifier:
    chosen = [samples[place] for place in places]
    weights = draw_weights([s.label for s in chosen], [s.source for s in chosen])
    return fit(start, bank.part(places, weights), recipe, say)


def _look(model: Classifier, start: Classifier, inputs: NDArray[np.uint8], recipe: Recipe) -> Answers:
    """Return what `model` says about model inputs that are stored nowhere."""
    single = recipe.single_view()
    views = build_bank(start, inputs, [0] * len(inputs), single).views[:, 0]
    return answer(model, views, recipe.frozen_blocks)
