"""Training speed: an epoch against the same steps on one batch that is already in memory.

Both are measured in turn within one training. The epoch includes everything that happens between
two reports of it: drawing, making views, Lightning, averaging. A ratio of 1 means that the
processor, or the GPU, never waits.
"""

from __future__ import annotations

import json
import statistics
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import describe_machine
from stream import console
from train.fitting.bank import build_bank
from train.fitting.fit import fit
from train.fitting.ranks import fast_device
from train.fitting.task import Reporting, Task, TrainingData
from train.fitting.trained import set_modes
from train.nets.models import build_network
from train.recipe import Recipe

BUDGETS = Path(__file__).with_name("budgets.toml")
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


def bench(*, rounds: int, out: Path) -> int:
    """Measure training of a MobileNetV2, with its first stages frozen and whole.

    Prints samples per second and their ratio to steps on a batch in memory; exits 1 when a budget
    is missed.

    Parameters
    ----------
    rounds
        Epochs of each; the median counts.
    out
        JSON file to write.
    """
    cases = {name: _measure(name, rounds) for name in CASES}
    gpu = torch.cuda.is_available()
    result = {
        "bench": "train",
        "machine": describe_machine(),
        "device": torch.cuda.get_device_name() if gpu else "CPU",
        "threads": torch.get_num_threads(),
        "rounds": rounds,
        "cases": cases,
    }
    missed = _missed({name: case["ratio"] for name, case in cases.items()})
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    rows = [
        (name, f"{case['epoch_hz']:.1f}", f"{case['memory_hz']:.1f}", f"{case['ratio']:.2f}")
        for name, case in cases.items()
    ]
    title = f"Training, MobileNetV2 at 224 px, {result['device']}"
    console.show_table(title, ("case", "frames/s", "in memory", "ratio"), rows)
    for line in missed:
        console.warn(f"budget missed: {line}")
    console.say(f"figures: {out}")
    return 1 if missed else 0


def _measure(name: str, rounds: int) -> dict[str, Any]:
    """Return samples per second of epochs and of steps in memory, medians, and their ratio.

    Lightning reports after each epoch; the steps in memory are run there. The first epoch warms up.
    """
    recipe = Recipe(**COMMON, variant=name, epochs=rounds + 1, **CASES[name])
    shape = (FRAMES, recipe.input_px, recipe.input_px, 3)
    pictures = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    start = build_network(recipe)
    data = TrainingData(build_bank(start, pictures, [0, 1] * (FRAMES // 2), recipe))
    memory = _InMemory(data, recipe)
    epoch_s, memory_s, began_s = [], [], time.perf_counter()

    def between(_line: str) -> None:
        nonlocal began_s
        epoch_s.append(time.perf_counter() - began_s)
        memory_s.append(memory.run(recipe.draws // recipe.batch))
        began_s = time.perf_counter()

    fit(start, data, recipe, None, between)
    pairs = list(zip(epoch_s[1:], memory_s[1:], strict=True))
    return {
        "batch": recipe.batch,
        "input_px": recipe.input_px,
        "epoch_hz": statistics.median(recipe.draws / epoch for epoch, _ in pairs),
        "memory_hz": statistics.median(recipe.draws / steps for _, steps in pairs),
        "ratio": statistics.median(steps / epoch for epoch, steps in pairs),
    }


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


def _missed(ratios: dict[str, float]) -> list[str]:
    budgets = tomllib.loads(BUDGETS.read_text())["train"]["at_least"]
    return [
        f"{name} is {ratios[name]:.2f}, wanted at least {bound}"
        for name, bound in budgets.items()
        if ratios[name] < bound
    ]
