"""Attribution maps of one frame: class maps, gradients, superpixels; by captum where it has them.

Everything explains the logit of the target, except gradient saturation, which is about the
probability. The baseline, where a method needs one, is black: what a scanner shows where it
receives no echo.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum.attr import LayerGradCam, Lime
from captum.attr._core.lime import get_exp_kernel_similarity_function
from numpy.typing import NDArray
from skimage.segmentation import slic
from torch import Tensor

from stream.errors import UsageError
from train.attribution.gradients import (
    gradient,
    gradient_saturation,
    integrated_gradients,
    smooth_grad,
)
from train.attribution.maps import Attribution
from train.attribution.question import CHUNK, Explained, Question, at_rest, pack, to_frames
from train.nets.cascade import Cascade

LINE_STEPS = (32, 128, 512)
SUPERPIXELS = 60
COMPACTNESS = 10.0
LIME_SAMPLES = 500
LIME_WIDTH = 0.25


def explain(
    network: Explained,
    frame: NDArray[np.uint8],
    target: int,
    methods: Sequence[str],
    seed: int,
    line_steps: tuple[int, ...] = LINE_STEPS,
) -> dict[str, Attribution]:
    """Return one map per method, the same for the same seed.

    Parameters
    ----------
    frame : shape (H, W, 3), uint8 RGB, model input
    target : index of the logit to explain
    methods : names of `METHODS`
    seed : of what a method draws; a map does not depend on which other methods are asked for
    line_steps : points on the line of integrated gradients, taken in turn until it is complete

    Raises
    ------
    UsageError
        If a method is unknown (C06).
    ValueError
        If the frame is not one RGB picture.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(f"frame {frame.shape} {frame.dtype}; expected (H, W, 3) uint8")
    for name in methods:
        if name not in METHODS:
            near = difflib.get_close_matches(name, METHODS, 1, 0.0)[0]
            raise UsageError(
                f"attribution = {name!r}",
                f"no such method; known: {', '.join(METHODS)}",
                f"did you mean {near!r}?",
                fault="C06",
            )
    question = Question(network, to_frames(network, frame), target, line_steps)
    found = {}
    with at_rest(network):
        for name in methods:
            torch.manual_seed(seed)
            started = time.perf_counter()
            answer = METHODS[name](question)
            found[name] = replace(answer, seconds=time.perf_counter() - started)
    return found


def class_map(ask: Question) -> Attribution:
    """Return the network's own map, what the engine shows.

    References
    ----------
    Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016, section 2;
    for deeper heads as `grad_cam`.
    """
    with torch.no_grad():
        cam = ask.network.reveal(ask.frames)[1]
    return pack(_enlarge(cam[0, ask.target], ask.frames), ask.network.cam_kind == "cam")


def grad_cam(ask: Question) -> Attribution:
    """Return Grad-CAM of the map that enters the pooling, worked out backwards by captum.

    References
    ----------
    Selvaraju et al., "Grad-CAM", ICCV 2017, section 3.
    """
    answers = ask.network.looker if isinstance(ask.network, Cascade) else ask.network
    cam = LayerGradCam(ask.network, answers.head.before).attribute(
        ask.frames.clone().requires_grad_(), target=ask.target, relu_attributions=True
    )
    return pack(_enlarge(cam[0, 0], ask.frames), signed=False)


def lime(ask: Question) -> Attribution:
    """Return the weights of superpixels in a linear model of the logit around the frame.

    References
    ----------
    Ribeiro et al., '"Why Should I Trust You?"', KDD 2016, section 3.
    Achanta et al., "SLIC Superpixels", PAMI 34(11), 2012.
    """
    picture = ask.frames[0].permute(1, 2, 0).cpu().numpy().astype(np.uint8)
    parts = slic(picture, n_segments=SUPERPIXELS, compactness=COMPACTNESS, start_label=0)
    method = Lime(
        ask.network,
        interpretable_model=SkLearnRidge(alpha=1.0),
        similarity_func=get_exp_kernel_similarity_function("cosine", LIME_WIDTH),
    )
    found = method.attribute(
        ask.frames,
        baselines=0.0,
        target=ask.target,
        feature_mask=torch.from_numpy(parts).to(ask.frames.device)[None, None],
        n_samples=LIME_SAMPLES,
        perturbations_per_eval=CHUNK,
    )
    return pack(found[0, 0], signed=True)


METHODS: dict[str, Callable[[Question], Attribution]] = {
    "cam": class_map,
    "grad-cam": grad_cam,
    "gradient": gradient,
    "gradient-saturation": gradient_saturation,
    "integrated-gradients": integrated_gradients,
    "smooth-grad": smooth_grad,
    "lime": lime,
}


def _enlarge(cam: Tensor, frames: Tensor) -> Tensor:
    """Bring a map (h, w) to the size of frames, as `engines.preprocess.cam_to_image` does."""
    size_wh = (frames.shape[3], frames.shape[2])
    values = cam.detach().cpu().numpy()
    return torch.from_numpy(cv2.resize(values, size_wh, interpolation=cv2.INTER_LINEAR))
