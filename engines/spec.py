"""The model contract: `ModelSpec`, stored as JSON in the ONNX metadata."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from engines.options import Precision

METADATA_KEY = "sonostream"
SCHEMA = 1
FORMULA = ("", "=", "+", "-", "@")

Fit = Literal["letterbox", "stretch", "center_square"]
Activation = Literal["softmax", "sigmoid"]
CamKind = Literal["cam", "grad-cam"]


class Gate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Feature statistics of the training data, for telling unfamiliar pictures.

    Parameters
    ----------
    center : shape (D,), mean of the features over training frames
    scale : shape (D,), standard deviation, floored so that dead features do not divide by zero
    limit : root mean square z-score above which a frame counts as not an ultrasound image
    rule : how the limit was chosen, in words
    """

    center: tuple[float, ...]
    scale: tuple[float, ...]
    limit: float
    rule: str

    def __post_init__(self) -> None:
        if len(self.center) != len(self.scale) or min(self.scale, default=1.0) <= 0:
            raise ValueError("gate: center and scale must pair up and scale must be positive")
        if not (math.isfinite(self.limit) and self.limit > 0):
            raise ValueError(f"gate.limit {self.limit}: expected a positive number")


class ModelSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a user of the model must know; checked when built.

    Parameters
    ----------
    schema : version of this structure
    name : short name, also the stem of the file
    classes : class names in output order
    positive_class : the finding that frames are ranked by
    activation : how `probs` come from `logits`, after division by `temperature`
    input_wh : width and height of the `frames` input in pixels
    color_order : of the input's last axis
    fit : how a picture becomes `input_wh`; see `engines.preprocess`
    temperature : divisor of the logits, fitted on validation data
    threshold : operating point on the probability of the positive class
    threshold_rule : how the threshold was chosen, in words
    cam_kind : exact CAM (linear head) or exact Grad-CAM (deeper heads)
    cam_scale : per class, the map value drawn as full intensity
    gate : feature statistics, or None when the model has none
    precision : numeric type of the weights
    reference_digest : sha256 of the FP32 model that this one stands in for; empty when it is one
    data_digest : sha256 of the training data list
    metrics : figures by name
    metrics_split : what the metrics were measured on, in words
    licence : of the weights
    intended_use : in words, with what it is not for
    """

    schema: int = SCHEMA
    name: str
    classes: tuple[str, ...]
    positive_class: str
    activation: Activation = "softmax"
    input_wh: tuple[int, int]
    color_order: str = "RGB"
    fit: Fit = "letterbox"
    temperature: float
    threshold: float
    threshold_rule: str
    cam_kind: CamKind
    cam_scale: tuple[float, ...]
    gate: Gate | None = None
    precision: Precision = "fp32"
    reference_digest: str = ""
    data_digest: str
    metrics: dict[str, float]
    metrics_split: str
    licence: str
    intended_use: str

    def __post_init__(self) -> None:
        for wrong, message in (
            (self.schema != SCHEMA, f"schema {self.schema}: this version reads {SCHEMA}"),
            (len(set(self.classes)) < 2, f"classes {self.classes}: expected two or more, distinct"),
            (len(set(self.classes)) < len(self.classes), f"classes {self.classes}: not distinct"),
            (
                any(not name.isprintable() or name[:1] in FORMULA for name in self.classes),
                f"classes {self.classes}: expected printable names, none like a formula",
            ),
            (
                self.positive_class not in self.classes,
                f"positive_class {self.positive_class!r}: expected one of {self.classes}",
            ),
            (self.color_order != "RGB", f"color_order {self.color_order}: expected RGB"),
            (min(self.input_wh) < 32, f"input_wh {self.input_wh}: expected at least 32 x 32"),
            (not _positive(self.temperature), f"temperature {self.temperature}: expected > 0"),
            (not 0 < self.threshold < 1, f"threshold {self.threshold}: expected within (0, 1)"),
            (
                len(self.cam_scale) != len(self.classes) or not all(map(_positive, self.cam_scale)),
                f"cam_scale {self.cam_scale}: expected one positive number per class",
            ),
        ):
            if wrong:
                raise ValueError(message)

    @property
    def positive_index(self) -> int:
        """Place of the positive class in the outputs."""
        return self.classes.index(self.positive_class)


def encode_spec(spec: ModelSpec) -> str:
    """Return the JSON stored under `METADATA_KEY`."""
    return msgspec.json.encode(spec).decode()


def decode_spec(text: str) -> ModelSpec:
    """Parse and check the JSON of a spec.

    Raises
    ------
    ValueError
        If it is not valid JSON, has unknown or missing fields, or contradicts itself.
    """
    return msgspec.json.decode(text.encode(), type=ModelSpec)


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
