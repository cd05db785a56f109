"""Fits a network to data: starts or resumes the training, and keeps what came out of it.

A training leaves `last.safetensors` after each epoch and `final.safetensors` when done. Started
again in the same folder it goes on after the last whole epoch, to the same result as if it had not
been interrupted, or returns at once what it had found.
"""

from __future__ import annotations

import copy
import hashlib
import importlib.util
import logging
import signal
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import msgspec
import numpy as np
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from torch import Tensor

from stream import console
from stream.errors import UsageError
from train.fitting.bank import CHUNK
from train.fitting.checkpoint import Checkpoints, read_plain, read_state, write_state
from train.fitting.history import Row, has_stalled
from train.fitting.ranks import follow_first, is_first, meet, rank
from train.fitting.task import RECORD, Reporting, Task, TrainingData
from train.fitting.trained import read_weights, with_weights
from train.nets.models import Network
from train.recipe import Recipe

LAST, FINAL = "last.safetensors", "final.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a network says about M frames, float32.

    Parameters
    ----------
    logits : shape (M, C)
    peaks : shape (M, C), maximum of each class map
    features : shape (M, D), what enters the last layer
    """

    logits: NDArray[np.float32]
    peaks: NDArray[np.float32]
    features: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted network, in inference mode on the CPU, and one row per epoch of how it came."""

    network: Network
    history: list[Row]


def fit(
    start: Network,
    data: TrainingData,
    recipe: Recipe,
    place: Path | None,
    say: Callable[[str], None],
) -> Fitted:
    """Train a copy of `start`, on the GPU if there is one, with all processes of torchrun.

    The same recipe, seed, machine and number of threads give the same weights, interrupted or not.
    With several processes each does its share of every batch, so that the gradient is that of the
    whole batch; only batch normalisation that is trained sees a process's share alone.

    Parameters
    ----------
    place : folder of this training alone; one that is there already is resumed. None for no files
    say : told the loss after each epoch, in the first process

    Raises
    ------
    UsageError
        If the folder holds a training of another start, recipe or data, or the loss is no number.
    StorageError
        If the folder holds something else under the name of a checkpoint.
    """
    _check(data, recipe)
    meet()
    digest = identify(start, data, recipe)
    found = _find(place, digest)
    if found and found.name == FINAL:
        result = read_state(found)
        return Fitted(with_weights(start, result["weights"]), result["rows"])
    with _open_bar(recipe) as tick:
        network = copy.deepcopy(start).to(memory_format=torch.channels_last)
        told = say if is_first() else lambda _text: None
        reporting = Reporting(told, tick, place and place / LAST, digest)
        task = Task(network, data, recipe, reporting, rank())
        _run(task, found, place)
    weights = task.best if recipe.keep == "best" else read_weights(task.judged, task.kept)
    if place and is_first():
        write_state(place / FINAL, {"digest": digest, "rows": task.rows, "weights": weights})
        (place / LAST).unlink(missing_ok=True)
    return Fitted(with_weights(start, weights), task.rows)


def identify(start: Network, data: TrainingData, recipe: Recipe) -> str:
    """Return the sha256 of all that decides the result of a training on one machine."""
    found = hashlib.sha256(msgspec.json.encode(recipe))
    for bank in (data.bank, data.validation):
        if bank:
            found.update(bank.digest.encode())
            found.update(bank.labels.numpy().tobytes() + bank.weights.numpy().tobytes())
    for name, tensor in start.state_dict().items():
        found.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _check(data: TrainingData, recipe: Recipe) -> None:
    judged = recipe.keep == "best" or recipe.stop or recipe.plateau
    if judged and data.validation is None:
        raise ValueError("keep = best, stop and plateau need validation frames; there are none")
    if recipe.point and not data.bank.masks.numel():
        raise ValueError("point needs masks of the finding; there are none")


def _find(place: Path | None, digest: str) -> Path | None:
    """Return the file to go on from, the same in every process, or None to start.

    Raises
    ------
    UsageError
        If it is of another training.
    """
    if place is None:
        return None
    files = [None, place / LAST, place / FINAL]
    there = max(number for number, file in enumerate(files) if file is None or file.is_file())
    found = files[follow_first(there)]
    if found is None:
        return None
    plain = read_plain(found)
    if plain.get("digest", plain.get(RECORD, {}).get("digest")) != digest:
        raise UsageError(
            str(found), "is of a training of another recipe, data or start", "delete it"
        )
    return found


def _open_bar(recipe: Recipe) -> Any:
    """Return a context with what to call per frame; a bar on the first process's terminal."""
    return console.progress(recipe.variant) if is_first() else nullcontext(lambda _total: None)


def _run(task: Task, found: Path | None, place: Path | None) -> None:
    """Train to the end, from a checkpoint if there is one."""
    if found:
        state = read_state(found)
        rows = state[RECORD]["rows"]
        task.reporting.say(f"goes on after epoch {len(rows)}")
        if len(rows) == task.recipe.epochs or has_stalled(rows, task.recipe.stop):
            task.load_state_dict(state["state_dict"], strict=False)
            task.on_load_checkpoint(state)
            return
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\.")
        try:
            _open_trainer(task, place).fit(task, ckpt_path=found)
        except SystemExit as end:  # how Lightning, which then ignores it, answers an interrupt
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if end.code == 128 + signal.SIGTERM:  # not Lightning's, but the command's own
                raise
            raise KeyboardInterrupt from end


def _open_trainer(task: Task, place: Path | None) -> lightning.Trainer:
    gpu, world = torch.cuda.is_available(), task.rank.world
    half = "bf16-mixed" if not gpu or torch.cuda.is_bf16_supported() else "16-mixed"
    board = place and importlib.util.find_spec("tensorboard")
    return lightning.Trainer(
        accelerator="gpu" if gpu else "cpu",
        devices=task.rank.here,
        num_nodes=task.rank.machines,
        strategy="ddp" if world > 1 else "auto",
        precision=half,
        deterministic="warn" if gpu else None,
        max_epochs=task.recipe.epochs,
        plugins=[Checkpoints()],
        logger=TensorBoardLogger(place, "tensorboard", "") if board else False,
        reload_dataloaders_every_n_epochs=1,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


@torch.no_grad()
def answer(network: Network, views: Tensor) -> Answers:
    """Run a network in inference mode over stored views or frames (M, c, h, w), in float32."""
    head, parts = network.head, []
    device = next(network.parameters()).device
    for start in range(0, len(views), CHUNK):
        maps = network.tail(views[start : start + CHUNK].to(device).float())
        said = (head.logits(maps), head.cam(maps).amax((2, 3)), head.penultimate(maps))
        parts.append([values.cpu().numpy() for values in said])
    return Answers(*(np.concatenate(group) for group in zip(*parts, strict=True)))
