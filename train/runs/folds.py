"""Cross-validation over the folds of a table, then a model of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from calib.temperature import fit_temperature, soften
from engines.spec import Gate
from train.data.prepare import Prepared, Say
from train.data.samples import training_part
from train.fitting.bank import Bank, build_bank, draw_weights
from train.fitting.fit import Answers, TrainingData, answer
from train.nets.models import Network
from train.recipe import Recipe
from train.runs.parts import History, Outcome, named, score
from train.runs.trial import fit_by_method, start_network
from train.scoring.gate import build_gate, read_textures, summarise
from train.scoring.reference import Held, build_reference


def run_folds(
    recipe: Recipe, prepared: Prepared, weights: Path | None, folder: Path, say: Say
) -> Outcome:
    """Cross-validate over the folds of a table, then train on all of it."""
    start, source = start_network(recipe, prepared, weights)
    say(f"{recipe.variant}: weights: {source}")
    labels = prepared.labels
    bank = build_bank(start, prepared.inputs, labels.tolist(), recipe)
    split = _Folds(prepared, bank, recipe, folder)
    answers, history = split.hold_out(start, say)
    say("all folds: training the final model")
    everyone = range(len(labels))
    fitted = fit_by_method(start, split.data(everyone), recipe, folder / "all", say)
    held = Held(answers.logits, answers.peaks, labels, "out-of-fold frames")
    gate = split.gate(fitted.network, held.where) if start.textured else None
    probs = np.empty(held.logits.shape, np.float64)
    for fold in split.folds:
        here = prepared.parts == fold
        probs[here] = soften(held.logits[here], fit_temperature(held.logits[~here], labels[~here]))
    return Outcome(
        model=fitted.network,
        recipe=recipe,
        weights=source,
        reference=build_reference(held, recipe.positive, gate),
        held=score(probs, prepared.samples, soften(held.logits, 1.0)),
        places=np.arange(len(labels)),
        features=answers.features,
        trained_on=prepared.samples,
        history=history + named(fitted.history, f"{recipe.variant}, all folds"),
        left_out={fold: split.left_out(fold) for fold in split.folds},
    )


@dataclass(frozen=True, slots=True)
class _Folds:
    """Which frames are trained on and tested in each fold, as places in the prepared ones."""

    prepared: Prepared
    bank: Bank
    recipe: Recipe
    folder: Path

    @property
    def folds(self) -> list[str]:
        return sorted(set(self.prepared.parts.tolist()))

    def training(self, fold: str) -> list[int]:
        samples = self.prepared.samples
        if self.recipe.split.by == "image":
            return np.flatnonzero(self.prepared.parts != fold).tolist()
        allowed = set(training_part(samples, fold))
        return [place for place, sample in enumerate(samples) if sample in allowed]

    def left_out(self, fold: str) -> int:
        tested = len(self.prepared.places(fold))
        return len(self.prepared.samples) - len(self.training(fold)) - tested

    def data(self, places: Sequence[int]) -> TrainingData:
        chosen = [self.prepared.samples[place] for place in places]
        weights = draw_weights([s.label for s in chosen], [s.source for s in chosen])
        return TrainingData(self.bank.part(places, weights))

    def hold_out(self, start: Network, say: Say) -> tuple[Answers, History]:
        """Test each fold by a model that saw nobody of it."""
        parts: list[Answers] = []
        history: History = []
        for fold in self.folds:
            places, tested = self.training(fold), self.prepared.places(fold)
            say(f"fold {fold}: {len(places)} frames to train, {len(tested)} to test")
            fitted = fit_by_method(
                start, self.data(places), self.recipe, self.folder / f"fold-{fold}", say
            )
            parts.append(answer(fitted.network, self.bank.views[tested, 0]))
            history += named(fitted.history, f"{self.recipe.variant}, without fold {fold}")
        order = np.argsort(np.concatenate([self.prepared.places(fold) for fold in self.folds]))
        joined = (
            np.concatenate([getattr(part, kind) for part in parts])[order]
            for kind in ("logits", "peaks", "features")
        )
        return Answers(*joined), history

    def gate(self, network: Network, where: str) -> Gate:
        """Return the gate; each frame's distance is to what is trained on when it is tested."""
        views = self.bank.views
        distances = np.empty(len(views))
        for fold in self.folds:
            seen = summarise(read_textures(views[self.training(fold)]))
            tested = self.prepared.places(fold)
            distances[tested] = seen.distance(read_textures(views[tested, 0]))
        everyone = summarise(read_textures(views))
        return build_gate(everyone, distances, network.head.channels, where)
