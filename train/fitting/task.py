"""One training as Lightning runs it: what is done per batch and at the end of an epoch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from stream.errors import UsageError
from train.fitting.bank import Bank
from train.fitting.draws import Batch, Draws, feed, mix_seed
from train.fitting.history import Row, count_drops, has_stalled, is_best
from train.fitting.losses import count_right, label_loss, pointing_loss, weigh_classes
from train.fitting.ranks import ALONE, Rank, add_up, is_first
from train.fitting.trained import (
    SharedDropout,
    average_of,
    measure,
    read_weights,
    set_modes,
    trained_names,
)
from train.nets.models import Network
from train.recipe import Recipe

RECORD = "training"
"""Key in a checkpoint of what Lightning does not know."""
WORKERS = 8
"""Processes that make views ahead where a GPU trains the whole network. A core makes a view of
224 px in 4 ms. Without a GPU they would only take time from the training, which needs 80 ms."""
WARM_UP = 0.2
"""Share of the cycle in which the learning rate rises."""


@dataclass(frozen=True, slots=True)
class Reporting:
    """Where a training tells about itself.

    Parameters
    ----------
    say : takes one line after each epoch
    tick : called once per frame with the number of all frames to come
    file : checkpoint to write after each epoch, or None
    digest : of start, data and recipe; written into checkpoints
    """

    say: Callable[[str], None]
    tick: Callable[[int | None], None]
    file: Path | None
    digest: str


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """What one training learns from, and what it is judged by.

    Parameters
    ----------
    bank : the training part
    validation : frames to judge each epoch by, of which view 0 counts, or None
    """

    bank: Bank
    validation: Bank | None = None


class Task(lightning.LightningModule):
    """Trains what is not frozen, and keeps the rows of its history.

    Parameters
    ----------
    network : changed in place
    data : what to learn from
    recipe : how
    reporting : where to tell
    rank : which of several processes this one is
    """

    def __init__(
        self,
        network: Network,
        data: TrainingData,
        recipe: Recipe,
        reporting: Reporting,
        rank: Rank = ALONE,
    ) -> None:
        super().__init__()
        self.network, self.recipe, self.reporting, self.rank = network, recipe, reporting, rank
        self.bank, self.validation = data.bank, data.validation
        self.average = average_of(network, recipe.average) if recipe.average else None
        network.head.drop = SharedDropout(recipe.drop)
        self.groups = (len(recipe.regions) or 1) if recipe.target == "label" else 1
        self.classes = len(network.head.spread)
        labels = self.bank.labels[self.bank.chosen()]
        weights = weigh_classes(labels, self.classes)
        self.register_buffer(
            "weights", weights if recipe.class_weights else torch.ones_like(weights), False
        )
        self.kept = trained_names(network)
        self.frames_in_all = recipe.epochs * len(self.draws(0).frames)
        self.rows: list[Row] = []
        self.best: dict[str, Tensor] = {}
        self.strict_loading = False

    @property
    def judged(self) -> Network:
        """The network that validation and the result are about."""
        return self.average.module if self.average else self.network

    def draws(self, epoch: int) -> Draws:
        """Return the batches of an epoch."""
        return Draws(self.bank, self.recipe, self.classes, epoch, self.rank)

    def train_dataloader(self) -> Draws | DataLoader[Batch]:
        """Return the batches of this epoch; Lightning asks anew for each."""
        ahead = self.recipe.whole and self.device.type == "cuda"
        return feed(self.draws(self.current_epoch), WORKERS if ahead else 0)

    def begin(self) -> None:
        """Set the sums of the epoch and its clock to nothing."""
        self.sums = torch.zeros(3, dtype=torch.float64, device=self.device)
        self.began_s = time.monotonic()

    def on_train_epoch_start(self) -> None:
        """Seed what is random by the epoch's number and set the modes and, for Adam, the rate."""
        seed = mix_seed(self.recipe.seed, 3, self.current_epoch)
        torch.manual_seed(seed)
        self.network.head.drop.generator.manual_seed(seed)
        set_modes(self.network, self.recipe)
        if self.recipe.optimizer == "adam":
            factor = self.recipe.plateau.factor if self.recipe.plateau else 1.0
            rate = self.recipe.learning_rate * factor ** count_drops(self.rows, self.recipe.plateau)
            for group in self.trainer.optimizers[0].param_groups:
                group["lr"] = rate
        self.begin()

    def training_step(self, batch: Batch, place: int) -> Tensor:
        """Return this process's part of the mean loss over the whole batch."""
        drop = self.network.head.drop
        drop.places, drop.size = batch.places, batch.size
        views = batch.views.float().contiguous(memory_format=torch.channels_last)
        maps = self.network.tail(views).float()
        with torch.autocast(maps.device.type, enabled=False):
            logits = self.network.head.logits(maps)
            surprise = label_loss(
                logits, batch.targets, self.groups, self.recipe.label_smoothing
            ) * (batch.targets @ self.weights)
            loss = (surprise * batch.shares).sum()
            if self.recipe.point:
                loss = loss + self.recipe.point * self._point(maps, batch)
        right = count_right(logits.detach(), batch.targets, self.groups) * (batch.shares > 0)
        self.sums += torch.stack(
            [loss.detach() * batch.size, right.sum(), batch.shares.gt(0).sum()]
        )
        # Lightning averages gradients over processes; the parts have to be added.
        return loss * self.rank.world

    def _point(self, maps: Tensor, batch: Batch) -> Tensor:
        row = 0 if self.recipe.head.single else self.recipe.positive
        scores = torch.einsum("nkhw,k->nhw", maps, self.network.head.last.weight[row])
        return pointing_loss(scores, batch.masks, batch.found)

    def on_train_batch_end(self, outputs: object, batch: Batch, place: int) -> None:
        """Move the averaged weights along, and the progress bar."""
        if self.average:
            self.average.update_parameters(self.network)
        for _ in range(batch.size):
            self.reporting.tick(self.frames_in_all)

    def on_train_epoch_end(self) -> None:
        """Judge, note the row, decide, and write the checkpoint."""
        loss, right, items = add_up(self.sums).tolist()
        row = {"epoch": self.current_epoch + 1, "train_loss": loss / items}
        row["train_accuracy"] = right / items
        if self.validation:
            found = add_up(measure(self.judged.eval(), self.validation, self.groups))
            row["val_loss"], row["val_accuracy"] = (found / self.rank.world).tolist()
        self._refuse_divergence(row)
        row["learning_rate"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        row["seconds"] = time.monotonic() - self.began_s
        self.rows.append(row)
        if self.recipe.keep == "best" and is_best(self.rows):
            self.best = read_weights(self.judged, self.kept)
        self.trainer.should_stop = has_stalled(self.rows, self.recipe.stop)
        self._tell(row)
        if self.reporting.file:
            self.trainer.save_checkpoint(self.reporting.file)

    def _refuse_divergence(self, row: Row) -> None:
        for name, value in row.items():
            if not math.isfinite(value):
                raise UsageError(
                    self.recipe.variant,
                    f"{name} of epoch {row['epoch']} is {value}: the training has diverged",
                    "lower learning_rate",
                )

    def _tell(self, row: Row) -> None:
        if self.logger and is_first():
            self.logger.log_metrics(row, self.current_epoch)
        words = f"epoch {row['epoch']} of {self.recipe.epochs}: loss {row['train_loss']:.3f}"
        if "val_loss" in row:
            words += f", validation {row['val_loss']:.3f}"
        self.reporting.say(words)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave out what is frozen and add the rows and the best weights."""
        checkpoint["state_dict"] = {
            name: value
            for name, value in checkpoint["state_dict"].items()
            if name.removeprefix("network.").removeprefix("average.module.") in self.kept
            or name == "average.n_averaged"
        }
        checkpoint[RECORD] = {
            "digest": self.reporting.digest,
            "rows": self.rows,
            "best": self.best,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take over the rows and the best weights."""
        self.rows, self.best = checkpoint[RECORD]["rows"], checkpoint[RECORD]["best"]

    def configure_optimizers(self) -> Any:
        """Return AdamW in one cycle of the rate, or Adam without weight decay."""
        recipe = self.recipe
        trained = [p for p in self.network.parameters() if p.requires_grad]
        if recipe.optimizer == "adam":
            return torch.optim.Adam(trained, recipe.learning_rate)
        optimizer = torch.optim.AdamW(
            trained, recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        steps = recipe.epochs * len(self.draws(0))
        cycle = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, recipe.learning_rate, steps, pct_start=WARM_UP
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": cycle, "interval": "step"}}
