"""Training speed: an epoch against the same steps on one batch that is already in memory.

Both are measured in turn within one training. The epoch includes everything that happens between
two reports of it: drawing, making views, Lightning, averaging. A ratio of 1 means that the
processor, or the GPU, never waits.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from benchmarks.plan import Plan
from benchmarks.result import Part, Row, times_as_fast
from benchmarks.show import note
from train.fitting.bank import build_bank
from train.fitting.fit import fit
from train.fitting.ranks import fast_device
from train.fitting.task import Reporting, Task, TrainingData
from train.fitting.trained import set_modes
from train.nets.models import build_network
from train.recipe import Recipe

FRAMES = 128
COMMON: dict[str, Any] = {
    "profile": "bench",
    "name": "bench",
    "classes": ("normal", "dilated"),
    "positive_class": "dilated",
    "views": 2,
    "average": 0.99,
    "licence": "none",
    "intended_use": "measuring speed",
}
CASES: dict[str, dict[str, Any]] = {
    "early": {"frozen": "early", "draws": 640, "batch": 32},
    "whole": {"frozen": "none", "draws": 128, "batch": 16},
}


QUICK_DRAWS = {"early": 160, "whole": 48}


def measure(plan: Plan) -> Part:
    """Measure training of a MobileNetV2, with its first stages frozen and whole."""
    pairs = {name: _measure(name, plan) for name in CASES}
    gpu = torch.cuda.is_available()
    where = torch.cuda.get_device_name() if gpu else f"{torch.get_num_threads()} threads"
    return Part(
        name="train",
        about=f"epochs of MobileNetV2 at 224 px, {where}",
        rows=tuple(row for pair in pairs.values() for row in pair),
        ratios=tuple(times_as_fast(name, *pair) for name, pair in pairs.items()),
    )


def _measure(name: str, plan: Plan) -> tuple[Row, Row]:
    """Return samples per second of epochs, and of the same steps in memory.

    Lightning reports after each epoch; the steps in memory are run there. The first epoch warms up.
    """
    note(f"train: {name}")
    case = CASES[name] | ({"draws": QUICK_DRAWS[name]} if plan.quick else {})
    recipe = Recipe(**COMMON, variant=name, epochs=plan.rounds + 1, **case)
    shape = (FRAMES, recipe.input_px, recipe.input_px, 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    start = build_network(recipe)
    data = TrainingData(build_bank(start, pictures, [0, 1] * (FRAMES // 2), recipe))
    memory = _InMemory(data, recipe)
    epoch_hz, memory_hz, began_s = list[float](), list[float](), time.perf_counter()

    def between(_line: str) -> None:
        nonlocal began_s
        epoch_hz.append(recipe.draws / (time.perf_counter() - began_s))
        memory_hz.append(recipe.draws / memory.run(recipe.draws // recipe.batch))
        began_s = time.perf_counter()

    fit(start, data, recipe, None, between)
    return (
        Row(name=f"{name}, epoch", unit="frames/s", role="ours", values=tuple(epoch_hz[1:])),
        Row(name=f"{name}, in memory", unit="frames/s", role="limit", values=tuple(memory_hz[1:])),
    )


class _InMemory:
    """Steps on one batch, with nothing around them."""

    def __init__(self, data: TrainingData, recipe: Recipe) -> None:
        self.device = fast_device()
        network = build_network(recipe).to(memory_format=torch.channels_last)
        silent = Reporting(lambda _text: None, lambda _total: None, None, "")
        self.task = Task(network, data, recipe, silent).to(self.device)
        self.task.begin()
        self.optimizer = self.task.configure_optimizers()["optimizer"]
        set_modes(network, recipe)
        batch = self.task.draws(0).make(0)
        self.batch = batch._make(
            part.to(self.device) if isinstance(part, torch.Tensor) else part for part in batch
        )
        self.run(1)

    def run(self, steps: int) -> float:
        """Return the seconds that some steps take."""
        began_s = time.perf_counter()
        for _ in range(steps):
            with torch.autocast(self.device.type, torch.bfloat16):
                loss = self.task.training_step(self.batch, 0)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began_s
