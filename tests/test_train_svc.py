"""Facts about the support vector machine as a last layer."""

import msgspec
import numpy as np
import pytest
from sklearn.svm import SVC

from tests.networks import make_recipe
from train.fitting.bank import build_bank
from train.fitting.fit import answer
from train.fitting.svc import fit_svc
from train.fitting.task import TrainingData
from train.nets.models import build_network
from train.recipe import HeadPlan

FLAT = HeadPlan(pool="flatten", single=True)


def make_case(recipe):
    pictures = np.random.default_rng(0).integers(0, 256, (24, 64, 64, 3)).astype(np.uint8)
    labels = np.arange(24) % 2
    pictures[labels == 1, :, :32] //= 2
    start = build_network(recipe)
    return start, TrainingData(build_bank(start, pictures, labels.tolist(), recipe))


@pytest.mark.parametrize(("positive", "inverse"), [("normal", 1.0), ("dilated", 1e-3)])
def test_logits_are_half_the_decision_values_of_scikit_learn(positive, inverse):
    recipe = make_recipe(head=FLAT, method="svc", positive_class=positive, views=1)
    recipe = msgspec.structs.replace(recipe, inverse_penalty=inverse)
    start, data = make_case(recipe)
    network = fit_svc(start, data, recipe).network
    said = answer(network, data.bank.views[:, 0]).logits[:, recipe.positive]
    flat = network.tail(data.bank.views[:, 0].float()).flatten(1).detach().double().numpy()
    truth = (data.bank.labels == recipe.positive).numpy()
    theirs = SVC(C=inverse, kernel="linear").fit(flat, truth).decision_function(flat)
    assert np.allclose(said, theirs / 2, atol=1e-3)
    assert ((said > 0) == (theirs > 0)).all()


def test_its_one_row_tells_loss_and_accuracy():
    recipe = make_recipe(head=FLAT, method="svc", views=1, inverse_penalty=1.0)
    start, data = make_case(recipe)
    (row,) = fit_svc(start, TrainingData(data.bank, data.bank), recipe).history
    assert row["train_accuracy"] == row["val_accuracy"] == 1 and row["val_loss"] < 0.7
