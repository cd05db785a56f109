"""Facts about one variant's training: what it may look at, and which process does what."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.networks import make_recipe
from train.data.split import LEFT_OUT, TEST, TRAIN, VALIDATION
from train.fitting.ranks import Rank, rank
from train.nets.models import RANDOM
from train.runs import trial
from train.runs.finish import cross_entropy
from train.scoring.scored import Scored


def test_random_start_takes_its_statistics_from_the_training_part_alone(monkeypatch):
    seen = []
    monkeypatch.setattr(trial, "settle_norms", lambda _net, frames: seen.append(frames.amax()))
    parts = np.array([TRAIN, VALIDATION, TEST, LEFT_OUT] * 9)
    inputs = np.zeros((36, 64, 64, 3), np.uint8)
    inputs[parts != TRAIN] = 255
    recipe = make_recipe(backbones=("mobilenetv2_100",))
    trial.start_network(recipe, SimpleNamespace(parts=parts, inputs=inputs), trial.Path(RANDOM))
    assert seen == [0]


def test_torchrun_says_which_process_of_which_machine_this_is(monkeypatch):
    told = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    for name, value in (told | {"TORCHELASTIC_RUN_ID": "0"}).items():
        monkeypatch.setenv(name, value)
    assert rank() == Rank(5, 8, 1, 2)
    assert rank().machines == 4


def test_cross_entropy_of_held_out_frames_is_that_worked_by_hand():
    probs = np.array([[0.9, 0.1], [0.5, 0.5]])
    scored = Scored(probs, np.array([0, 1]), ("a", "b"), ("a", "b"))
    assert cross_entropy(scored) == pytest.approx(-(np.log(0.9) + np.log(0.5)) / 2)
