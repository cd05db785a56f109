"""Explains key frames by integrated gradients, on request."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engines.explain import STEPS, Explainer, explain_graph, saliency_of
from engines.load import Model, load_model
from stream import console
from stream.report.files import write_whole
from stream.session.record import Explain


def open_explainer(model: Model, method: Literal["ig"] | None) -> Explain | None:
    """Return what explains a model input for the positive class, or None when not asked for.

    Raises
    ------
    EngineError
        If the model is not float32 or holds an operator whose gradient is not known.
    """
    if method is None:
        return None
    from engines.ov import open_graph

    explainer, index = Explainer(model, open_graph), model.spec.positive_index

    def explain(model_input: NDArray[np.uint8]) -> NDArray[np.float32]:
        return saliency_of(explainer.explain(model_input[None], index).ig[0])

    return explain


def write_explainer(model: Path, /, *, out: Path, steps: int = STEPS) -> None:
    """Write the ONNX graph that explains a model by gradients, for any runtime.

    Parameters
    ----------
    model
        FP32 model made by `stream train`.
    out
        File to write.
    steps
        Points between an even grey picture and the frame.
    """
    write_whole(out, explain_graph(load_model(model), steps))
    console.say(f"{out}: inputs frames and seed; outputs logits, gradient, ig")
