"""Facts about the training loop: what it makes smaller, what it leaves alone, how it goes on."""

import json
import signal
import subprocess
import sys

import msgspec
import numpy as np
import pytest
import torch
from torch.nn import functional

from stream.errors import StorageError, UsageError
from tests.fit_process import EVERYTHING, FROZEN, make_case, train_into
from train.fitting.fit import FINAL, LAST, answer, fit
from train.fitting.history import count_drops, has_stalled, is_best
from train.fitting.losses import count_right, label_loss, pointing_loss, weigh_classes
from train.fitting.trained import measure, read_weights, trained_names
from train.recipe import Plateau, Stop


def quiet(_text):
    """Take a line and say nothing."""


def rows(*losses):
    return [{"val_loss": loss} for loss in losses]


def test_loss_is_cross_entropy_with_smoothing():
    logits, labels = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    found = label_loss(logits, functional.one_hot(labels, 3).float(), 1, 0.1)
    wanted = functional.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")
    assert torch.allclose(found, wanted)


def test_loss_of_a_single_unit_is_binary_cross_entropy():
    unit, labels = torch.tensor([-1.3, 0.2, 2.0]), torch.tensor([0, 1, 1])
    logits = torch.stack([-unit / 2, unit / 2], 1)
    found = label_loss(logits, functional.one_hot(labels, 2).float(), 1)
    wanted = functional.binary_cross_entropy_with_logits(unit, labels.float(), reduction="none")
    assert torch.allclose(found, wanted)


def test_loss_looks_at_the_classes_of_the_true_region_only():
    logits = torch.tensor([[9.0, 9.0, 1.0, 2.0]])
    truth = functional.one_hot(torch.tensor([3]), 4).float()  # region 1, class 1
    wanted = functional.cross_entropy(torch.tensor([[1.0, 2.0]]), torch.tensor([1]))
    assert label_loss(logits, truth, 2) == pytest.approx(float(wanted))
    assert count_right(logits, truth, 2).tolist() == [True]
    assert count_right(logits, truth, 1).tolist() == [False]


def test_class_weights_are_inverse_to_counts_with_mean_one_over_frames():
    labels = torch.tensor([0, 0, 0, 1])
    weights = weigh_classes(labels, 3)
    assert weights.tolist() == pytest.approx([4 / 6, 2.0, 0.0])
    assert weights[labels].mean() == pytest.approx(1)


def test_pointing_loss_falls_as_the_peak_moves_onto_the_finding():
    masks, one = torch.zeros(1, 4, 4, dtype=torch.uint8), torch.ones(1)
    masks[0, 1, 2] = 255
    on, off = torch.zeros(1, 4, 4), torch.zeros(1, 4, 4)
    on[0, 1, 2], off[0, 3, 0] = 5.0, 5.0
    flat = pointing_loss(torch.zeros(1, 4, 4), masks, one)
    assert flat == pytest.approx(np.log(16), abs=1e-4)
    assert pointing_loss(on, masks, one) < flat < pointing_loss(off, masks, one)


def test_stopping_waits_for_patience_epochs_without_a_gain():
    stop = Stop(min_delta=0.1, patience=2)
    assert not has_stalled(rows(1.0, 0.95, 0.85, 0.8), stop)
    assert has_stalled(rows(1.0, 0.95, 0.91), stop)
    assert not has_stalled(rows(1.0, 0.95, 0.91), None)


def test_rate_drops_after_each_wait_without_a_lower_loss():
    plateau = Plateau(patience=2)
    losses = (1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.6)
    counts = [count_drops(rows(*losses[: n + 1]), plateau) for n in range(len(losses))]
    assert counts == [0, 0, 1, 1, 2, 2, 2]


def test_best_is_the_first_of_equal_losses():
    assert [is_best(rows(*losses)) for losses in ((1.0,), (1.0, 1.0), (1.0, 0.5))] == [
        True,
        False,
        True,
    ]


@pytest.mark.parametrize("tune", [True, False])
def test_what_is_frozen_keeps_every_bit(monkeypatch, tune):
    start, data, recipe = make_case(
        backbones=("mobilenetv2_100",), frozen="early", tune_norms=tune, epochs=2
    )
    seen = []

    def note(network, names):
        seen.append(network)
        return read_weights(network, names)

    monkeypatch.setattr("train.fitting.fit.read_weights", note)
    fit(start, data, recipe, None, quiet)
    before, after = start.state_dict(), seen[0].state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed <= trained_names(start) and "head.last.weight" in changed
    statistics = {name for name in changed if "running" in name}
    assert bool(statistics) == tune


def test_training_lowers_the_loss_and_fits_a_whole_network():
    start, data, recipe = make_case(frozen="none", draws=0, epochs=4, learning_rate=0.01)
    fitted = fit(start, data, recipe, None, quiet)
    losses = [row["train_loss"] for row in fitted.history]
    assert losses[-1] < losses[0] and not fitted.network.training
    assert fitted.history[-1]["val_accuracy"] == 1


