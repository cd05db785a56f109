"""Does the saliency point at the finding? Measured on clips whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from engines.base import Engine, run_frames
from engines.load import load_model
from engines.open import open_engine
from engines.pixels import Pixels
from engines.preprocess import cam_to_image, place, to_model_input
from stream.errors import UsageError
from stream.sources.phantom import FINDINGS, PhantomScene, parse_phantom
from train.scoring.metrics import draw_people

HELD_OUT_SEED = 3_000_000


class Pointing(msgspec.Struct, frozen=True):
    """How often the peak of the positive class map lies inside the finding.

    Parameters
    ----------
    model, engine : what was run
    clips, positive_frames : what was looked at; only frames that show the finding count
    hits : frames whose peak lies inside the mask
    share : hits over positive frames
    low, high : 95 % bootstrap interval of the share, resampling clips
    chance : mean share of the picture that the masks cover, what a random peak would reach
    """

    model: str
    engine: str
    clips: int
    positive_frames: int
    hits: int
    share: float
    low: float
    high: float
    chance: float

    def __str__(self) -> str:
        return (
            f"{self.model}: the peak lies inside the finding in {self.hits} of "
            f"{self.positive_frames} positive frames of {self.clips} clips: "
            f"{self.share:.1%} ({self.low:.1%} to {self.high:.1%}); "
            f"a random peak would reach {self.chance:.1%}; {self.engine}"
        )


def measure_pointing(
    path: Path, sources: Sequence[str] | None, seeds: int, frames: int, engine_name: str = "auto"
) -> Pointing:
    """Run a model over phantom clips and look where its map peaks.

    Raises
    ------
    EngineError
        If the model cannot be used.
    UsageError
        If a source is no phantom, no frame is asked for, or none shows the finding.
    """
    if min(seeds, frames) < 1:
        problem = f"--seeds {seeds} --frames {frames}"
        raise UsageError("pointing", problem, "give 1 or more of each")
    model = load_model(path)
    uris = list(sources) if sources else held_out_clips(model.spec.positive_class, seeds)
    engine = open_engine(model, engine_name)
    try:
        counts = np.array([_count_hits(engine, uri, frames) for uri in uris], np.float64)
    finally:
        engine.close()
    hits, shown, covered = counts.sum(axis=0)
    if not shown:
        raise UsageError(
            path.name, f"no frame of {len(uris)} clips shows the finding", "give other --sources"
        )
    numbers = float(hits / shown), *spread_of_share(counts), float(covered / shown)
    return Pointing(path.name, str(engine.info), len(uris), int(shown), int(hits), *numbers)


def spread_of_share(counts: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of hits over frames that show the finding.

    Draws of clips none of which shows it are left out, as they say nothing.

    Parameters
    ----------
    counts : shape (N, 2 or more), hits and shown frames of each clip
    """
    drawn = [times @ counts for times in draw_people(len(counts), len(counts))]
    hits, shown = np.concatenate(drawn)[:, :2].T
    low, high = np.quantile(hits[shown > 0] / shown[shown > 0], [0.025, 0.975])
    return float(low), float(high)


def held_out_clips(finding: str, seeds: int) -> list[str]:
    """Return addresses of clips with `finding` whose seeds no training part uses.

    Raises
    ------
    UsageError
        If no phantom has that finding.
    """
    organ = next((organ for organ, findings in FINDINGS.items() if finding in findings), None)
    if organ is None:
        raise UsageError("pointing", f"no phantom shows {finding!r}", "give --sources phantom:...")
    return [f"phantom:{organ}?seed={HELD_OUT_SEED + n}&finding={finding}" for n in range(seeds)]


def _count_hits(engine: Engine, uri: str, frames: int) -> tuple[int, int, float]:
    """Return hits, positive frames and the summed share of the picture under the masks."""
    spec = parse_phantom(uri)
    scene = PhantomScene(spec)
    places = np.linspace(0, spec.frame_count - 1, frames + 2).round().astype(int)[1:-1]
    shown = [(image, mask) for image, mask in map(scene.frame, places.tolist()) if mask.any()]
    if not shown:
        return 0, 0, 0.0
    hits = sum(peak_inside(engine, image, mask) for image, mask in shown)
    return hits, len(shown), float(sum(mask.mean() for _, mask in shown))


def peak_inside(engine: Engine, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> bool:
    """Return whether the positive class map, drawn onto a picture (H, W), peaks inside its mask."""
    spec = engine.model.spec
    where = place((image.shape[0], image.shape[1]), spec.input_wh, spec.fit)
    frame = to_model_input(Pixels((image,)), spec.input_wh, spec.fit)
    cam = run_frames(engine, frame[None]).cam[0, spec.positive_index]
    drawn = cam_to_image(cam, where=where, shape_hw=(image.shape[0], image.shape[1]))
    return bool(mask.flat[int(drawn.argmax())])
