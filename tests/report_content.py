"""A plausible report content made from synthetic arrays: a speckled sector with a dark pelvis."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.report.content import KeyFrame, ReportContent, Timeline
from stream.session.content import DISCLAIMER


def draw_sector(seed: int, size_wh: tuple[int, int] = (640, 480)) -> NDArray[np.uint8]:
    """Draw Rayleigh speckle in a sector with a bright ring around a dark, slightly moving centre.

    Returns
    -------
    shape (H, W), uint8
    """
    width, height = size_wh
    rng = np.random.default_rng(seed)
    field = cv2.GaussianBlur(rng.standard_normal((2, height, width)).transpose(1, 2, 0), (9, 5), 0)
    envelope = np.hypot(field[..., 0], field[..., 1])
    y, x = np.mgrid[0 : 1 : height * 1j, -0.5 : 0.5 : width * 1j]
    radius = np.hypot((x - 0.05) / 0.26, (y - 0.52 - 0.01 * seed) / 0.24)
    echo = 0.35 + 0.5 * np.exp(-(((radius - 0.7) / 0.16) ** 2)) - 0.33 * (radius < 0.5)
    decibel = 20 * np.log10(envelope * np.clip(echo, 0.015, None) * np.exp(-0.9 * y) + 1e-4)
    depth, angle = np.hypot(x, y + 0.08), np.abs(np.arctan2(x, y + 0.08))
    inside = (depth > 0.1) & (depth < 1.05) & (angle < 0.62)
    picture: NDArray[np.uint8] = np.clip((decibel + 48) * 5.6, 0, 255).astype(np.uint8)
    return np.where(inside, picture, 0).astype(np.uint8)


def draw_blob(size_wh: tuple[int, int], peak: float = 0.95) -> NDArray[np.float32]:
    """Draw a saliency map (H, W) with one peak on the dark centre and a faint second one."""
    width, height = size_wh
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    near = np.exp(-(((x - 0.55) / 0.11) ** 2) - ((y - 0.54) / 0.11) ** 2)
    far = 0.3 * np.exp(-(((x - 0.38) / 0.12) ** 2) - ((y - 0.3) / 0.1) ** 2)
    saliency: NDArray[np.float32] = (peak * np.clip(near + far, 0, 1)).astype(np.float32)
    return saliency


def build_timeline(count: int, classes: int, *, has_time: bool = True) -> Timeline:
    """Build a clip whose last class rises in the middle, with bad stretches when long enough."""
    rng = np.random.default_rng(3)
    place = np.linspace(0, 1, count)
    positive = np.clip(0.08 + 0.88 * np.exp(-(((place - 0.55) / 0.2) ** 4)), 0, 1)
    noisy = np.clip(positive + rng.normal(0, 0.06, count), 0.01, 0.99)
    probs, smoothed = _share_out(noisy, classes), _share_out(positive, classes)
    state = ["ok"] * count
    for start, stop, name in (
        (30, 42, "no_signal"),
        (60, 66, "not_ultrasound"),
        (300, 303, "damaged"),
    ):
        state[start:stop] = [name] * len(state[start:stop])
    unknown = [s in ("no_signal", "damaged") for s in state]
    probs[unknown], smoothed[unknown] = np.nan, np.nan
    names = np.where(positive > 0.6, "class 0", np.where(positive < 0.4, "class 1", "uncertain"))
    label = ["" if bad else str(name) for bad, name in zip(unknown, names, strict=True)]
    seq = np.arange(count, dtype=np.int64)
    time_s = seq / 30 if has_time else seq.astype(np.float64)
    return Timeline(seq, time_s, has_time, probs, smoothed, tuple(label), tuple(state))


def build_content(
    *,
    frames: int = 366,
    keys: int = 5,
    classes: tuple[str, ...] = ("dilated pelvis", "normal kidney"),
    size_wh: tuple[int, int] = (640, 480),
    has_time: bool = True,
    clip_name: str = "phantom:kidney?seed=7&seconds=12",
) -> ReportContent:
    """Build a content of `frames` frames with `keys` key frames; the first class is positive."""
    line = build_timeline(frames, len(classes), has_time=has_time)
    label = tuple(classes[int(x[-1])] if x.startswith("class") else x for x in line.label)
    line = Timeline(line.seq, line.time_s, has_time, line.probs, line.smoothed, label, line.state)
    lost = sum(state in ("no_signal", "damaged") for state in line.state)
    return ReportContent(
        clip_name=clip_name,
        source={"kind": "phantom", "size": f"{size_wh[0]} by {size_wh[1]} px", "rate": "30 Hz"},
        classes=classes,
        positive_class=classes[0],
        threshold=0.5,
        verdict_label=classes[0],
        verdict_text=f"{classes[0]} in 62 % of {frames - lost} valid frames, mostly mid-clip.",
        verdict_share=0.62,
        timeline=line,
        key_frames=tuple(_build_key(rank, line, classes, size_wh) for rank in range(1, keys + 1)),
        ledger={"grabbed": frames, "analysed": frames - lost, "invalid_frame": lost},
        engine_warning="",
        problems=(),
        partial=False,
        provenance={
            "model": "phantom-kidney",
            "model digest": "9f2c" * 16,
            "engine": "openvino fp32",
        },
        disclaimer=DISCLAIMER,
    )


def _share_out(positive: NDArray[np.float64], classes: int) -> NDArray[np.float32]:
    rest = np.repeat((1 - positive)[:, None] / (classes - 1), classes - 1, axis=1)
    return np.hstack([positive[:, None], rest]).astype(np.float32)


def _build_key(
    rank: int, line: Timeline, classes: tuple[str, ...], size_wh: tuple[int, int]
) -> KeyFrame:
    seq = min(len(line.seq) - 1, len(line.seq) // 3 + 31 * (rank * 3 % 5))
    return KeyFrame(
        rank=rank,
        seq=seq,
        time_s=float(line.time_s[seq]) if line.has_time else None,
        score=0.96 - 0.03 * rank,
        score_parts={
            "probability": 0.97 - 0.01 * rank,
            "quality": 0.99,
            "diversity": 1 - 0.02 * rank,
        },
        reason="High probability that lasts, unlike the frames already kept.",
        probs=line.probs[seq],
        shown_class=classes[0],
        image=draw_sector(rank, size_wh),
        saliency=draw_blob(size_wh, 1 - 0.08 * rank),
    )