def test_best_weights_are_those_of_the_epoch_with_the_lowest_loss():
    start, data, recipe = make_case(
        keep="best", epochs=5, learning_rate=0.5, optimizer="adam", draws=0, drop=0.9
    )
    fitted = fit(start, data, recipe, None, quiet)
    losses = [row["val_loss"] for row in fitted.history]
    assert min(losses) < losses[-1]
    assert float(measure(fitted.network, data.validation, 1)[0]) == pytest.approx(min(losses))


def test_stopping_and_plateau_act_on_the_loop():
    stop, plateau = Stop(min_delta=1.0, patience=3), Plateau(patience=1)
    start, data, recipe = make_case(
        stop=stop, plateau=plateau, optimizer="adam", epochs=9, learning_rate=0.5, drop=0.9
    )
    history = fit(start, data, recipe, None, quiet).history
    assert len(history) == 4  # the first epoch is a gain, three are not
    assert history[-1]["learning_rate"] < 0.5


def test_pointing_needs_masks():
    with pytest.raises(ValueError, match="masks"):
        fit(*make_case(point=0.3), None, quiet)


def test_early_stopping_without_validation_is_refused():
    start, data, recipe = make_case(stop=Stop())
    with pytest.raises(ValueError, match="validation"):
        fit(start, type(data)(data.bank), recipe, None, quiet)


def test_finished_training_is_returned_at_once(tmp_path):
    start, data, recipe = make_case(epochs=2)
    first = fit(start, data, recipe, tmp_path, quiet)
    lines = []
    again = fit(start, data, recipe, tmp_path, lines.append)
    assert lines == [] and again.history == first.history
    assert [path.name for path in tmp_path.iterdir()] == [FINAL]
    views = data.validation.views[:, 0]
    assert (answer(again.network, views).logits == answer(first.network, views).logits).all()


def test_training_of_other_data_or_recipe_is_not_resumed(tmp_path):
    start, data, recipe = make_case(epochs=1)
    fit(start, data, recipe, tmp_path, quiet)
    other = msgspec.structs.replace(recipe, seed=1)
    less = type(data)(data.bank.part([0, 1], np.ones(2)), data.validation)
    for given, told in ((data, other), (less, recipe)):
        with pytest.raises(UsageError, match="another recipe, data or start; delete it"):
            fit(start, given, told, tmp_path, quiet)


def test_torn_checkpoint_is_refused(tmp_path):
    start, data, recipe = make_case(epochs=1)
    (tmp_path / LAST).write_bytes(b"torn")
    with pytest.raises(StorageError, match="not a whole checkpoint"):
        fit(start, data, recipe, tmp_path, quiet)


def test_training_that_diverges_says_so(monkeypatch):
    monkeypatch.setattr(
        "train.fitting.task.label_loss", lambda logits, *_rest: logits.sum(1) * float("nan")
    )
    with pytest.raises(UsageError, match=r"train_loss of epoch 1 is nan.*lower learning_rate"):
        fit(*make_case(), None, quiet)


def test_interrupt_is_the_callers_to_answer():
    def interrupt(_text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(*make_case(), None, interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("keep", ["last", "best"])
def test_checkpoint_of_the_last_epoch_needs_no_more_training(tmp_path, monkeypatch, keep):
    start, data, recipe = make_case(epochs=3, keep=keep, average=0.9)
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr("train.fitting.fit.write_state", lambda _path, _state: 1 / 0)
        fit(start, data, recipe, tmp_path, quiet)
    lines = []
    fitted = fit(start, data, recipe, tmp_path, lines.append)
    assert lines == ["goes on after epoch 3"]
    whole = fit(start, data, recipe, None, quiet)
    views = data.validation.views[:, 0]
    assert (answer(fitted.network, views).logits == answer(whole.network, views).logits).all()


@pytest.mark.slow
def test_killed_and_resumed_training_ends_in_the_same_bytes(tmp_path):
    done = run(sys.executable, "-W", "error", "-m", "tests.fit_process", "killed", str(tmp_path))
    epochs = json.loads(done.stdout.splitlines()[-1])
    assert 0 < max(epochs) < EVERYTHING["epochs"]
    assert (tmp_path / "killed/result.json").read_bytes() == (
        tmp_path / "whole/result.json"
    ).read_bytes()


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    run(sys.executable, *torchrun, "-m", "tests.fit_process", "once", str(tmp_path / "two"))
    train_into(tmp_path / "one", make_case(**FROZEN))
    one, two = (
        json.loads((tmp_path / name / "result.json").read_text()) for name in ("one", "two")
    )
    for alone, shared in zip(one["rows"], two["rows"], strict=True):
        assert shared == pytest.approx(alone, rel=1e-4)
    assert np.allclose(one["said"], two["said"], rtol=1e-3, atol=1e-4)
    assert one["rows"][-1]["train_loss"] < 0.9 * one["rows"][0]["train_loss"]


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=110)
