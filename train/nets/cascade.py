"""A cascade: one network finds the region of the body, another looks for the finding there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.spec import CamKind
from train.nets.models import Network


class Cascade(nn.Module):
    """Routes each frame to the answers that were trained on its region.

    The choice of the region is hard, as in a cascade of two programs, so the class map of the
    chosen region explains the logits as exactly as it does alone.

    Parameters
    ----------
    router : network over R regions
    looker : network over R * C answers, the C classes of the first region first
    regions : R
    """

    textured = False

    def __init__(self, router: Network, looker: Network, regions: int) -> None:
        super().__init__()
        self.router, self.looker, self.regions = router, looker, regions

    @property
    def cam_kind(self) -> CamKind:
        """Which kind of map `reveal` returns."""
        return self.looker.cam_kind

    def forward(self, frames: Tensor) -> Tensor:
        """Return logits (N, C) of frames (N, 3, H, W), float in 0..255."""
        return self.reveal(frames)[0]

    def reveal(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits (N, C), class maps (N, C, h, w) and features (N, D + R) of frames.

        The last R features are the probabilities of the regions.
        """
        regions = self.router(frames)
        chosen = nn.functional.one_hot(regions.argmax(1), self.regions).to(frames)
        logits, cam, pooled = self.looker.reveal(frames)
        features = torch.cat([pooled, regions.softmax(1)], 1)
        return pick(logits, chosen), pick(cam, chosen), features


def pick(answers: Tensor, chosen: Tensor) -> Tensor:
    """Return the answers (N, C, ...) of the chosen region of answers (N, R * C, ...).

    Parameters
    ----------
    chosen : shape (N, R), one in each row is 1 and the others 0
    """
    apart = answers.unflatten(1, (chosen.shape[1], -1))
    return (apart * chosen.view(*chosen.shape, *[1] * (apart.dim() - 2))).sum(1)
