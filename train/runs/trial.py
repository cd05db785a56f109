"""One variant: from its recipe and prepared frames to a fitted network and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from train.data.prepare import Prepared, Say
from train.data.samples import Sample
from train.data.split import LEFT_OUT, TEST, TRAIN, VALIDATION
from train.fitting.bank import Bank, build_bank, draw_weights, to_planes
from train.fitting.fit import Answers, Fitted, TrainingData, answer, fit
from train.fitting.logistic import fit_logistic
from train.fitting.svc import fit_svc
from train.nets.models import (
    RANDOM,
    Network,
    build_network,
    count_parameters,
    load_backbones,
    settle_norms,
)
from train.recipe import Recipe

SETTLING = 32
"""Training frames that give a random start its normalisation."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A fitted variant.

    Parameters
    ----------
    recipe : of this variant
    network : fitted
    history : one row per epoch
    weights : where its backbone's weights came from
    bank : what was trained on
    banks : held-out frames by part, one view each
    said : what it says about held-out frames, by part; within the true region for an abnormality
        head of a cascade
    truth : shape (M,), the right answers, by part
    """

    recipe: Recipe
    network: Network
    history: list[dict[str, float]]
    weights: str
    bank: Bank
    banks: Mapping[str, Bank]
    said: Mapping[str, Answers]
    truth: Mapping[str, NDArray[np.int64]]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the answers."""
        return self.recipe.regions if self.recipe.target == "region" else self.recipe.classes

    @property
    def answers(self) -> tuple[str, ...]:
        """Names of the network's outputs; an abnormality head has those of all regions."""
        recipe = self.recipe
        if recipe.target == "region" or not recipe.regions:
            return self.names
        return tuple(f"{region} {name}" for region in recipe.regions for name in recipe.classes)

    @property
    def parameters(self) -> tuple[int, int]:
        """Trained and all parameters."""
        return count_parameters(self.network)


def run_trial(
    recipe: Recipe, prepared: Prepared, weights: Path | None, place: Path, say: Say
) -> Trial:
    """Train one variant on the training part and ask it about the others.

    Parameters
    ----------
    weights : see `train.nets.models.load_backbones`
    place : folder of this training's checkpoints
    """
    start, source = start_network(recipe, prepared, weights)
    trained, total = count_parameters(start)
    say(f"{recipe.variant}: {trained:,} of {total:,} parameters are trained; weights: {source}")
    banks = {part: store(start, prepared, part, recipe) for part in (TRAIN, VALIDATION, TEST)}
    bank = banks.pop(TRAIN)
    fitted = fit_by_method(start, TrainingData(bank, banks[VALIDATION]), recipe, place, say)
    said, truth = {}, {}
    for part, held in banks.items():
        found = answer(fitted.network, held.views[:, 0])
        said[part], truth[part] = own_region(found, held.labels.numpy(), recipe)
    return Trial(recipe, fitted.network, fitted.history, source, bank, banks, said, truth)


def start_network(recipe: Recipe, prepared: Prepared, weights: Path | None) -> tuple[Network, str]:
    """Return the network before training and where its weights come from."""
    start = build_network(recipe)
    source = load_backbones(start, recipe, weights)
    if source.startswith(RANDOM):
        places = np.flatnonzero(~np.isin(prepared.parts, (VALIDATION, TEST, LEFT_OUT)))
        chosen = places[np.linspace(0, len(places) - 1, SETTLING).round().astype(int)]
        settle_norms(start, to_planes(prepared.inputs[chosen]))
    return start, source


def fit_by_method(
    start: Network, data: TrainingData, recipe: Recipe, place: Path, say: Say
) -> Fitted:
    """Fit a copy of a network in the way that its recipe names."""
    if recipe.method == "gradient":
        return fit(start, data, recipe, place, say)
    return {"svc": fit_svc, "logistic": fit_logistic}[recipe.method](start, data, recipe)


def store(start: Network, prepared: Prepared, part: str, recipe: Recipe) -> Bank:
    """Return the stored views of a part; only what is trained on has more than one."""
    places = prepared.places(part)
    chosen = [prepared.samples[place] for place in places]
    plain = recipe if part == TRAIN else msgspec.structs.replace(recipe, views=1)
    masks = None if prepared.masks is None else prepared.masks[places]
    bank = build_bank(start, prepared.inputs[places], targets(chosen, recipe), plain, masks)
    weights = draw_weights([s.label for s in chosen], [s.source for s in chosen])
    return bank.part(range(len(chosen)), weights) if part == TRAIN else bank


def targets(samples: list[Sample], recipe: Recipe) -> list[int]:
    """Return what is to be learned: the class, the region, or the class within the region."""
    if recipe.target == "region":
        return [recipe.regions.index(sample.region) for sample in samples]
    if recipe.regions:
        count = len(recipe.classes)
        return [recipe.regions.index(s.region) * count + s.label for s in samples]
    return [sample.label for sample in samples]


def own_region(
    said: Answers, labels: NDArray[np.int64], recipe: Recipe
) -> tuple[Answers, NDArray[np.int64]]:
    """Return the answers for the true region alone, with the class as label."""
    if not recipe.regions or recipe.target == "region":
        return said, labels
    count = len(recipe.classes)
    rows = np.arange(len(labels))
    logits, peaks = (
        values.reshape(len(values), -1, count)[rows, labels // count]
        for values in (said.logits, said.peaks)
    )
    return Answers(logits, peaks, said.features), labels % count
