"""A whole training run: from a recipe and data to a fitted model and figures about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from calib.temperature import fit_temperature, soften
from engines.spec import Gate
from train.bank import Bank, build_bank, draw_weights
from train.data import Sample, check_folds, training_part
from train.fit import answer, fit
from train.gate import build_gate, read_textures, summarise
from train.generated import FIRST_SEEDS, draw_part, other_inputs
from train.loader import load_inputs
from train.metrics import Scored
from train.models import Classifier
from train.recipe import PhantomSet, Recipe
from train.reference import Held, Reference, build_reference

Say = Callable[[str], None]

FOLDS_RULE = (
    "Each published fold is tested by a model trained on the others without any frame of a person "
    "who is in the tested fold. Temperatures for these figures are fitted on the other folds' "
    "held-out frames. "
    "The recipe's settings were chosen on these same folds."
)
PARTS_RULE = (
    "Generated clips; training, validation and test use different seeds. "
    "Figures are of the test seeds. A clip whose finding comes and goes counts once per label."
)


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
    split = _Split(samples, folds)
    held = _hold_out(start, split, bank, recipe, say)
    say("all folds: training the final model")
    model = _train(start, samples, range(len(samples)), bank, recipe, say)
    gate = build_gate(
        summarise(read_textures(bank.views)),
        split.distances(bank),
        model.head.in_features,
        held.where,
    )
    reference = build_reference(held, recipe.classes.index(recipe.positive_class), gate)
    parts = np.array([sample.fold for sample in samples])
    probs = np.empty(held.logits.shape, np.float64)
    for fold in folds:
        here = parts == fold
        probs[here] = soften(held.logits[here], fit_temperature(held.logits[~here], labels[~here]))
    tested, raw = (score(p, samples) for p in (probs, soften(held.logits, 1.0)))
    left_out = {
        fold: len(samples) - len(split.training(fold)) - len(split.tested(fold)) for fold in folds
    }
    return Outcome(
        model, reference, tested, raw, tuple(parts.tolist()), tuple(samples), FOLDS_RULE, left_out
    )


def run_parts(start: Classifier, phantom: PhantomSet, recipe: Recipe, say: Say) -> Outcome:
    """Train on one part of the generated clips, fit on the second, test on the third."""
    parts = {name: draw_part(recipe, phantom, name) for name in FIRST_SEEDS}
    say(", ".join(f"{len(part.samples)} {name} frames" for name, part in parts.items()))
    train, validation, test = parts.values()
    bank = build_bank(start, train.inputs, [s.label for s in train.samples], recipe, train.masks)
    model = _train(start, train.samples, range(len(train.samples)), bank, recipe, say)
    held_views, test_views = (
        _store(start, part.inputs, recipe, views=1) for part in (validation, test)
    )
    found = answer(model, held_views[:, 0])
    labels = np.array([s.label for s in validation.samples])
    held = Held(
        found.logits, found.peaks, labels, f"{phantom.validation} generated validation clips"
    )
    gate = _phantom_gate(start, phantom, recipe, bank.views, held_views)
    reference = build_reference(
        held, recipe.classes.index(recipe.positive_class), gate(model.head.in_features)
    )
    logits = answer(model, test_views[:, 0]).logits
    tested, raw = (score(soften(logits, t), test.samples) for t in (reference.temperature, 1.0))
    return Outcome(
        model, reference, tested, raw, ("test",) * len(logits), train.samples, PARTS_RULE, {}
    )


def score(probs: NDArray[np.float64], samples: Sequence[Sample]) -> Scored:
    """Return predictions with the truth of their samples."""
    labels = np.array([sample.label for sample in samples])
    return Scored(probs, labels, tuple(s.group for s in samples), tuple(s.source for s in samples))


@dataclass(frozen=True, slots=True)
class _Split:
    """Which frames are trained on and tested in each fold, as places in `samples`."""

    samples: Sequence[Sample]
    folds: Sequence[str]

    def tested(self, fold: str) -> list[int]:
        return [place for place, sample in enumerate(self.samples) if sample.fold == fold]

    def training(self, fold: str) -> list[int]:
        allowed = set(training_part(self.samples, fold))
        return [place for place, sample in enumerate(self.samples) if sample in allowed]

    def distances(self, bank: Bank) -> NDArray[np.float64]:
        """Return the distance of each frame to what is trained on when it is tested, (M,)."""
        found = np.empty(len(self.samples))
        for fold in self.folds:
            seen = summarise(read_textures(bank.views[self.training(fold)]))
            tested = self.tested(fold)
            found[tested] = seen.distance(read_textures(bank.views[tested, 0]))
        return found


def _hold_out(start: Classifier, split: _Split, bank: Bank, recipe: Recipe, say: Say) -> Held:
    """Test each fold by a model that saw nobody of it."""
    shape = (len(split.samples), len(recipe.classes))
    logits, peaks = np.empty(shape, np.float32), np.empty(shape, np.float32)
    for fold in split.folds:
        places, tested = split.training(fold), split.tested(fold)
        say(f"fold {fold}: {len(places)} frames to train, {len(tested)} to test")
        model = _train(start, split.samples, places, bank, recipe, say)
        found = answer(model, bank.views[tested, 0])
        logits[tested], peaks[tested] = found.logits, found.peaks
    labels = np.array([sample.label for sample in split.samples])
    return Held(logits, peaks, labels, "out-of-fold frames")


def _train(
    start: Classifier,
    samples: Sequence[Sample],
    places: Sequence[int],
    bank: Bank,
    recipe: Recipe,
    say: Say,
) -> Classifier:
    chosen = [samples[place] for place in places]
    weights = draw_weights([s.label for s in chosen], [s.source for s in chosen])
    return fit(start, bank.part(places, weights), recipe, say)


def _store(start: Classifier, inputs: NDArray[np.uint8], recipe: Recipe, views: int) -> Tensor:
    """Return stored views (M, V, c, h, w) of frames that are not trained on."""
    plain = msgspec.structs.replace(recipe, views=views)
    return build_bank(start, inputs, [0] * len(inputs), plain).views


def _phantom_gate(
    start: Classifier, phantom: PhantomSet, recipe: Recipe, seen: Tensor, held: Tensor
) -> Callable[[int], Gate]:
    """Return what builds the gate; the other organs keep it from being narrow."""
    clips = phantom.validation
    known, novel = (
        other_inputs(recipe, phantom.others, clips, FIRST_SEEDS[name])
        for name in ("train", "validation")
    )
    textures = [read_textures(seen), read_textures(_store(start, known, recipe, recipe.views))]
    statistics = summarise(np.concatenate(textures))
    unseen = [read_textures(held), read_textures(_store(start, novel, recipe, 1))]
    where = f"held-out generated frames of {phantom.organ}, {', '.join(phantom.others)}"
    distances = statistics.distance(np.concatenate(unseen))
    return lambda pooled: build_gate(statistics, distances, pooled, where)
