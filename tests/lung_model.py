"""The network of the lung recipe, fitted to a few real frames in seconds: real weights, real data.

It answers as a trained network does, which is what engines and calibration must keep; its figures
mean nothing. Nothing of it is kept after the tests.
"""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from engines.pixels import Pixels
from engines.preprocess import to_model_input
from engines.spec import ModelSpec
from train.nets.export import export_model
from train.nets.models import build_network, load_backbones
from train.study import read_study

DATA = Path(__file__).parents[1].parent / "shared" / "data"
LUNG = DATA / "pocus_lung"
WEIGHTS = DATA / "weights" / "mobilenet_v2_imagenet1k.pth"

needs_lung = pytest.mark.skipif(
    not (LUNG.is_dir() and WEIGHTS.is_file()), reason="the lung frames in ../shared/data are absent"
)


def read_frames(spec_wh=(224, 224), fit="letterbox", every=12):
    """Return every n-th real frame as model input (N, h, w, 3), its class name and its source."""
    with (LUNG / "frames.csv").open() as file:
        rows = list(csv.DictReader(file))[::every]
    images = [cv2.imread(str(LUNG / row["file"]))[..., ::-1] for row in rows]
    inputs = [to_model_input(Pixels((np.ascontiguousarray(i),)), spec_wh, fit) for i in images]
    return np.stack(inputs), [row["label"] for row in rows], [row["source"] for row in rows]


@torch.no_grad()
def export_lung(folder):
    """Fit and export the network; return the path of the model."""
    torch.set_num_threads(1)
    recipe = read_study("lung").variants["mobilenetv2"]
    network = build_network(recipe).eval()
    load_backbones(network, recipe, WEIGHTS)
    inputs, names, _ = read_frames()
    labels = [recipe.classes.index(name) for name in names]
    frames = torch.from_numpy(inputs).permute(0, 3, 1, 2).float()
    values = torch.cat([network.tail(network.stem(part)).mean((2, 3)) for part in frames.split(16)])
    scaler = StandardScaler().fit(values)
    fitted = LogisticRegression(C=1e-3, max_iter=1000).fit(scaler.transform(values), labels)
    weight = fitted.coef_ / scaler.scale_
    network.head.last.weight.copy_(torch.from_numpy(weight))
    network.head.last.bias.copy_(torch.from_numpy(fitted.intercept_ - weight @ scaler.mean_))
    spec = ModelSpec(
        name="lung-test",
        classes=recipe.classes,
        positive_class=recipe.positive_class,
        input_wh=(224, 224),
        temperature=1.0,
        threshold=0.5,
        threshold_rule="none",
        cam_kind=network.cam_kind,
        cam_scale=(1.0,) * len(recipe.classes),
        data_digest="0" * 64,
        metrics={},
        metrics_split="none",
        licence=recipe.licence,
        intended_use="tests",
    )
    path = folder / "lung-test.onnx"
    export_model(network, spec, path)
    return path
