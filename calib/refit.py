"""Temperature and operating threshold fitted again, such as after quantisation."""

from __future__ import annotations

import hashlib

import msgspec
import numpy as np
from onnx import helper, numpy_helper

from calib.frames import FrameSet
from calib.temperature import (
    THRESHOLD_RULE,
    calibration_error,
    choose_threshold,
    fit_temperature,
    mean_surprise,
    soften,
)
from engines.base import Engine, run_frames
from engines.errors import EngineError
from engines.graph_index import index_graph, parse_graph
from engines.load import Model
from engines.spec import METADATA_KEY, ModelSpec, encode_spec

OF_TEMPERATURE = "calibration_error"
"""The one of a model's metrics that another temperature makes untrue."""


class Refit(msgspec.Struct, frozen=True):
    """What was fitted, on how many frames.

    Parameters
    ----------
    temperature, threshold : new and, as `old_...`, before
    surprise : mean negative log-likelihood, in nats, which the new temperature makes least
    error : expected calibration error; over the same frames, so the new one flatters
    """

    frames: int
    temperature: float
    threshold: float
    surprise: float
    error: float
    old_temperature: float
    old_threshold: float
    old_surprise: float
    old_error: float


def refit(engine: Engine, frames: FrameSet) -> tuple[Model, Refit]:
    """Return the engine's model with another temperature and threshold, and what changed.

    Parameters
    ----------
    frames : that the network was not trained on; those without a label are left out

    Raises
    ------
    EngineError
        If fewer than two classes occur among the labels, or the graph keeps its temperature
        where this cannot find it.
    """
    known = np.flatnonzero(frames.labels >= 0)
    labels, spec = frames.labels[known], engine.model.spec
    if len(np.unique(labels)) < 2:
        problem = f"labels of {len(np.unique(labels))} classes on {len(frames)} frames"
        remedy = f"expected two or more of {', '.join(spec.classes)}"
        raise EngineError(engine.model.name, problem, remedy)
    logits = run_frames(engine, frames.inputs[known]).logits
    temperature = fit_temperature(logits, labels)
    positive = labels == spec.positive_index
    probs, old = soften(logits, temperature), soften(logits, spec.temperature)
    threshold = choose_threshold(probs[:, spec.positive_index], positive)
    where = f"{len(known)} frames given to `stream calibrate --temperature`"
    metrics = {name: value for name, value in spec.metrics.items() if name != OF_TEMPERATURE}
    changed = msgspec.structs.replace(
        spec,
        metrics=metrics,
        temperature=temperature,
        threshold=threshold,
        threshold_rule=THRESHOLD_RULE.format(where=where),
    )
    fitted = Refit(
        frames=len(known),
        temperature=temperature,
        threshold=threshold,
        surprise=mean_surprise(logits, labels, temperature),
        error=calibration_error(probs, labels),
        old_temperature=spec.temperature,
        old_threshold=spec.threshold,
        old_surprise=mean_surprise(logits, labels, spec.temperature),
        old_error=calibration_error(old, labels),
    )
    return _write(engine.model, changed), fitted


def _write(model: Model, spec: ModelSpec) -> Model:
    """Return the model with the spec's temperature in its graph and the spec in its metadata."""
    proto = parse_graph(model.data)
    index = index_graph(proto)
    last = index.producers["probs"]
    divide = index.producers.get(last.input[0])
    if divide is None or divide.op_type != "Div" or divide.input[0] != "logits":
        problem = "its graph does not divide the logits by a temperature before the softmax"
        raise EngineError(model.name, problem, "export it again with `stream train`", fault="M07")
    alone = len(index.readers[divide.input[1]]) == 1
    name = divide.input[1] if alone else "refitted_temperature"
    value = numpy_helper.from_array(np.asarray(spec.temperature, np.float32), name)
    if alone:
        index.constants[name].CopyFrom(value)
    else:
        proto.graph.initializer.append(value)
        divide.input[1] = name
    notes = {entry.key: entry.value for entry in proto.metadata_props}
    del proto.metadata_props[:]
    helper.set_model_props(proto, notes | {METADATA_KEY: encode_spec(spec)})
    data = proto.SerializeToString(deterministic=True)
    return Model(model.name, data, hashlib.sha256(data).hexdigest(), spec)
