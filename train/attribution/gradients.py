"""Attribution by derivatives: at the frame, around it, and on the line from black to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from captum.attr import IntegratedGradients, NoiseTunnel, Saliency
from numpy.typing import NDArray
from torch import Tensor

from train.attribution.maps import COMPLETE, Attribution, Saturation
from train.attribution.question import CHUNK, Question, pack

SATURATION_POINTS = 33
NOISE_DRAWS = 24
NOISE_STD = 0.15 * 255
"""Within the 10 to 20 % of the range that SmoothGrad recommends."""


def gradient(ask: Question) -> Attribution:
    """Return the largest magnitude over colours of the derivative of the logit.

    References
    ----------
    Simonyan et al., "Deep Inside Convolutional Networks", ICLR workshop 2014, section 3.1.
    """
    found = Saliency(ask.network).attribute(ask.frames.clone().requires_grad_(), target=ask.target)
    return pack(_strongest(found), signed=False)


def smooth_grad(ask: Question) -> Attribution:
    """Return the gradient averaged over noisy copies of the frame, then as `gradient`.

    References
    ----------
    Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017, section 3.
    """
    found = NoiseTunnel(Saliency(ask.network)).attribute(
        ask.frames.clone().requires_grad_(),
        nt_type="smoothgrad",
        nt_samples=NOISE_DRAWS,
        nt_samples_batch_size=CHUNK,
        stdevs=NOISE_STD,
        target=ask.target,
        abs=False,
    )
    return pack(_strongest(found), signed=False)


def integrated_gradients(ask: Question) -> Attribution:
    """Return integrated gradients from black, summed over colours.

    The number of steps grows until the sum over the map agrees with the difference between the
    logits of frame and black within `COMPLETE`, or the steps run out.

    References
    ----------
    Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017, sections 3 and 5.
    """
    black = torch.zeros_like(ask.frames)
    with torch.no_grad():
        ends = ask.network(torch.cat([black, ask.frames]))[:, ask.target].double()
    change = float(ends[1] - ends[0])
    known = np.isfinite(change) and change != 0
    for steps in ask.line_steps:
        found = IntegratedGradients(ask.network).attribute(
            ask.frames,
            baselines=black,
            target=ask.target,
            n_steps=steps,
            method="riemann_middle",
            internal_batch_size=CHUNK,
        )
        error = abs(float(found.double().sum()) - change) / abs(change) if known else None
        if error is None or error <= COMPLETE:
            break
    packed = pack(found[0].sum(0), signed=True)
    return replace(packed, steps=steps, completeness_error=error if not packed.lost else None)


def gradient_saturation(ask: Question) -> Attribution:
    """Return the gradient of the probability at the frame, and the curve that leads there.

    Where the curve of scores is flat at its end, the gradient has nothing left to say about the
    frame although the score depends on it.

    References
    ----------
    Sundararajan et al., "Axiomatic Attribution for Deep Networks", ICML 2017, section 2.1.
    """
    shares = torch.linspace(0, 1, SATURATION_POINTS, device=ask.frames.device)
    scores, gradients = [], []
    for part in shares.split(CHUNK):
        frames = (part[:, None, None, None] * ask.frames).requires_grad_()
        score = ask.network(frames).softmax(1)[:, ask.target]
        (derivative,) = torch.autograd.grad(score.sum(), frames)
        scores.append(score.detach())
        gradients.append(derivative.abs().mean((1, 2, 3)))
    curve = Saturation(*(_numbers(v) for v in (shares, torch.cat(scores), torch.cat(gradients))))
    packed = pack(_strongest(derivative[-1:]), signed=False)
    return replace(packed, steps=SATURATION_POINTS, saturation=curve)


def _strongest(gradients: Tensor) -> Tensor:
    """Return the largest magnitude over colours of the first of (N, 3, H, W)."""
    return gradients[0].abs().amax(0)


def _numbers(values: Tensor) -> NDArray[np.float64]:
    return np.nan_to_num(values.cpu().double().numpy(), nan=0.0, posinf=0.0, neginf=0.0)
