"""What an engine must keep to be accepted: one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from engines.sidecar import Figure

LEAST_FRAMES = 32


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on one figure of `calib.agreement.measure_agreement`.

    Parameters
    ----------
    figure : its name
    side : whether the figure must be at least or at most the bound
    bound : compared with the figure's value, or, where the figure has an interval, with the
        interval's end on the wrong side: the change must be small enough for certain
    why : what the bound protects
    needs_labels : whether the figure is absent where frames have no labels
    """

    figure: str
    side: Literal["least", "most"]
    bound: float
    why: str
    needs_labels: bool = False

    @property
    def words(self) -> str:
        """The bound in words."""
        return f"at {self.side} {self.bound:g}"

    def compared(self, figure: Figure) -> float:
        """Return what is held against the bound: the interval's worse end, else the value."""
        end = figure.low if self.side == "least" else figure.high
        return figure.value if end is None else end

    def keeps(self, figure: Figure) -> bool:
        """Whether a figure keeps the bound; NaN does not."""
        seen = self.compared(figure)
        return seen >= self.bound if self.side == "least" else seen <= self.bound


# Chosen on the shipped MobileNetV2 (200 generated frames) and the lung one (266 real frames). bf16
# keeps all limits: top-1 1 and 0.9925, largest change 0.024 and 0.046, maps 0.9995 and 0.993. INT8
# calibrated on two black frames misses three or more, on both: largest change 0.23 to 0.47, maps
# 0.906 to 0.975, top five 0.6 to 0.8. A temperature half as high again is refused on both, one a
# quarter higher on one.
LIMITS = (
    Limit("distinct_frames", "least", LEAST_FRAMES, "few frames prove little"),
    Limit("minority_share", "least", 0.05, "frames of one kind cannot show a difference"),
    Limit("top1_agreement", "least", 0.99, "the answer itself"),
    Limit("prob_change_max", "most", 0.25, "no single frame may read differently"),
    Limit("prob_change_mean", "most", 0.025, "percentages on screen and in reports"),
    Limit("logit_snr_db", "least", 15.0, "noise that certain frames hide"),
    Limit("cam_correlation", "least", 0.98, "where the model looks"),
    Limit("cam_correlation_worst", "least", 0.85, "where it looks in the worst frame"),
    Limit("cam_correlation_all", "least", 0.97, "the maps of the other classes"),
    Limit("top5_kept", "least", 0.8, "the key frames"),
    Limit("top5_order", "least", 0.4, "their order: at most three of ten pairs exchanged"),
    Limit("decisions_changed", "most", 0.02, "frames above the operating threshold"),
    Limit("auroc_change", "least", -0.01, "the order of frames against the truth", True),
    Limit("ece_change", "most", 0.04, "how honest the probabilities are", True),
)


def judge(figures: Mapping[str, Figure]) -> tuple[str, ...]:
    """Return one line for each limit that is not kept; a figure that is absent has no limit."""
    missed = []
    for limit in LIMITS:
        figure = figures.get(limit.figure)
        if figure is not None and not limit.keeps(figure):
            missed.append(f"{limit.figure} {show_figure(figure)}: {limit.words} ({limit.why})")
    return tuple(missed)


def is_complete(figures: Mapping[str, Figure]) -> bool:
    """Whether every limit can be held against these figures, labels apart."""
    return all(limit.needs_labels or limit.figure in figures for limit in LIMITS)


def show_figure(figure: Figure) -> str:
    """Return a figure as text, with its interval where it has one."""
    if figure.low is None or figure.high is None:
        return f"{figure.value:.4g}"
    return f"{figure.value:.4g} ({figure.low:.4g} to {figure.high:.4g})"
