"""The training loop over stored views, and what a fitted network says about frames."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from train.bank import CHUNK, Bank, Draws
from train.models import FROZEN_STAGES, Classifier
from train.recipe import Recipe


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a network says about M frames, float32.

    Parameters
    ----------
    logits : shape (M, C)
    peaks : shape (M, C), maximum of each class map
    """

    logits: NDArray[np.float32]
    peaks: NDArray[np.float32]


class _Task(lightning.LightningModule):
    """The trainable stages under AdamW with one learning-rate cycle."""

    def __init__(
        self, model: Classifier, recipe: Recipe, steps: int, say: Callable[[str], None]
    ) -> None:
        super().__init__()
        self.model, self.recipe, self.steps = model, recipe, steps
        self.say = say
        self.mix = np.random.default_rng(recipe.seed + 2)
        for part in (model.body.conv_stem, model.body.bn1, model.body.blocks[:FROZEN_STAGES]):
            part.requires_grad_(False)

    def on_train_epoch_start(self) -> None:
        self.loss_sum = 0.0
        self.model.train()
        if not self.recipe.tune_norms:
            for module in self.model.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()

    def training_step(self, batch: tuple[Tensor, Tensor, Tensor], place: int) -> Tensor:
        views, labels, masks = batch
        recipe, model = self.recipe, self.model
        targets = functional.one_hot(labels, model.head.out_features).float()
        if recipe.mixup:
            share = float(self.mix.beta(recipe.mixup, recipe.mixup))
            views = share * views + (1 - share) * views.flip(0)
            targets = share * targets + (1 - share) * targets.flip(0)
        maps = model.tail(views.contiguous(memory_format=torch.channels_last)).float()
        logits = model.head(model.drop(maps.mean((2, 3))))
        loss = functional.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
        if not recipe.point:
            return loss
        weight = model.head.weight[recipe.classes.index(recipe.positive_class)]
        return loss + recipe.point * pointing_loss(torch.einsum("nkhw,k->nhw", maps, weight), masks)

    def on_train_batch_end(self, outputs: dict[str, Tensor], batch: object, place: int) -> None:
        self.loss_sum += float(outputs["loss"].detach())

    def on_train_epoch_end(self) -> None:
        mean = self.loss_sum * self.recipe.epochs / self.steps
        self.say(f"epoch {self.current_epoch + 1} of {self.recipe.epochs}: loss {mean:.3f}")

    def configure_optimizers(self) -> dict[str, object]:
        recipe = self.recipe
        trained = [p for p in self.model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            trained, recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.learning_rate, self.steps, pct_start=0.2
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}


def pointing_loss(scores: Tensor, masks: Tensor) -> Tensor:
    """Return how surprising it is that the map's peak lies on the finding, averaged over findings.

    The softmax over the map is read as the probability that its peak lies in a cell.

    Parameters
    ----------
    scores : shape (N, h, w), map of the positive class before scaling
    masks : shape (N, h, w), uint8, 255 where a cell lies wholly on the finding
    """
    inside = masks.flatten(1).float() / 255
    seen = inside.amax(1) > 0.5
    chance = torch.softmax(scores.flatten(1), 1)
    surprise = -torch.log((chance * inside.square()).sum(1).clamp_min(1e-6))
    return (surprise * seen).sum() / seen.sum().clamp_min(1)


def fit(start: Classifier, bank: Bank, recipe: Recipe, say: Callable[[str], None]) -> Classifier:
    """Train a copy of `start` on the bank's frames and return it, ready for inference.

    The same recipe, seed, machine and number of threads give the same weights.

    Parameters
    ----------
    say : told the loss after each epoch
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    lightning.seed_everything(recipe.seed, verbose=False)
    model = copy.deepcopy(start).to(memory_format=torch.channels_last)
    draws = Draws(bank, recipe)
    task = _Task(model, recipe, recipe.epochs * len(draws), say)
    averaging = [EMAWeightAveraging(decay=recipe.average)] if recipe.average else []
    trainer = lightning.Trainer(
        accelerator="cpu",
        precision="bf16-mixed",
        max_epochs=recipe.epochs,
        callbacks=averaging,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model.train()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        trainer.fit(task, draws)
    return model.to(memory_format=torch.contiguous_format).eval()


@torch.no_grad()
def answer(model: Classifier, views: Tensor) -> Answers:
    """Run a fitted network over stored views of shape (M, c, h, w), in float32."""
    weight = model.head.weight[:, :, None, None]
    parts: list[tuple[NDArray[np.float32], ...]] = []
    for start in range(0, len(views), CHUNK):
        maps = model.tail(views[start : start + CHUNK].float())
        cam = functional.conv2d(maps, weight / (maps.shape[2] * maps.shape[3]))
        parts.append((model.head(maps.mean((2, 3))).numpy(), cam.amax((2, 3)).numpy()))
    return Answers(*(np.concatenate(group) for group in zip(*parts, strict=True)))
