"""A calibration on two black frames, from pictures to `--engine auto`; a sound one beside it."""

import cv2
import numpy as np
import pytest

from calib import proof
from engines.cache import open_cache
from engines.choose import Wanted, choose_engine
from engines.load import load_model
from engines.sidecar import Speed
from stream.cli import main
from tests.conv_model import noise_frames, save_conv
from tests.tiny_model import SIZE

BLACK = np.zeros((2, SIZE, SIZE, 3), np.uint8)


def save_stills(folder, frames):
    """Write one still per frame, of 64 x 64 pixels, eight to a clip."""
    folder.mkdir()
    for number, picture in enumerate(frames):
        large = picture[..., ::-1].repeat(2, axis=0).repeat(2, axis=1)
        cv2.imwrite(str(folder / f"{folder.name}-{'abcdef'[number // 8]}-{number}.png"), large)
    return str(folder)


@pytest.mark.parametrize(
    ("calibration", "status", "standing", "precision"),
    [(BLACK, 5, "default", "fp32"), (noise_frames(24), 0, "accepted", "int8")],
    ids=["two black frames", "sound"],
)
def test_auto_takes_int8_only_of_a_sound_calibration(
    tmp_path, monkeypatch, calibration, status, standing, precision
):
    fast = Speed(p50_ms=1.0, p99_ms=1.0, rate_hz=1.0, over_default=9.0)  # the gate alone decides
    monkeypatch.setattr(proof, "measure_speed", lambda *_: fast)
    model, int8 = save_conv(tmp_path), tmp_path / "conv.int8.onnx"
    frames = save_stills(tmp_path / "frames", calibration)
    main(["calibrate", str(model), "--frames", frames, "--out", str(int8), "--max-float", "0"])
    held_out, cache = (
        save_stills(tmp_path / "held_out", noise_frames(40, seed=2)),
        tmp_path / "cache",
    )
    given = ["--frames", held_out, "--cache", str(cache)]
    assert main(["compile", str(int8), "--engine", "openvino", *given]) == status
    chosen = choose_engine(load_model(model), open_cache(cache), Wanted(), lambda _: None)
    chosen.engine.close()
    assert (chosen.standing, chosen.engine.info.precision) == (standing, precision)
