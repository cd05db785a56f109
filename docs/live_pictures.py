"""Makes the pictures of the live screen from the phantom: its normal state and each banner."""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engines.load import load_model
from engines.open import DEMO_MODEL, open_engine
from engines.pixels import Pixels
from engines.spec import ModelSpec
from stream.analysis.analyser import Analyser
from stream.analysis.smooth import Smoother
from stream.config import AnalysisConfig
from stream.frame import Frame, FrameId, Prediction
from stream.live.screen.scene import Key, Scene, Strip, Verdict
from stream.live.screen.screen import Screen
from stream.live.viewer.freshness import Banner
from stream.sources.phantom import PhantomScene, parse_phantom

IMAGES = Path(__file__).parent / "images"
SIZE_WH = (1280, 720)
MOST_BYTES = 250_000
LEVELS = np.arange(256)
ROUNDED = np.where(LEVELS < 17, 0, np.minimum((LEVELS + 5) // 11 * 11, 255)).astype(np.uint8)
SOURCE = "phantom:kidney?seed=21&finding=dilated&sweep=1&seconds=30"
STEP_FRAMES = 6
"""Every sixth frame is analysed: enough points for the strip of half a minute."""
KEYS, KEY_GAP_S, KEY_WIDTH_PX = 5, 0.9, 240

HUD = (
    ("capture", "25.0 fps"),
    ("inference", "25.0 fps"),
    ("age p50 / p99", "38 / 52 ms"),
    ("dropped", "0"),
    ("skipped by policy", "12"),
    ("engine", "openvino CPU int8"),
    ("model", "phantom-kidney"),
    ("disk free", "61 %"),
)
BANNERS = {
    "normal": (),
    "ai_down": (Banner("AI DOWN", "worker stopped, a new one starts", "alarm"),),
    "ai_off": (Banner("AI OFF", "five restarts in a minute: engine refused the model", "alarm"),),
    "ai_withdrawn": (Banner("AI WITHDRAWN", "engine failed its known-answer probe", "alarm"),),
    "video_stalled": (Banner("VIDEO STALLED", "last frame 0.8 s ago", "alarm"),),
    "no_video": (Banner("NO VIDEO", "device /dev/video0: no such device", "alarm"),),
    "no_signal": (Banner("NO SIGNAL", "one colour in 99 % of the picture", "warning"),),
    "image_frozen": (Banner("IMAGE FROZEN", "the scanner sends one picture", "note"),),
    "format_changed": (Banner("FORMAT CHANGED", "pictures of another size", "warning"),),
    "throttled": (Banner("THROTTLED", "96 °C: every second frame is analysed", "warning"),),
    "recording_stopped": (Banner("RECORDING STOPPED", "disk 2 % free", "alarm"),),
}
WITHOUT_RESULT = {"ai_down", "ai_off", "ai_withdrawn", "video_stalled", "no_video", "no_signal"}
GAP_S = 1.2


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One analysed frame of the phantom, with its smoothed probabilities and label."""

    time_s: float
    image: NDArray[np.uint8]
    prediction: Prediction
    smoothed: NDArray[np.float32]
    label: str


def analyse(source: str) -> tuple[ModelSpec, list[Moment]]:
    """Run the bundled model over the phantom, frame after frame as live does."""
    scene, config = PhantomScene(parse_phantom(source)), AnalysisConfig()
    moments = []
    with closing(open_engine(load_model(DEMO_MODEL))) as engine:
        analyser, smoother = Analyser(engine), Smoother(engine.model.spec, config)
        for index in range(0, scene.spec.frame_count, STEP_FRAMES):
            image, _ = scene.frame(index)
            time_s = index / scene.spec.rate_hz
            time_ns = round(time_s * 1e9)
            frame = Frame(FrameId("docs", 0, index), Pixels((image,)), time_ns, time_ns, source)
            prediction = analyser.step(frame)
            if prediction.state == "ok" and prediction.probs is not None:
                moments.append(
                    Moment(time_s, image, prediction, *smoother.update(time_ns, prediction.probs))
                )
        return engine.model.spec, moments


def verdict_of(moment: Moment, spec: ModelSpec) -> Verdict:
    """Return what the live viewer would show for a moment."""
    index = spec.positive_index
    assert moment.prediction.probs is not None
    assert moment.prediction.cam is not None
    cam = moment.prediction.cam[index] / np.float32(spec.cam_scale[index])
    return Verdict(moment.label, moment.prediction.probs, moment.smoothed, cam)


def keys_of(moments: list[Moment], spec: ModelSpec) -> tuple[Key, ...]:
    """Return the most probable moments, apart in time, the best one pinned."""
    ranked = sorted(moments, key=lambda moment: -moment.smoothed[spec.positive_index])
    chosen = list[Moment]()
    for moment in ranked:
        if len(chosen) < KEYS and all(
            abs(moment.time_s - other.time_s) >= KEY_GAP_S for other in chosen
        ):
            chosen.append(moment)
    return tuple(
        Key(
            _thumbnail(m.image),
            f"0:{m.time_s:04.1f}",
            float(m.smoothed[spec.positive_index]),
            m is pin,
        )
        for pin in chosen[1:2]
        for m in chosen
    )


def strip_of(moments: list[Moment], now_s: float, spec: ModelSpec, gap_s: float) -> Strip:
    """Return the history up to now; the last `gap_s` seconds are without a result."""
    age_s = np.array([now_s - moment.time_s for moment in moments])
    value = np.array([moment.smoothed[spec.positive_index] for moment in moments], np.float32)
    value[age_s < gap_s] = np.nan
    return Strip(age_s, value, (11.3,))


def draw_scene(name: str, spec: ModelSpec, moments: list[Moment]) -> Scene:
    """Return the scene of one state at the most telling moment."""
    now = max(moments[len(moments) // 2 :], key=lambda moment: _heat(moment, spec))
    past = [moment for moment in moments if moment.time_s <= now.time_s]
    withdrawn = name in WITHOUT_RESULT
    image = np.full_like(now.image, 8) if name == "no_signal" else now.image
    return Scene(
        picture=Pixels((image,)),
        spec=spec,
        verdict=None if withdrawn else verdict_of(now, spec),
        banners=BANNERS[name],
        strip=strip_of(past, now.time_s, spec, GAP_S if withdrawn else 0.0),
        keys=keys_of(past, spec),
        hud=HUD,
        tick=17,
        heat=True,
        help=False,
        frozen="",
        recording=name not in ("normal", "recording_stopped"),
        clock=_clock(now.time_s),
        source="phantom:kidney",
    )


def write_picture(path: Path, image_bgr: NDArray[np.uint8], screen: Screen) -> None:
    """Write a PNG below `MOST_BYTES`: colours of the frame are rounded, as speckle takes room."""
    shown = image_bgr.copy()
    left, top, right, bottom = screen.regions["picture"]
    top = max((box[3] for box in screen.banner_boxes), default=top)
    inner = shown[top:bottom, left:right]
    inner[:] = cv2.LUT(inner, ROUNDED)
    unfiltered = (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE)
    data = cv2.imencode(".png", shown, [cv2.IMWRITE_PNG_COMPRESSION, 9, *unfiltered])[1]
    if data.size > MOST_BYTES:
        raise ValueError(f"{path}: {data.size} bytes, expected at most {MOST_BYTES}")
    path.write_bytes(data.tobytes())


def draw_pictures(folder: Path, size_wh: tuple[int, int]) -> None:
    """Draw the normal state, the list of keys and every banner into ``live_*.png``."""
    spec, moments = analyse(SOURCE)
    screen = Screen(size_wh)
    scenes = {name: draw_scene(name, spec, moments) for name in BANNERS}
    scenes["keys"] = replace(scenes["normal"], help=True)
    for name, scene in scenes.items():
        write_picture(folder / f"live_{name}.png", screen.draw(scene), screen)


def _heat(moment: Moment, spec: ModelSpec) -> float:
    """Return how much of the heat map is bright, 0 where the finding is not the label."""
    if moment.label != spec.positive_class:
        return 0.0
    return float(np.clip(verdict_of(moment, spec).cam, 0, 1).sum())


def _thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height = round(KEY_WIDTH_PX * image.shape[0] / image.shape[1])
    small = cv2.resize(image, (KEY_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    small = cv2.LUT(small, ROUNDED)
    return cv2.cvtColor(small, cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)


def _clock(time_s: float) -> str:
    minutes, seconds = divmod(5 * 60 + time_s, 60)
    return f"14:{minutes:02.0f}:{int(seconds):02d}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=IMAGES)
    parser.add_argument("--height", type=int, default=SIZE_WH[1])
    given = parser.parse_args()
    draw_pictures(given.folder, (given.height * 16 // 9, given.height))
