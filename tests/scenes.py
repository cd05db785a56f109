"""Builders of what the live screen shows."""

from dataclasses import replace

import numpy as np

from engines.pixels import Pixels
from engines.spec import ModelSpec
from stream.live.screen.scene import Key, Scene, Strip, Verdict
from stream.live.viewer.freshness import Banner

SPEC = ModelSpec(
    name="tiny",
    classes=("normal", "dilated"),
    positive_class="dilated",
    input_wh=(64, 64),
    temperature=1.0,
    threshold=0.5,
    threshold_rule="chosen for the test",
    cam_kind="cam",
    cam_scale=(1.0, 1.0),
    data_digest="0" * 64,
    metrics={},
    metrics_split="none",
    licence="none",
    intended_use="tests",
)
EMPTY_STRIP = Strip(np.zeros(0), np.zeros(0, np.float32))
LABELS = ("dilated", "normal", "uncertain")
TITLES = ("AI DOWN", "VIDEO STALLED", "NO SIGNAL", "THROTTLED", "RECORDING STOPPED")
LEVELS = ("alarm", "warning", "note")


def make_verdict(label="dilated", probability=0.9, cam=None):
    """Return a verdict of the two classes."""
    probs = np.array([1 - probability, probability], np.float32)
    cam = np.linspace(0, 1, 49, dtype=np.float32).reshape(7, 7) if cam is None else cam
    return Verdict(label, probs, probs, cam)


def make_scene(**changes):
    """Return a scene with a picture and a result, and nothing else."""
    rng = np.random.default_rng(1)
    scene = Scene(
        picture=Pixels((rng.integers(0, 256, (120, 160), np.uint8),)),
        spec=SPEC,
        verdict=make_verdict(),
        banners=(),
        strip=EMPTY_STRIP,
        keys=(),
        hud=(("capture", "25.0 fps"),),
        tick=0,
        heat=True,
        help=False,
        frozen="",
        recording=False,
        clock="14:03:22",
        source="phantom:kidney",
    )
    return replace(scene, **changes)


def random_picture(rng):
    """Return a grey, RGB or YUV picture of any size and shape, or none."""
    height, width = (int(side) for side in rng.integers(1, 300, 2))
    kind = rng.integers(5)
    if kind == 4:
        return None
    if kind == 0:
        return Pixels((rng.integers(0, 256, (height, width), np.uint8),), "bt709", False)
    if kind == 1:
        return Pixels((rng.integers(0, 256, (height, width, 3), np.uint8),))
    chroma_hw = ((height + 1) // 2, (width + 1) // 2) if kind == 2 else (height, width)
    shapes = ((height, width), chroma_hw, chroma_hw)
    return Pixels(tuple(rng.integers(0, 256, shape, np.uint8) for shape in shapes), "bt601", False)


def random_scene(rng):
    """Return any scene that the viewer might ask for."""
    count, points = int(rng.integers(0, 8)), int(rng.integers(0, 200))
    value = rng.random(points).astype(np.float32)
    value[rng.random(points) < 0.2] = np.nan
    cam = rng.normal(0.3, 0.5, tuple(rng.integers(1, 12, 2))).astype(np.float32)
    keys = tuple(
        Key(rng.integers(0, 256, (30, 40, 3), np.uint8), f"0:{i:04.1f}", 0.1 * i, bool(i % 2))
        for i in range(count)
    )
    banners = tuple(
        Banner(str(rng.choice(TITLES)), "cause " * int(rng.integers(9)), str(rng.choice(LEVELS)))
        for _ in range(rng.integers(0, 5))
    )
    return make_scene(
        picture=random_picture(rng),
        spec=None if rng.random() < 0.1 else SPEC,
        verdict=make_verdict(str(rng.choice(LABELS)), float(rng.random()), cam),
        banners=banners,
        strip=Strip(np.sort(rng.random(points) * 33)[::-1], value, (3.0, 40.0)),
        keys=keys,
        hud=tuple((f"name {i}", f"{rng.random():.2f}") for i in range(rng.integers(0, 20))),
        tick=int(rng.integers(1000)),
        heat=bool(rng.random() < 0.7),
        help=bool(rng.random() < 0.2),
        frozen="2.4 s ago" if rng.random() < 0.2 else "",
        recording=bool(rng.random() < 0.5),
        clock=f"14:03:{rng.integers(60):02d}",
    )
