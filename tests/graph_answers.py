"""Whether a typed graph still gives the answers of the graph that it was made from."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto

from engines.graph_check import find_refusals
from engines.graph_index import parse_graph

SHIPPED = Path("engines/models/phantom-kidney.onnx")
LOGIT_LIMIT, CAM_LIMIT = 5e-3, 0.999


def draw_frames(count, side):
    """Return frames (N, side, side, 3) of random smooth blobs with speckle."""
    rng = np.random.default_rng(0)
    blobs = rng.integers(48, 208, (count, side // 8, side // 8, 3)).repeat(8, 1).repeat(8, 2)
    return np.clip(blobs + rng.normal(0, 12, blobs.shape), 0, 255).astype(np.uint8)


def run_onnx(data, frames):
    """Run without optimisations: in 1.31 one of them spoils biases beside float16 scales."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(data, options)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"frames": frames}), strict=True))


def check_types(data):
    """Run the full check of ONNX and strict inference; the outputs must be float32."""
    model = parse_graph(data)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert {o.type.tensor_type.elem_type for o in model.graph.output} == {TensorProto.FLOAT}
    assert find_refusals(data) == ()


def check_close(data, reference, frames, logit_limit=LOGIT_LIMIT, cam_limit=CAM_LIMIT):
    """Compare logits, relative to the largest, and maps, by correlation."""
    found, wanted = run_onnx(data, frames), run_onnx(reference, frames)
    gap = np.abs(found["logits"] - wanted["logits"]).max() / np.abs(wanted["logits"]).max()
    assert gap < logit_limit
    assert np.corrcoef(found["cam"].ravel(), wanted["cam"].ravel())[0, 1] > cam_limit
