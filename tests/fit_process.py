"""Programs for tests of training in processes of their own."""

import hashlib
import json
import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np
import torch

from tests.networks import make_recipe
from train.fitting.bank import build_bank
from train.fitting.checkpoint import read_plain
from train.fitting.fit import LAST, TrainingData, answer, fit
from train.fitting.task import RECORD
from train.fitting.trained import read_weights, trained_names
from train.nets.models import build_network
from train.recipe import HeadPlan, Stop

EVERYTHING = {
    "backbones": ("mobilenetv2_100",),
    "frozen": "early",
    "neck": 16,
    "average": 0.9,
    "mixup": 0.3,
    "drop": 0.3,
    "keep": "best",
    "stop": Stop(min_delta=0.0, patience=50),
    "epochs": 6,
}
FROZEN = {
    "head": HeadPlan(hidden=(8,)),
    "mixup": 0.3,
    "drop": 0.3,
    "class_weights": True,
    "draws": 0,
    "learning_rate": 0.1,
    "epochs": 6,
}


def make_case(**changes):
    """Return start, data and recipe of a small training: 43 bright or dark pictures."""
    recipe = make_recipe(**{"views": 3, "draws": 45, "batch": 8, **changes})
    start = build_network(recipe)
    pictures = np.random.default_rng(0).integers(0, 256, (54, 64, 64, 3)).astype(np.uint8)
    labels = (np.arange(54) % 3 == 0).astype(int)
    pictures[labels == 1] //= 2
    banks = [
        build_bank(start, pictures[part], labels[part].tolist(), recipe)
        for part in (slice(43), slice(43, None))
    ]
    return start, TrainingData(*banks), recipe


def train_into(folder: Path, case) -> None:
    """Train in `folder` and write there what came of it, but for the times."""
    start, data, recipe = case
    fitted = fit(start, data, recipe, folder, lambda _text: None)
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in fitted.history]
    weights = read_weights(fitted.network, trained_names(fitted.network))
    said = answer(fitted.network, data.validation.views[:, 0]).logits.tolist()
    stored = b"".join(weights[name].numpy().tobytes() for name in sorted(weights))
    digest = hashlib.sha256(stored).hexdigest()
    result = {"rows": rows, "weights": digest, "said": said}
    (folder / "result.json").write_text(json.dumps(result))


def train_killed(folder: Path, kills: int) -> None:
    """Train without interruption, then again with kills at random moments; print the epochs."""
    torch.set_num_threads(1)
    case = make_case(**EVERYTHING)
    began_s = time.monotonic()
    _start(folder / "whole", case).join()
    took_s = time.monotonic() - began_s
    done = []
    for wait in np.random.default_rng(1).uniform(0.1, 0.5, kills):
        child = _start(folder / "killed", case)
        time.sleep(took_s * wait)
        child.kill()
        child.join()
        last = folder / "killed" / LAST
        done.append(len(read_plain(last)[RECORD]["rows"]) if last.is_file() else 0)
    _start(folder / "killed", case).join()
    print(json.dumps(done))


def _start(folder: Path, case) -> multiprocessing.Process:
    child = multiprocessing.get_context("fork").Process(target=train_into, args=(folder, case))
    child.start()
    return child


if __name__ == "__main__":
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "killed":
        train_killed(folder, 4)
    else:
        folder.mkdir(exist_ok=True)
        train_into(folder, make_case(**FROZEN))
