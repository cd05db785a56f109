"""Facts about what the settings of a recipe must agree on."""

import msgspec
import pytest

from tests.networks import make_recipe
from train.recipe import HeadPlan, PhantomSet, Plateau, Split, Stop
from train.rules import find_contradiction, find_study_contradiction

FOLDS = Split(kind="folds")
CLIPS = PhantomSet("kidney", 1, 1, 1, 1)
DEEP = HeadPlan(hidden=(4,))


def make_layout(**labels):
    return msgspec.structs.replace(make_recipe().data, labels=labels)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": ("dilated",)}, "two different names or more"),
        ({"classes": ("dilated", "dilated")}, "two different names or more"),
        ({"positive_class": "x"}, "positive_class = 'x'; expected one of normal, dilated"),
        ({"data": make_layout(PUJ="dilatd")}, "data.labels gives 'dilatd'"),
        ({"target": "region"}, "needs two regions"),
        ({"classes": ("normal", "dilated", "c"), "head": HeadPlan(single=True)}, "two classes"),
        ({"backbones": ()}, "one timm name or more"),
        ({"frozen": "early"}, "for one mobilenetv2; backbones are small-cnn"),
        ({"neck": 8}, "need frozen = 'early', not 'all'"),
        ({"plateau": Plateau()}, "plateau with adamw-cycle"),
        ({"optimizer": "adam"}, "weight_decay = 0.05 with adam, which has none"),
        ({"method": "svc"}, "flattened map and one unit"),
        ({"method": "logistic", "head": DEEP}, "average and a linear layer"),
        ({"method": "logistic", "frozen": "none"}, "trains no backbone"),
        ({"point": 0.3, "head": DEEP, "phantom": CLIPS}, "no hidden layers"),
        ({"point": 0.3}, "only phantom clips have"),
        ({"split": FOLDS, "keep": "best"}, "folds have none"),
        ({"split": FOLDS, "stop": Stop()}, "folds have none"),
        ({"split": FOLDS, "attribution": ("cam",)}, "folds have none"),
    ],
)
def test_contradiction_is_named(changes, said):
    assert said in find_contradiction(make_recipe(**changes))


def test_recipe_without_contradiction_is_left_alone():
    assert find_contradiction(make_recipe()) == ""


def test_folds_train_one_network():
    assert "one network, not 2" in find_study_contradiction([make_recipe(split=FOLDS)] * 2)


@pytest.mark.parametrize("target", ["region", "label"])
def test_half_a_cascade_is_refused(target):
    half = make_recipe(regions=("elbow", "wrist"), target=target)
    assert "a variant for the region and one" in find_study_contradiction([half])
