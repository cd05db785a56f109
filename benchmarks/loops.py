"""What a user would write instead: the loops that replay is measured against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.load import Model

Loop = Callable[[Sequence[str]], int]
"""Runs over clips and returns the number of frames."""


def read_bgr(paths: Sequence[str]) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames of clips, (H, W, 3) BGR, as OpenCV decodes them."""
    for path in paths:
        capture = cv2.VideoCapture(path)
        try:
            while (frame := capture.read())[0]:
                yield frame[1].astype(np.uint8, copy=False)
        finally:
            capture.release()


def eager_loop() -> Loop:
    """Return the plain loop: OpenCV, torchvision transforms, MobileNetV2 in eager mode."""
    import torch
    from torchvision.models import mobilenet_v2
    from torchvision.transforms import v2

    network = mobilenet_v2(num_classes=2).eval()
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    prepare = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize((224, 224), antialias=True),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(mean, std),
        ]
    )

    def run(paths: Sequence[str]) -> int:
        frames = 0
        with torch.inference_mode():
            for image_bgr in read_bgr(paths):
                image = cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
                network(prepare(image)[None]).softmax(1).numpy()
                frames += 1
        return frames

    return run


def onnxruntime_loop(model: Model, threads: int) -> Loop:
    """Return the tuned loop: OpenCV, area resize, ONNX Runtime on all cores, the same model."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model.data, options, providers=["CPUExecutionProvider"])

    def run(paths: Sequence[str]) -> int:
        frames = 0
        for image_bgr in read_bgr(paths):
            session.run(["probs"], {"frames": small_rgb(image_bgr, model)[None]})
            frames += 1
        return frames

    return run


def openvino_loop(model: Model, precision: str = "f32") -> Loop:
    """Return the asynchronous loop: OpenCV, area resize, OpenVINO's queue in throughput mode.

    Parameters
    ----------
    precision : of the arithmetic that the model leaves open, as OpenVINO names it
    """
    import io

    import openvino as ov

    width, height = model.spec.input_wh
    core = ov.Core()
    network = core.read_model(io.BytesIO(model.data))
    network.reshape({"frames": [1, height, width, 3]})
    settings = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": precision}
    compiled = core.compile_model(network, "CPU", settings)

    queue = ov.AsyncInferQueue(compiled)

    def run(paths: Sequence[str]) -> int:
        answers: dict[int, NDArray[np.float32]] = {}
        waiting: dict[int, int] = {}
        for number, image_bgr in enumerate(read_bgr(paths)):
            idle = queue.get_idle_request_id()
            if idle in waiting:
                answers[waiting[idle]] = queue[idle].get_tensor("probs").data.copy()
            waiting[idle] = number
            queue.start_async({"frames": small_rgb(image_bgr, model)[None]})
        queue.wait_all()
        answers |= {n: queue[place].get_tensor("probs").data.copy() for place, n in waiting.items()}
        return len(answers)

    return run


def small_rgb(image_bgr: NDArray[np.uint8], model: Model) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) BGR at the model's size, RGB, by area."""
    small = cv2.resize(image_bgr, model.spec.input_wh, interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
